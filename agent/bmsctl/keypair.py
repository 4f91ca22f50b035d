# SPDX-License-Identifier: Apache-2.0
"""`bmsctl keypair`: public keys for logging in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.bmsctl.answers import KeyPair
from agent.bmsctl.client import read
from agent.bmsctl.named import escaped, text_of
from agent.bmsctl.show import Json, client_of, facts, rows, show

app = typer.Typer(no_args_is_help=True, help="Key pairs: public keys for logging in.")


@app.command("create")
def create(
    context: typer.Context,
    name: str,
    public_key: Annotated[Path, typer.Option(help="file with the public key, such as ~/.ssh/id_ed25519.pub")],
    json: Json = False,
) -> None:
    """Keep a public key under a name."""
    text = text_of(public_key, f"reading the public key in {public_key}")
    answer = client_of(context).post("/v1/keypairs", {"name": name, "public_key": text})
    show(answer, json, f"key pair {name} created: {answer['fingerprint']}")


@app.command("list")
def list_keypairs(context: typer.Context, json: Json = False) -> None:
    """Every key pair."""
    answer = client_of(context).get("/v1/keypairs")
    pairs = read(tuple[KeyPair, ...], answer)
    show(answer, json, rows(("NAME", "FINGERPRINT"), ((pair.name, pair.fingerprint) for pair in pairs)))


@app.command("show")
def show_keypair(context: typer.Context, keypair: str, json: Json = False) -> None:
    """One key pair."""
    answer = client_of(context).get(f"/v1/keypairs/{escaped(keypair)}")
    show(answer, json, facts(dict(read(KeyPair, answer))))


@app.command("delete")
def delete(context: typer.Context, keypair: str, json: Json = False) -> None:
    """Forget a key pair that no server has."""
    answer = client_of(context).delete(f"/v1/keypairs/{escaped(keypair)}")
    show(answer, json, f"key pair {keypair} deleted")

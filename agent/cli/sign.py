# SPDX-License-Identifier: Apache-2.0
"""`bms-agent image sign`: a chunked image that is packed already gets a signature, by a key here or by another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.pack import absolute, must_be_free, report
from agent.errors import ConfigError, InputError, SignatureMissing
from agent.model.job import Result

Image = Annotated[Path, typer.Argument(metavar="IMAGE", help="a chunked image's file, or a store's .manifest")]
Manifest = Annotated[Path | None, typer.Option(help="write here what is to be signed, and do nothing else")]
Made = Annotated[
    Path | None,
    typer.Option(help="what ssh-keygen -Y sign -n bms-image, or minisign -S, made of that"),
]
Key = Annotated[Path | None, typer.Option(help="Ed25519 key to sign with: PEM, or OpenSSH's without a passphrase")]
By = Annotated[str | None, typer.Option("--by", help="public key that must have made --signature")]
Json = Annotated[bool, typer.Option("--json", help="the result as JSON")]


def sign(
    image: Image,
    manifest: Manifest = None,
    signature: Made = None,
    key: Key = None,
    by: By = None,
    plan: Annotated[bool, typer.Option("--plan", help="check everything, and write nothing")] = False,
    json: Json = False,
) -> None:
    """Sign a chunked image that is packed already, or have it signed elsewhere.

    --manifest writes what is to be signed; --signature puts the signature into the image, --key makes one at once.
    """
    from agent.apply.chunked import attach
    from agent.apply.chunked.sign import signing_key
    from agent.cli.machine import host as open_host
    from agent.model.ed25519 import public_key
    from agent.model.image_signature import is_form, is_signed_by, raw_key

    if sum(each is not None for each in (manifest, signature, key)) != 1:
        hint = "First --manifest FILE, then --signature FILE; or --key KEY."
        raise InputError("reading the command line", "exactly one of --manifest, --signature, --key", hint=hint)
    host, path = open_host(), absolute(image)
    unsigned = attach.to_be_signed(host, path)
    told: Result = {"image": path, "sha256": unsigned.sha256}
    if plan:
        told |= {"plan": "nothing was written"}
    if manifest is not None:
        must_be_free(absolute(manifest), force=False)
        if not plan:
            host.files.write(absolute(manifest), unsigned.payload)
        report(told | {"manifest": absolute(manifest)}, json=json)
        return
    if key is not None:
        private = signing_key(content(key))
        made, by = private.sign(unsigned.payload), public_key(private)
    else:
        assert signature is not None, "it is one of three"
        made = content(signature)
    doing = f"signing {path}"
    if not is_form(made):
        raise InputError(doing, "that is no signature that is known", hint="ssh-keygen -Y sign -n bms-image, minisign")
    if by is not None and not is_signed_by(unsigned.payload, made, raw_key(by)):
        raise SignatureMissing(doing, f"it is not a signature of this image by {raw_key(by)}")
    if not plan:
        attach.attach(host, path, made)
    report(told | ({"public_key": raw_key(by)} if by else {}), json=json)


def content(path: Path) -> bytes:
    """Raises `ConfigError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"reading {path}", error.strerror or "failed") from error

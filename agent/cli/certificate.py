# SPDX-License-Identifier: Apache-2.0
"""`bms-agent disk verify`: a certificate of erasure is checked, on any machine, without a controller or a network.

In: what `bms-agent disk erase --json` or `bmsctl node erasure NODE --json` printed, or a signed certificate by itself.
Whose key it is nobody can tell from a certificate: who wants to know brings the key along.
"""

from __future__ import annotations

from collections.abc import Iterator
from json import dumps, loads
from typing import Annotated, Any

import typer

from agent.errors import CertificateForged, DecodeError, EraseUnproven, HostError, InputError
from agent.model.erasing.certificate import DOING, Certificate, SignedCertificate
from agent.model.frozen import decode
from agent.model.signature import fingerprint

GIVE = "Give what bms-agent disk erase --json, or bmsctl node erasure NODE --json, printed."
HINT = "Such a disk may hold data still: erase it once more, or destroy it."


def verify(
    file: Annotated[str, typer.Argument(help="what disk erase --json, or bmsctl node erasure --json, printed")],
    key: Annotated[
        str | None, typer.Option("--key", help="the node's key, in base64, or its fingerprint: it must be signed by it")
    ] = None,
    node: Annotated[str | None, typer.Option("--node", help="the node's id: it must be of that node")] = None,
    json: Annotated[bool, typer.Option("--json", help="what each says, and the key that signed it, as JSON")] = False,
) -> None:
    """Check a certificate of erasure, here and offline: that nobody changed it, who signed it, and what it proves."""
    certificates = read(file)
    says = [opened(one, key, node) for one in certificates]
    pairs = tuple(zip(certificates, says, strict=True))
    if json:
        told = [{"says": one.model_dump(mode="json"), "key": signed.key} for signed, one in pairs]
        typer.echo(dumps({"certificates": told}, indent=2))
    for signed, one in () if json else pairs:
        typer.echo(text(signed, one, known=key is not None))
    if bad := [disk for one in says for disk in one.disks if not disk.is_proven]:
        raise EraseUnproven("verifying what was erased", "; ".join(map(str, bad)), hint=HINT)


def read(file: str) -> tuple[SignedCertificate, ...]:
    """All that are in the operator's file. Raises `InputError`."""
    from pathlib import Path

    from agent.cli.machine import own_files

    try:
        return found(own_files().read_text(str(Path(file).absolute())))
    except (DecodeError, HostError) as error:
        raise InputError(f"reading {file}", error.evidence, hint=GIVE) from None


def found(printed: str) -> tuple[SignedCertificate, ...]:
    """All that are in there. Raises `DecodeError` where there is none."""
    try:
        whole: Any = loads(printed)
    except ValueError as error:
        raise DecodeError(DOING, f"it is no JSON: {error}") from error
    every = tuple(signed_in(whole))
    if not every:
        raise DecodeError(DOING, "there is no certificate in it")
    return every


def signed_in(whole: Any) -> Iterator[SignedCertificate]:
    """By itself, as `signed` of something, or in its `erasures`. Raises `DecodeError`."""
    match whole:
        case {"certificate": str(), "signature": str()}:
            yield decode(SignedCertificate, dumps(whole), DOING)
        case {"signed": one}:
            yield from signed_in(one)
        case {"erasures": [*several]}:
            for one in several:
                yield from signed_in(one)


def opened(one: SignedCertificate, key: str | None, node: str | None) -> Certificate:
    """What it says, if it is what was signed, by that key, of that node. Raises `CertificateForged`, `DecodeError`."""
    says = one.opened()
    if key is not None and key not in (one.key, fingerprint(one.key)):
        raise CertificateForged(DOING, f"it is signed by {one.key} ({fingerprint(one.key)}), not by {key}")
    if node is not None and says.node_id != node:
        raise CertificateForged(DOING, f"it is of node {says.node_id}, not of {node}")
    return says


def text(signed: SignedCertificate, says: Certificate, *, known: bool) -> str:
    """For people."""
    whose = "" if known else "; whose that is it cannot say: see --key"
    return "\n".join(
        (
            f"request {says.request_id}, node {says.node_id}, machine {says.machine_serial or 'without a serial'}, "
            f"{says.issued_at:%Y-%m-%d %H:%M:%S %Z}",
            f"signed by {signed.key} ({fingerprint(signed.key)}), and not changed since{whose}",
            *(f"{one}{f' (NIST SP 800-88: {one.nist})' if one.is_proven else ''}" for one in says.disks),
        )
    )

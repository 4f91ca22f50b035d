# SPDX-License-Identifier: Apache-2.0
"""`bms-agent disk erase`: erase disks by hand. Each is named; there is no "all" here."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.certificate import verify
from agent.model.request import EraseRequest

if TYPE_CHECKING:
    from agent.job.journal import Job

app = typer.Typer(no_args_is_help=True, help="Disks.")


class Method(StrEnum):
    """Those of `EraseRequest` that make sense for disks that are named."""

    ZERO = "zero"
    SECURE = "secure"
    NVME_SANITIZE = "nvme_sanitize"
    NVME_FORMAT = "nvme_format"
    ATA_SANITIZE = "ata_sanitize"
    ATA_SECURE_ERASE = "ata_secure_erase"
    SCSI_SANITIZE = "scsi_sanitize"
    DISCARD = "discard"
    METADATA = "metadata"


app.command("verify")(verify)
CHOICE = "secure: the best that each drive can do itself; or"


@app.callback()
def disk() -> None:
    """Disks."""


@app.command("erase")
def erase(
    disks: Annotated[list[str], typer.Argument(help="serials or WWNs of the disks to erase")],
    method: Annotated[
        Method, typer.Option(metavar="METHOD", help=f"{CHOICE} one of {', '.join(Method)}")
    ] = Method.ZERO,
    metadata: Annotated[bool, typer.Option("--metadata", help="only what says what they hold: in seconds")] = False,
    show_hidden: Annotated[
        bool, typer.Option("--show-hidden", help="let ATA drives show for good what they hide, and erase that, too")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="only show what would be done")] = False,
    json: Annotated[bool, typer.Option("--json", help="print the plan, or the signed certificate, as JSON")] = False,
) -> None:
    """Erase these disks, all of each, and prove it by reading back. Idle arrays and volumes on them are taken down."""
    from agent.cli.job import BY_HAND, Failed, by_hand, carried_out, new_request_id
    from agent.cli.machine import host as open_host
    from agent.plan.text import text

    host, name = open_host(), new_request_id()
    chosen = Method.METADATA.value if metadata else method.value
    request = EraseRequest(
        request_id=name, node_id=BY_HAND, serials=tuple(disks), method=chosen, show_hidden=show_hidden
    )
    operations = by_hand(host)
    planned = operations.plan(request)
    if plan or not json:
        typer.echo(planned.model_dump_json(indent=2) if json else text(planned))
    if plan:
        return
    job = carried_out(host, operations, request)
    typer.echo(said(job, as_json=json))
    if job.fault is not None:
        raise Failed(job.fault)


def said(job: Job, *, as_json: bool) -> str:
    """What came of each disk: also of those beside one that failed. As JSON with the certificate, as it was signed."""
    from json import dumps, loads

    from agent.model.erasing.certificate import IN_RESULT, SignedCertificate

    text = job.result.get(IN_RESULT)
    if text is None:
        words = ", ".join(f"{fact} {value}" for fact, value in job.result.items())
        return dumps(job.result, indent=2) if as_json else f"done: {words}" if job.fault is None else words
    signed = SignedCertificate.model_validate_json(str(text))
    says = signed.opened()
    if as_json:
        return dumps({"says": loads(signed.certificate), "signed": loads(str(text))}, indent=2)
    lines = (f"{one}{f' (NIST SP 800-88: {one.nist})' if one.outcome == 'erased' else ''}" for one in says.disks)
    return "\n".join(lines)

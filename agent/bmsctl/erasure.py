# SPDX-License-Identifier: Apache-2.0
"""`bmsctl node erasure` and `quarantine`: what is proven of a node's disks, and what is not."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from agent.bmsctl.client import read
from agent.bmsctl.named import escaped
from agent.bmsctl.show import Json, client_of, facts, rows, show
from agent.model.erasing import Erasure
from agent.model.erasing.certificate import Certificate
from agent.model.frozen import Reply

DISKS = ("DISK", "OUTCOME", "MEANS", "NIST 800-88", "SAMPLES", "EVIDENCE", "FIRMWARE")


class Quarantined(Reply):
    """A disk that is not proven erased."""

    disk: str
    why: str
    since: datetime
    accepted_by: str | None
    said_by_name: str | None = None


class Erased(Reply):
    """One erasure of a node."""

    request_id: str
    received_at: datetime
    attested_by: str | None
    boot: str = ""
    attested: bool = False
    says: Certificate
    firmware_changed: tuple[str, ...]


class Erasures(Reply):
    """All of a node, newest first, and its disks in quarantine."""

    node_name: str
    quarantined: tuple[Quarantined, ...]
    erasures: tuple[Erased, ...]


def erasure(
    context: typer.Context,
    node: str,
    every: Annotated[bool, typer.Option("--all", help="every erasure that there was, not the last alone")] = False,
    json: Json = False,
) -> None:
    """What is certified of a node's erasure: each disk, by what means, and the proof. --json has the signed text."""
    answer = client_of(context).get(f"/v1/nodes/{escaped(node)}/erasures")
    show(answer, json, *described(read(Erasures, answer), every=every))


def quarantine(
    context: typer.Context,
    node: str,
    disk: Annotated[str, typer.Argument(help="its serial, or its WWN")],
    accept: Annotated[
        bool, typer.Option("--accept/--refuse", help="whether the node may have servers with the disk in it")
    ],
    json: Json = False,
) -> None:
    """Let a node have servers, or not, though a disk that is not proven erased is in it: its next user may read it."""
    answer: Any = client_of(context).post(f"/v1/nodes/{escaped(node)}/quarantine", {"disk": disk, "accepted": accept})
    show(answer, json, f"node {node}: disk {disk} is {'accepted' if accept else 'not accepted'}")


def described(told: Erasures, *, every: bool) -> Iterable[RenderableType]:
    """As its operator reads it."""
    for one in told.quarantined:
        state = f"accepted by {one.accepted_by}" if one.accepted_by else "the node gets no server while it is in there"
        yield facts({"quarantine": f"{one.disk}: {one.why}", "says node": one.said_by_name, "": state})
    if not told.erasures:
        yield f"node {told.node_name} was never erased with a certificate"
    for erased in told.erasures if every else told.erasures[:1]:
        yield facts(
            {
                "request": erased.request_id,
                "certified": erased.says.issued_at,
                "received": erased.received_at,
                "told by": erased.attested_by,
                "attested": attested(erased.boot, is_so=erased.attested),
                "agent": erased.says.agent_version,
                "machine": erased.says.machine_serial,
                "firmware changed": erased.firmware_changed,
            }
        )
        yield rows(DISKS, map(line, erased.says.disks), spare=("FIRMWARE", "SAMPLES"))


def attested(boot: str, *, is_so: bool) -> str:
    """Whether it is known that the ramdisk that said so was this machine's."""
    why = {"ordered": "its BMC booted it, and cannot be told from where"}.get(boot, "nobody knows who booted it")
    return "yes: its BMC booted it from the network for this" if is_so else f"no: {why}"


def line(one: Erasure) -> tuple[Any, ...]:
    """A disk."""
    samples = one.samples
    seen = f"{samples.read} read, {samples.zero} zero, {samples.canaries} canaries"
    return one.who, one.outcome, one.means, one.nist, seen, one.evidence, one.firmware

# SPDX-License-Identifier: Apache-2.0
"""A node was erased, or was not: its certificate is kept, and decides. Disks that none proves erased are set apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from pydantic import Field

from agent.controller.context import Controller
from agent.controller.flow import sessions
from agent.controller.flow.lookup import named
from agent.controller.records.erasure import KeptCertificate, QuarantinedDisk
from agent.controller.records.node import Boot, Node
from agent.controller.refusal import Missing
from agent.controller.rules.erasure import (
    called,
    doubt,
    expected,
    is_freed,
    is_named,
    is_shared,
    missing,
    of_node,
    quarantined,
    unattested,
)
from agent.controller.store.database import Transaction
from agent.errors import DecodeError
from agent.model.disk import Disk, DiskIdentity
from agent.model.erasing import Erasure
from agent.model.erasing.certificate import DOING, IN_RESULT, Certificate, SignedCertificate
from agent.model.fact import Unknown
from agent.model.fault import Fault
from agent.model.frozen import Frozen, decode
from agent.model.job import JobReport
from agent.program.log import Logger

log = Logger("controller")


def keep(tx: Transaction, now: datetime, node: Node, report: JobReport, signed_by: str | None) -> Certificate | None:
    """The certificate that came with a report, kept as it was signed; `None` if none did that is of this node and of
    this request, by the key that the node signs its calls with.
    """
    text = report.result.get(IN_RESULT)
    if not isinstance(text, str):
        return None
    try:
        signed = decode(SignedCertificate, text, DOING)
        found = signed.opened()
    except DecodeError as error:
        log.warning("certificate refused", node=node.name, request=report.request_id, why=str(error))
        return None
    if signed_by not in (None, signed.key):
        log.warning("certificate by another key than the node's", node=node.name, request=report.request_id)
        return None
    if (found.node_id, found.request_id) != (node.id, report.request_id):
        log.warning("certificate of another erasure", node=node.name, request=report.request_id, of=found.request_id)
        return None
    kept = KeptCertificate(
        request_id=report.request_id,
        node_id=node.id,
        signed=signed,
        session_id=node.session_id,
        boot=_boot(tx, node),
        received_at=now,
    )
    tx.certificates.try_add(kept)
    return found


def _boot(tx: Transaction, node: Node) -> Boot:
    """Of the ramdisk that speaks for it."""
    session = sessions.current(tx, node)
    return session.boot if session is not None else Boot.OWN


def judged(
    controller: Controller,
    tx: Transaction,
    node: Node,
    certificate: Certificate | None,
    ordered: tuple[DiskIdentity, ...] | None = None,
) -> Fault | None:
    """What speaks against the erasure. If nothing does, disks that failed are in quarantine from now on; if something
    does, all that it does not prove.
    """
    disks = _expected(tx, node, ordered)
    fault = doubt(certificate, disks, quarantine=controller.options.quarantine)
    if fault is None and controller.options.require_attested:
        fault = unattested(_boot(tx, node))
    if fault is not None:
        condemned(controller, tx, node, certificate, ordered)
    elif certificate is not None:
        _set_apart(tx, controller.clock.now(), node, certificate, missing(certificate, disks))
    return fault


def condemned(
    controller: Controller,
    tx: Transaction,
    node: Node,
    certificate: Certificate | None,
    ordered: tuple[DiskIdentity, ...] | None = None,
) -> None:
    """An erasure has failed: disks that it does not prove are in quarantine, so that none that is away at the next one
    comes back with its data. Those that the next one proves are free again. Whose word may free a node may free a disk;
    anybody's sets one apart.
    """
    if certificate is None:
        return
    left = missing(certificate, _expected(tx, node, ordered))
    heeded = not (controller.options.require_attested and unattested(_boot(tx, node)))
    why = "the erasure failed before it was erased"
    _set_apart(tx, controller.clock.now(), node, certificate, left, why, frees=heeded)


def _expected(tx: Transaction, node: Node, ordered: tuple[DiskIdentity, ...] | None) -> tuple[DiskIdentity, ...]:
    entry = tx.inventories.get(node.id)
    return expected(entry.inventory.disks if entry is not None else (), ordered)


def _listed(tx: Transaction, node_id: str) -> tuple[Disk, ...]:
    """A node's disks, as it told last; none where it could not tell."""
    at = tx.inventories.get(node_id)
    return () if at is None or isinstance(at.inventory.disks, Unknown) else at.inventory.disks


def _set_apart(
    tx: Transaction,
    now: datetime,
    node: Node,
    certificate: Certificate,
    gone: tuple[DiskIdentity, ...],
    why_gone: str = "it vanished before it was erased",
    *,
    frees: bool = True,
) -> None:
    """Disks that failed, or vanished. One that is erased by now is free again, wherever it was set apart."""
    before: list[QuarantinedDisk] = []
    for one in certificate.disks:
        if frees or not one.is_proven:
            before += _forgotten(tx, node, one, certificate)
    bad = [
        (called(one.serial, one.wwn, one.size_bytes), one.wwn, f"{one.outcome}: {one.evidence}")
        for one in certificate.disks
        if not one.is_proven
    ]
    bad += [(called(disk.serial, disk.wwn, disk.size_bytes), disk.wwn, why_gone) for disk in gone]
    for name, wwn, why in bad:
        shared = is_shared(name, certificate, gone)
        entry = QuarantinedDisk(
            id=f"{node.id}:{name}", node_id=node.id, disk=name, wwn=wwn, why=why, since=now, shared=shared
        )
        _quarantine(tx, node, entry, before)


def _forgotten(tx: Transaction, node: Node, one: Erasure, certificate: Certificate) -> Iterator[QuarantinedDisk]:
    """What was kept of that disk is no more; unless it is still in the node where that was: then this is another, which
    only has its name, or a node that claims another's.
    """
    for entry in tx.quarantined.all():
        if not is_freed(entry, one, certificate, node.id):
            continue
        there = _listed(tx, entry.node_id) if entry.node_id != node.id else ()
        if any(quarantined(disk, (entry,)) for disk in there):
            log.warning("disk of that name is in quarantine, in another node", node=node.name, disk=entry.disk)
            continue
        tx.quarantined.remove(id=entry.id)
        yield entry


def _quarantine(tx: Transaction, node: Node, entry: QuarantinedDisk, before: Iterable[QuarantinedDisk]) -> None:
    """In place of what was kept of it in this node, under whatever id, and `before`: it may have been accepted here.
    What was accepted, and holds, is so still."""
    for kept in (*tx.quarantined.all(), *before):
        if kept.id == entry.id or (kept.node_id == node.id and is_named(kept, entry.disk, entry.wwn)):
            tx.quarantined.remove(id=kept.id)
            entry = entry.model_copy(update={"shared": entry.shared or kept.shared})
            if _holds(tx, node, kept):
                word = {"node_id": kept.node_id, "accepted_by": kept.accepted_by, "accepted_at": kept.accepted_at}
                entry = entry.model_copy(update=word)
    tx.quarantined.add(entry)
    log.error("disk quarantined", node=node.name, disk=entry.disk, why=entry.why, accepted=entry.accepted_by)


def _holds(tx: Transaction, node: Node, kept: QuarantinedDisk) -> bool:
    """Whether an operator's word on a disk outlives that this node sets it apart again. In the node where it was
    given: as long as no server was there since, whose data nobody has accepted. In another one, whatever this one
    claims, as long as the disk is in there.
    """
    if kept.accepted_at is None:
        return False
    if kept.node_id == node.id:
        jobs = tx.jobs.all(node_id=node.id)
        return not any(job.server_id is not None and job.phase_at >= kept.accepted_at for job in jobs)
    return any(quarantined(disk, (kept,)) for disk in _listed(tx, kept.node_id))


class Acceptance(Frozen):
    """An operator's word on a disk in quarantine."""

    disk: str = Field(description="its serial, or its WWN")
    accepted: bool = Field(description="the node may have servers though the disk is in it; false takes that back")


def accept(controller: Controller, key: str, wanted: Acceptance) -> Node:
    """Let a node have servers, or not, with that disk in it; it is in no other one by now, so whatever was accepted of
    it elsewhere is over. Raises `Missing`."""
    doing = f"accepting disk {wanted.disk}"
    with controller.write() as tx:
        node = named(tx.nodes, key, doing, Missing, "node")
        at = tx.inventories.get(node.id)
        kept = of_node(node.id, at.inventory.disks if at is not None else (), tx.quarantined.all())
        called_so = [one for one in kept if wanted.disk in (one.disk, one.wwn)]
        entry = min(called_so, key=lambda one: one.node_id != node.id, default=None)
        if entry is None:
            raise Missing(doing, f"no disk of {node.name} with that name is in quarantine")
        who = controller.caller.name if controller.caller is not None else "the operator"
        now = controller.clock.now()
        by, when = (who, now) if wanted.accepted else (None, None)
        for other in tx.quarantined.all():
            if other.accepted_by is not None and other.id != entry.id and is_named(other, entry.disk, entry.wwn):
                tx.quarantined.change(other, accepted_by=None, accepted_at=None)
        tx.quarantined.change(entry, node_id=node.id, accepted_by=by, accepted_at=when)
        log.warning("disk in quarantine", node=node.name, disk=entry.disk, accepted=wanted.accepted, by=who)
        return node

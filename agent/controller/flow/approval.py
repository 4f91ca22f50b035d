# SPDX-License-Identifier: Apache-2.0
"""By policy, who orders that data are destroyed does not do it alone: the order waits until another person approves it.

It is refused at first (so nothing is done, and the trail says so), and kept. Whoever approves it gives the order in
their own name; the trail says who had asked. An order is given once for an approval, whatever becomes of it; and only
for the data that it was asked for: what was written or erased since, or has another name by now, is not meant.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime, timedelta

from agent.controller.context import Controller
from agent.controller.flow.lookup import named, server_named
from agent.controller.records.approval import Approval, Decision, Destructive
from agent.controller.records.node import Node
from agent.controller.records.server import Server
from agent.controller.refusal import ApprovalNeeded, Forbidden, Missing, NotAllowed
from agent.controller.rules.root_device import held
from agent.controller.store.database import Transaction
from agent.model.fact import Unknown
from agent.program.log import Logger

WAITS = timedelta(hours=24)
NOBODY = "anybody"
ANEW = "Look at what it holds now, and let it be ordered anew."

log = Logger("controller")


def must_be_given(controller: Controller, order: Destructive, key: str, *, verify: bool = False) -> None:
    """Raises `ApprovalNeeded` where the policy wants it, and the order is kept."""
    if not controller.options.require_approval or controller.approved:
        return
    doing, now = f"ordering: {order.value} {key}", controller.clock.now()
    with controller.read() as tx:
        subject_id, name, project, holds_data = _subject(tx, order, key, doing)
    if not holds_data:
        return
    asked_by = controller.caller.name if controller.caller else NOBODY
    with replace(controller, caller=None).write() as tx:  # of this call the trail has the refusal
        same = tx.approvals.all(order=order, subject_id=subject_id, decision=None, asked_by=asked_by, verify=verify)
        waiting = next((one for one in same if one.expires_at > now), None) or tx.approvals.add(
            Approval(
                id=secrets.token_hex(4),
                order=order,
                subject_id=subject_id,
                name=name,
                verify=verify,
                project=project,
                asked_by=asked_by,
                asked_at=now,
                expires_at=now + WAITS,
            )
        )
    log.info("order waits for approval", approval=waiting.id, order=order.value, name=name, by=asked_by)
    raise ApprovalNeeded(
        doing,
        f"{name} holds data: it waits, as {waiting.id}, until another person approves it",
        hint=f"Somebody else says: bmsctl approval approve {waiting.id}.",
    )


def decide(controller: Controller, approval_id: str, decision: Decision) -> tuple[Controller, Approval]:
    """Say what becomes of it; and the controller in whose name an approved order is to be given, which is once. Raises
    `Missing`, `NotAllowed`, `Forbidden`."""
    doing, now, caller = f"deciding on {approval_id}", controller.clock.now(), controller.caller
    with controller.read() as tx:
        one = _pending(tx, approval_id, now, doing)
    who = caller.name if caller else NOBODY
    if decision is Decision.APPROVED and who == one.asked_by:
        raise Forbidden(doing, f"{who} has asked for it: it takes another person")
    told = f"{one.order.value} {one.name}, asked by {one.asked_by}"
    if caller is not None:
        controller = replace(controller, caller=caller.model_copy(update={"subject": told}))
    with controller.write() as tx:
        one = _pending(tx, approval_id, now, doing)
        if decision is Decision.APPROVED:
            _must_be_as_it_was(tx, one, doing)
        one = tx.approvals.change(one, decision=decision, decided_by=who, decided_at=now)
    log.warning("order decided on", approval=one.id, decision=decision.value, order=told, by=who)
    return replace(controller, approved=decision is Decision.APPROVED), one


def waiting(tx: Transaction, now: datetime) -> tuple[Approval, ...]:
    """Those that whoever asks may decide on, or may wait for; the oldest first."""
    found = [one for one in tx.approvals.visible(decision=None) if one.expires_at > now]
    return tuple(sorted(found, key=lambda one: one.asked_at))


def _pending(tx: Transaction, approval_id: str, now: datetime, doing: str) -> Approval:
    one = tx.approvals.get(approval_id)
    if one is None or not tx.approvals.sees(one):
        raise Missing(doing, f"there is no approval {approval_id}")
    if one.decision is not None or one.expires_at <= now:
        raise NotAllowed(doing, f"it is {one.decision.value if one.decision else 'expired'}")
    return one


def _must_be_as_it_was(tx: Transaction, one: Approval, doing: str) -> None:
    """Raises `NotAllowed`."""
    if one.order is Destructive.CLEAN:
        subject: Node | Server | None = tx.nodes.get(one.subject_id)
        jobs = tx.jobs.all(node_id=one.subject_id)
    else:
        subject = tx.servers.get(one.subject_id)
        jobs = tx.jobs.all(server_id=one.subject_id)
    if subject is None or subject.name != one.name:
        raise NotAllowed(doing, f"{one.name} has another name by now, or is gone", hint=ANEW)
    if any(job.begun_at > one.asked_at and (job.operation.deploys or job.operation.erases) for job in jobs):
        raise NotAllowed(doing, f"{one.name} was written or erased since it was asked for", hint=ANEW)


def _subject(tx: Transaction, order: Destructive, key: str, doing: str) -> tuple[str, str, str | None, bool]:
    """Its id, its name, its project, and whether it holds anything. What could not be looked at holds something."""
    if order is not Destructive.CLEAN:
        server = server_named(tx, key, doing)
        return server.id, server.name, server.project, server.owns_disk
    node = named(tx.nodes, key, doing, Missing, "node")
    entry = tx.inventories.get(node.id)
    disks = entry.inventory.disks if entry is not None else ()
    holds_data = not node.clean and (isinstance(disks, Unknown) or bool(held(disks)))
    return node.id, node.name, None, holds_data

# SPDX-License-Identifier: Apache-2.0
"""An operator wants a node's hardware tested: ordered, called off, and what was found kept.

The node stays what it is meanwhile, but that its job keeps it from servers. One whose hardware failed is in maintenance
from then on: an operator has to say that it is in order again.
"""

from __future__ import annotations

from datetime import datetime

from agent.controller.context import Controller
from agent.controller.flow import jobs, outcome, sessions
from agent.controller.flow.assign import assign
from agent.controller.flow.lookup import named
from agent.controller.flow.publish import publish
from agent.controller.records.job import Job, Operation, Stage
from agent.controller.records.node import Node, NodeState
from agent.controller.records.validation import Validation, ValidationOrder
from agent.controller.refusal import Busy, InUse, Missing, NotAllowed
from agent.controller.rules.steering import Waiting
from agent.controller.store.database import Transaction
from agent.errors import DecodeError, ValidationFailed
from agent.model.fault import Fault
from agent.model.frozen import decode
from agent.model.job import JobReport
from agent.model.validation import Validated
from agent.program.log import Logger

KEPT = 10
"""Of a node: an operator compares the last with those before."""
MAY_BE = (NodeState.ENROLL, NodeState.AVAILABLE, NodeState.ERROR)
IN_RESULT = "report"
UNTOLD = Fault(
    code="BMS.VALIDATION_UNTOLD",
    message="validating the node: its agent says that it did, and not what it found",
    hint="Is its ramdisk of another release than this controller? Then boot it again.",
)
log = Logger("controller")


def order(controller: Controller, key: str, wanted: ValidationOrder) -> Job:
    """Test its hardware, in its ramdisk. Raises `Missing`, `InUse`, `Busy`, `NotAllowed`."""
    now = controller.clock.now()
    with controller.write() as tx:
        node = named(tx.nodes, key, "validating a node", Missing, "node")
        _must_be_free(node)
        job = jobs.begin(tx, now, Operation.VALIDATE, node, stage=Stage.RAMDISK, phase=Waiting.FOR_AGENT)
        who = controller.caller.name if controller.caller is not None else "the operator"
        tx.validations.add(Validation(job_id=job.id, node_id=node.id, order=wanted, ordered_by=who, ordered_at=now))
        _forget_old(tx, node)
        tx.nodes.change(node, job_id=job.id, updated_at=now)
        job = assign(controller, tx, job, sessions.current(tx, node))
        publish(controller, tx, node.id)
    log.info("node validating", node=node.name, job=job.id, profile=wanted.profile)
    return job


def _must_be_free(node: Node) -> None:
    doing = f"validating {node.name}"
    if node.server_id is not None:
        raise InUse(doing, f"server {node.server_id} is on it", hint="Only a node without a server is tested.")
    if node.job_id is not None:
        raise Busy(doing, f"job {node.job_id} is under way on it")
    if node.revoked or node.state not in MAY_BE:
        raise NotAllowed(doing, f"the node is {'revoked' if node.revoked else node.state.value}")


def _forget_old(tx: Transaction, node: Node) -> None:
    kept = sorted(tx.validations.all(node_id=node.id), key=lambda one: one.ordered_at)
    for old in kept[:-KEPT]:
        tx.validations.remove(job_id=old.job_id)


def cancel(controller: Controller, key: str) -> Job:
    """Call off the one under way: its agent ends it within a second or so. Raises `Missing`, `NotAllowed`."""
    with controller.write() as tx:
        node = named(tx.nodes, key, "calling a validation off", Missing, "node")
        job = jobs.of_node(tx, node)
        if job is None or job.operation is not Operation.VALIDATE:
            raise NotAllowed(f"calling off the validation of {node.name}", "none is under way")
        who = controller.caller.name if controller.caller is not None else "the operator"
        fault = Fault(code="BMS.CANCELLED", message=f"validating {node.name}: {who} called it off")
        job = jobs.end(tx, controller.clock.now(), job, fault)
        publish(controller, tx, node.id)
    return job


def keep(tx: Transaction, now: datetime, node: Node, job: Job, report: JobReport) -> bool:
    """What came of it, and whether anything did. A node with broken hardware gets no server."""
    kept, text = tx.validations.get(job.id), report.result.get(IN_RESULT)
    if kept is None or not isinstance(text, str):
        return False
    try:
        found = decode(Validated, text, f"reading what was found of {node.name}")
    except DecodeError as error:
        log.warning("findings not understood", node=node.name, job=job.id, why=str(error))
        return False
    tx.validations.change(kept, found=found)
    if found.state == "failed":
        log.error("hardware failed: the node is in maintenance", node=node.name, job=job.id)
        tx.nodes.change(node, maintenance=True, fault=report.fault, updated_at=now)
    elif node.fault is not None and node.fault.code == ValidationFailed.code:
        tx.nodes.change(node, fault=None, updated_at=now)
    return True


def done(tx: Transaction, now: datetime, job: Job, *, is_told: bool) -> None:
    """The agent has tested what it was asked to."""
    if is_told:
        jobs.end(tx, now, job)
    else:
        outcome.failed(tx, now, job, UNTOLD)

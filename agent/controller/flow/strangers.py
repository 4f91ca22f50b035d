# SPDX-License-Identifier: Apache-2.0
"""Machines that nobody has approved: anybody can send them. How many may wait, what they may not do yet, and how a node
that never was in use is forgotten."""

from __future__ import annotations

import shutil

from agent.controller.context import Controller
from agent.controller.flow.beat import node_of
from agent.controller.flow.lookup import named
from agent.controller.records.job import Job, Operation
from agent.controller.records.node import Credential, Node, NodeState
from agent.controller.refusal import Busy, EnrolmentRefused, InUse, Missing
from agent.controller.store.database import Transaction
from agent.program.log import Logger

MOST_WAITING = 500
"""Each has an inventory in the database. Whoever takes in more machines at once has enrolment tokens."""

log = Logger("controller")


def must_have_room(tx: Transaction, doing: str, mac: str) -> None:
    """For one more that waits, if it is a new one. Raises `EnrolmentRefused`."""
    if tx.macs.get(mac) is None and tx.nodes.count(state=NodeState.ENROLL) >= MOST_WAITING:
        raise EnrolmentRefused(
            doing,
            f"{MOST_WAITING} nodes wait for approval already",
            hint="Approve them or delete them (bmsctl node list); an enrolment token lets a machine in at once.",
        )


def must_be_let_in(controller: Controller, credential: Credential) -> None:
    """Raises `EnrolmentRefused` for a node that waits for approval: what it may leave here is bounded."""
    with controller.read() as tx:
        node = node_of(tx, credential)
    if node.state is NodeState.ENROLL:
        raise EnrolmentRefused("taking a bundle", f"{node.name} waits for approval", hint="Approve the node first.")


def _tests(tx: Transaction, node: Node) -> tuple[Job, ...]:
    """Jobs of a node that waits for approval which only tested it. Of one that was let in they tell what broke."""
    if node.state is not NodeState.ENROLL:
        return ()
    return tx.jobs.all(node_id=node.id, operation=Operation.VALIDATE)


def delete(controller: Controller, key: str) -> Node:
    """Forget a node that never had a job: what was certified of one stays. That its hardware was tested while it waited
    for approval is no use; what was found goes with it. A machine that is there comes back at its next boot, as a new
    one. Raises `Missing`, `InUse`, `Busy`."""
    with controller.write() as tx:
        node = named(tx.nodes, key, "deleting a node", Missing, "node")
        doing = f"deleting {node.name}"
        if node.job_id is not None:
            raise Busy(doing, f"job {node.job_id} is under way on it")
        tests = _tests(tx, node)
        past = tx.jobs.count(node_id=node.id) - len(tests) + tx.certificates.count(node_id=node.id)
        if node.server_id is not None or past or tx.quarantined.count(node_id=node.id):
            raise InUse(doing, "it was in use", hint=f"Shut it out: bmsctl node revoke {node.name}.")
        for job in tests:
            for of_job in (tx.validations, tx.phases, tx.assignments):
                of_job.remove(job_id=job.id)
            tx.jobs.remove(id=job.id)
        tx.tokens.remove(mac=(node.boot_mac, *(entry.mac for entry in tx.macs.all(node_id=node.id))))
        for shelf in (tx.macs, tx.inventories, tx.os_inventories, tx.sessions, tx.credentials, tx.streams):
            shelf.remove(node_id=node.id)
        tx.nodes.remove(id=node.id)
        tx.changed.add(node.id)
    shutil.rmtree(controller.bundles / node.id, ignore_errors=True)
    log.warning("node deleted", node=node.name, identity=node.identity)
    return node

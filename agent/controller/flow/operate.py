# SPDX-License-Identifier: Apache-2.0
"""A user wants something of a server: start, stop, reboot, reinstall, delete."""

from __future__ import annotations

from datetime import datetime

from agent.controller.context import Controller
from agent.controller.flow import approval, jobs, sessions
from agent.controller.flow.assign import assign
from agent.controller.flow.lookup import server_named
from agent.controller.flow.publish import publish
from agent.controller.records.approval import Destructive
from agent.controller.records.job import Job, Operation, Stage
from agent.controller.records.node import BootTarget, Node
from agent.controller.records.server import Server, TaskState
from agent.controller.refusal import NoPower, ServerMissing
from agent.controller.rules.lifecycle import NodeEvent, ServerEvent, move_node, move_server, refuse_busy
from agent.controller.rules.steering import ALIVE_S, Waiting
from agent.controller.store.database import Transaction
from agent.model.fault import Fault
from agent.model.frozen import Frozen
from agent.model.network import DriftPolicy
from agent.program.log import Logger

SUPERSEDED = Fault(code="BMS.SUPERSEDED", message="the server was ordered to be deleted meanwhile")

log = Logger("controller")


class ServerChange(Frozen):
    """What may change of a server while it lives."""

    drift: DriftPolicy


def change(controller: Controller, key: str, wanted: ServerChange) -> Server:
    """Its node is told. Raises `ServerMissing`."""
    doing = f"changing server {key}"
    with controller.write() as tx:
        server = server_named(tx, key, doing)
        if server.node_id is None:
            raise ServerMissing(doing, "it is deleted")
        changed = tx.servers.change(server, drift=wanted.drift, updated_at=controller.clock.now())
        publish(controller, tx, server.node_id)
        return changed


def start(controller: Controller, key: str) -> Job:
    """Switch it on: by its BMC, or by whoever stands beside it. Raises `Refused`."""
    with controller.write() as tx:
        server, node = _ordered(tx, key, ServerEvent.START_ORDERED)
        phase = Waiting.POWERING_ON if node.bmc else Waiting.FOR_SOMEONE_ON
        return _begin(
            controller,
            tx,
            (server, node),
            (Operation.START, ServerEvent.START_ORDERED, TaskState.POWERING_ON),
            Stage.BOOT,
            phase,
        )


def stop(controller: Controller, key: str, *, hard: bool) -> Job:
    """Switch it off: its OS is asked, or (hard) its BMC told. Raises `Refused`."""
    with controller.write() as tx:
        server, node = _ordered(tx, key, ServerEvent.STOP_ORDERED)
        hard = _reachable(controller, tx, node, hard=hard, doing=f"stopping {server.name}")
        return _begin(
            controller,
            tx,
            (server, node),
            (Operation.STOP, ServerEvent.STOP_ORDERED, TaskState.POWERING_OFF),
            Stage.OFF if hard else Stage.OS,
            Waiting.POWERING_OFF if hard else Waiting.ASKING_OS,
            hard=hard,
        )


def reboot(controller: Controller, key: str, *, hard: bool) -> Job:
    """Start it again: its OS is asked, or (hard) its BMC told. Raises `Refused`."""
    with controller.write() as tx:
        server, node = _ordered(tx, key, ServerEvent.REBOOT_ORDERED)
        hard = _reachable(controller, tx, node, hard=hard, doing=f"rebooting {server.name}")
        event = ServerEvent.HARD_REBOOT_ORDERED if hard else ServerEvent.REBOOT_ORDERED
        return _begin(
            controller,
            tx,
            (server, node),
            (Operation.REBOOT, event, TaskState.REBOOT_STARTED_HARD if hard else TaskState.REBOOTING),
            Stage.BOOT if hard else Stage.OS,
            Waiting.REBOOTING if hard else Waiting.ASKING_OS,
            hard=hard,
        )


def reinstall(controller: Controller, key: str, *, verify: bool = False) -> Job:
    """The same image again, on the same disk, with the same addresses and key. Raises `Refused`."""
    approval.must_be_given(controller, Destructive.REINSTALL, key, verify=verify)
    now = controller.clock.now()
    with controller.write() as tx:
        server, node = _ordered(tx, key, ServerEvent.REINSTALL_ORDERED)
        state = move_node(node.state, NodeEvent.REINSTALLED)
        node = tx.nodes.change(node, state=state, boot_target=BootTarget.RAMDISK, fault=None, updated_at=now)
        return _begin(
            controller,
            tx,
            (server, node),
            (Operation.REINSTALL, ServerEvent.REINSTALL_ORDERED, TaskState.REBUILDING),
            Stage.RAMDISK,
            _first_phase(tx, node),
            verify=verify,
        )


def delete(controller: Controller, key: str) -> Job:
    """Erase its node and give it back, whatever it does at the moment. Raises `Refused`."""
    approval.must_be_given(controller, Destructive.DELETE, key)
    now = controller.clock.now()
    with controller.write() as tx:
        server, node = _ordered(tx, key, ServerEvent.DELETE_ORDERED)
        running = jobs.of_node(tx, node)
        if running is not None:
            jobs.end(tx, now, running, SUPERSEDED)
        state = move_node(node.state, NodeEvent.RELEASED)
        node = tx.nodes.change(node, state=state, boot_target=BootTarget.RAMDISK, fault=None, updated_at=now)
        return _begin(
            controller,
            tx,
            (server, node),
            (Operation.DELETE, ServerEvent.DELETE_ORDERED, TaskState.DELETING),
            Stage.RAMDISK,
            _first_phase(tx, node),
        )


def _ordered(tx: Transaction, key: str, event: ServerEvent) -> tuple[Server, Node]:
    """The server and its node, if the order is legal now. Raises `Refused`."""
    doing = f"ordering {event.value} of {key}"
    server = server_named(tx, key, doing)
    node = tx.nodes.get(server.node_id) if server.node_id else None
    if node is None:
        raise ServerMissing(doing, "it is deleted")
    refuse_busy(server.task_state, event)
    move_server(server.status, event)
    return server, node


def _reachable(controller: Controller, tx: Transaction, node: Node, *, hard: bool, doing: str) -> bool:
    """Whether it must be done the hard way. Raises `NoPower` if there is no way at all."""
    session, now = sessions.current(tx, node), controller.clock.now()
    answers = session is not None and session.mode == "service" and (now - session.seen_at).total_seconds() < ALIVE_S
    if (hard or not answers) and node.bmc is None:
        raise NoPower(doing, "the node has no BMC" if hard else "its OS has no agent that answers, and it has no BMC")
    return hard or not answers


def _first_phase(tx: Transaction, node: Node) -> Waiting:
    session = sessions.current(tx, node)
    return Waiting.TO_RAMDISK if session is not None and session.mode == "service" else Waiting.FOR_AGENT


def _begin(
    controller: Controller,
    tx: Transaction,
    subject: tuple[Server, Node],
    order: tuple[Operation, ServerEvent, TaskState],
    stage: Stage,
    phase: Waiting,
    *,
    hard: bool = False,
    verify: bool = False,
) -> Job:
    """A job for the server; its node is given what it has to do first."""
    (server, node), (operation, event, task) = subject, order
    now: datetime = controller.clock.now()
    job = jobs.begin(tx, now, operation, node, stage=stage, phase=phase, server_id=server.id, hard=hard, verify=verify)
    tx.nodes.change(node, job_id=job.id)
    tx.servers.change(
        server,
        status=move_server(server.status, event),
        task_state=task,
        job_id=job.id,
        fault=None,
        updated_at=now,
    )
    log.info(f"server {operation.value}", server=server.id, name=server.name, node=node.name, job=job.id, hard=hard)
    job = assign(controller, tx, job, sessions.current(tx, node))
    publish(controller, tx, node.id)
    return job

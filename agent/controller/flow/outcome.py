# SPDX-License-Identifier: Apache-2.0
"""How a job ends for its server and its node: proven, failed, stopped, erased."""

from __future__ import annotations

from datetime import datetime

from agent.controller.context import Controller
from agent.controller.flow import jobs
from agent.controller.flow.network import let_go, release
from agent.controller.records.job import Job, Operation
from agent.controller.records.node import BootTarget, Node, Power
from agent.controller.records.server import BootProofKind, Server, ServerFault, ServerStatus
from agent.controller.rules.lifecycle import NODE_MOVES, NodeEvent, ServerEvent, move_node, move_server
from agent.controller.store.database import Transaction
from agent.model.fault import Fault
from agent.program.log import Logger

log = Logger("controller")


def proven(tx: Transaction, now: datetime, node: Node, server: Server, kind: BootProofKind) -> Server:
    """The OS that was ordered runs: whatever was believed before, the server is ACTIVE."""
    job = jobs.of_node(tx, node)
    if job is not None:
        jobs.end(tx, now, job)
    node = _node(tx, node.id)
    state = move_node(node.state, NodeEvent.BOOT_PROVEN)
    tx.nodes.change(node, state=state, power=Power.ON, fault=None, updated_at=now)
    before = server.status
    server = tx.servers.change(
        server,
        status=move_server(server.status, ServerEvent.BOOT_PROVEN),
        task_state=None,
        fault=None,
        boot_proof="agent" if server.boot_proof == "agent" else kind,
        launched_at=server.launched_at or now,
        updated_at=now,
    )
    if before is not ServerStatus.ACTIVE:
        log.info("server ACTIVE", server=server.id, name=server.name, node=node.name, proof=server.boot_proof)
    return server


def failed(tx: Transaction, now: datetime, job: Job, fault: Fault) -> Job:
    """The job failed. A server that was to be started or stopped is as it was; any other is in ERROR, with its node."""
    job = jobs.end(tx, now, job, fault)
    server = tx.servers.get(job.server_id) if job.server_id else None
    if job.operation in (Operation.STOP, Operation.START) and server is not None:
        tx.servers.change(server, task_state=None, fault=_fault(fault, now), updated_at=now)
        return job
    node = _node(tx, job.node_id)
    if (node.state, NodeEvent.FAILED) in NODE_MOVES:
        tx.nodes.change(node, state=move_node(node.state, NodeEvent.FAILED), fault=fault, updated_at=now)
    if server is not None:
        status = move_server(server.status, ServerEvent.FAILED)
        tx.servers.change(server, status=status, task_state=None, fault=_fault(fault, now), updated_at=now)
        log.error("server ERROR", server=server.id, name=server.name, code=fault.code, fault=fault.message)
    else:
        log.error("node error", node=node.name, code=fault.code, fault=fault.message)
    return job


def stopped(tx: Transaction, now: datetime, job: Job) -> None:
    """The machine is off."""
    jobs.end(tx, now, job)
    tx.nodes.change(_node(tx, job.node_id), power=Power.OFF, updated_at=now)
    server = tx.servers.get(job.server_id) if job.server_id else None
    if server is not None:
        status = move_server(server.status, ServerEvent.STOPPED)
        tx.servers.change(server, status=status, task_state=None, fault=None, updated_at=now)
        log.info("server SHUTOFF", server=server.id, name=server.name)


def erased(controller: Controller, tx: Transaction, job: Job) -> None:
    """Nothing of the server is left: its addresses and its node are free."""
    now = controller.clock.now()
    jobs.end(tx, now, job)
    server = tx.servers.get(job.server_id) if job.server_id else None
    if server is not None:
        release(tx, tx.ports.all(server_id=server.id))
        let_go(tx, server.id)
        status = move_server(server.status, ServerEvent.ERASED)
        tx.servers.change(
            server,
            status=status,
            task_state=None,
            fault=None,
            node_id=None,
            user_data=None,
            updated_at=now,
            deleted_at=now,
        )
        log.info("server DELETED", server=server.id, name=server.name)
    node = _node(tx, job.node_id)
    tx.nodes.change(
        node,
        state=move_node(node.state, NodeEvent.CLEANED),
        boot_target=BootTarget.RAMDISK,
        clean=True,
        server_id=None,
        fault=None,
        updated_at=now,
    )
    log.info("node available", node=node.name, clean=True)


def _fault(fault: Fault, now: datetime) -> ServerFault:
    return ServerFault(**fault.model_dump(), created=now)


def _node(tx: Transaction, node_id: str) -> Node:
    node = tx.nodes.get(node_id)
    assert node is not None, "nodes are never deleted"
    return node

# SPDX-License-Identifier: Apache-2.0
"""An installed OS says that it has booted: our service with the nonce, or cloud-init where our service is not in it."""

from __future__ import annotations

import hmac
from datetime import datetime

from agent.controller.context import Controller
from agent.controller.flow import attest, jobs, outcome, sessions
from agent.controller.flow.assign import assign
from agent.controller.flow.publish import deploy_secrets, publish
from agent.controller.keys import digest
from agent.controller.records.job import Job, Operation, Stage
from agent.controller.records.node import Credential, Node
from agent.controller.records.server import Server
from agent.controller.refusal import AgentUnauthorized, CloneRefused, ProofRefused
from agent.controller.rules.root_device import is_disk
from agent.controller.store.database import Transaction
from agent.model.fault import Fault
from agent.model.protocol import Booted, BootProof, Session
from agent.model.signature import fingerprint
from agent.program.log import Logger

log = Logger("controller")


def prove(controller: Controller, credential: Credential, proof: BootProof) -> Booted:
    """Take the proof. Raises `AgentUnauthorized`, `ProofRefused`, `CloneRefused`; nothing is changed then, but of the
    last two the operator is told by the node's fault."""
    try:
        return _prove(controller, credential, proof)
    except (ProofRefused, CloneRefused) as error:
        with controller.write() as tx:
            node = tx.nodes.get(credential.node_id)
            if node is not None:
                tx.nodes.change(node, fault=Fault.of(error), updated_at=controller.clock.now())
        raise


def _prove(controller: Controller, credential: Credential, proof: BootProof) -> Booted:
    now = controller.clock.now()
    with controller.write() as tx:
        node, server = _whose(tx, credential)
        _check(controller, server, proof)
        _must_be_the_machine(tx, node, server, proof)
        node = _bind(tx, node, credential)
        node, newest = sessions.open_session(tx, now, attest.failed(tx, node), proof.session)
        if newest:
            tx.servers.change(server, machine_id=proof.machine_id)
            _go_on(controller, tx, now, node, server, proof.session)
            publish(controller, tx, node.id)
    return Booted(server_id=server.id)


def phone_home(controller: Controller, nonce: str) -> None:
    """cloud-init of a server's OS has come to its end. Raises `AgentUnauthorized` for a nonce that is nobody's."""
    now = controller.clock.now()
    with controller.write() as tx:
        server = tx.servers.find(phone_home=digest(nonce))
        node = tx.nodes.get(server.node_id) if server and server.node_id else None
        if server is None or node is None or node.revoked:
            raise AgentUnauthorized("taking cloud-init's call", "no server is waiting for it")
        job = jobs.of_node(tx, node)
        if job is None or (job.stage is Stage.BOOT and job.operation.deploys):
            outcome.proven(tx, now, node, server, "cloud-init")
            publish(controller, tx, node.id)


def _whose(tx: Transaction, credential: Credential) -> tuple[Node, Server]:
    node = tx.nodes.get(credential.node_id)
    server = tx.servers.get(node.server_id) if node and node.server_id else None
    if node is None or server is None or server.deploy_id != credential.request_id:
        raise AgentUnauthorized("taking a boot proof", "this node has no such server any more")
    return node, server


def _check(controller: Controller, server: Server, proof: BootProof) -> None:
    """The nonce of this very deploy, from the disk that was written."""
    doing = f"taking the boot proof of server {server.name}"
    assert server.deploy_id is not None, "its credential was compared with it"
    nonce = deploy_secrets(controller, server.deploy_id).nonce
    problem = None
    if not hmac.compare_digest(nonce.encode(), proof.nonce.get_secret_value().encode()):
        problem = "it is not the nonce of this deploy"
    elif not is_disk(server.disk, proof.root_disk_wwn, proof.root_disk_serial):
        told = f"WWN {proof.root_disk_wwn}, serial {proof.root_disk_serial}"
        problem = f"it runs on another disk ({told}) than WWN {server.disk.wwn}, serial {server.disk.serial}"
    if problem is not None:
        log.error("boot proof refused", server=server.id, name=server.name, reason=problem)
        raise ProofRefused(doing, problem)


def _must_be_the_machine(tx: Transaction, node: Node, server: Server, proof: BootProof) -> None:
    """A copy of a disk may have its serial, too: where nothing of the hardware is the node's, it is another machine."""
    known = {node.identity, *(f"mac:{entry.mac}" for entry in tx.macs.all(node_id=node.id))}
    if proof.hardware and not known & set(proof.hardware):
        log.error("clone refused", server=server.id, name=server.name, node=node.name, hardware=proof.hardware)
        told = f"{node.name} is {node.identity} by {node.boot_mac}; this machine is {', '.join(proof.hardware)}"
        raise CloneRefused(f"taking the boot proof of server {server.name}", told)


def _bind(tx: Transaction, node: Node, credential: Credential) -> Node:
    """From its first proof on, a service's credential is its key's alone. What was read of it to judge the call may be
    over by now. Raises `AgentUnauthorized`."""
    kept, doing = tx.credentials.get(credential.digest), "binding a service to its key"
    if kept is None or node.revoked:
        raise AgentUnauthorized(doing, "its credential is not good any more")
    if kept.public_key not in (None, credential.signed_by):
        raise AgentUnauthorized(doing, "its credential is another key's by now")
    if credential.signed_by is None or kept.public_key is not None:
        return node
    tx.credentials.change(kept, public_key=credential.signed_by)
    return tx.nodes.change(node, fingerprint=fingerprint(credential.signed_by))


def _go_on(
    controller: Controller, tx: Transaction, now: datetime, node: Node, server: Server, session: Session
) -> None:
    """The OS runs: what the job waited for, or just not what it wants."""
    job = jobs.of_node(tx, node)
    if job is None or _ends(job, session):
        outcome.proven(tx, now, node, server, "agent")
    else:
        assign(controller, tx, job, sessions.current(tx, node))


def _ends(job: Job, session: Session) -> bool:
    """A deploy ends when its OS speaks. A start or a reboot ends when it speaks from another boot than before."""
    if job.operation.deploys:
        return job.stage is Stage.BOOT
    return job.operation in (Operation.START, Operation.REBOOT) and job.boot_id != session.boot_id

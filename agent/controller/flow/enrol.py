# SPDX-License-Identifier: Apache-2.0
"""A machine in its ramdisk asks to be taken in: who is it, may it, and what is it made of."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

import structlog
from pydantic import SecretStr

from agent.controller.context import Controller
from agent.controller.flow import jobs, sessions
from agent.controller.flow.assign import assign
from agent.controller.flow.publish import publish
from agent.controller.keys import digest
from agent.controller.records.job import AssignmentState, Stage
from agent.controller.records.node import (
    BootTarget,
    Credential,
    Node,
    NodeInventory,
    NodeMac,
    NodeState,
    Power,
    Token,
)
from agent.controller.refusal import EnrolmentRefused, TokenRefused
from agent.controller.rules.identity import by_macs, identity, macs, node_name
from agent.controller.rules.root_device import held
from agent.controller.rules.steering import Waiting
from agent.controller.store.database import Transaction
from agent.model.fact import Unknown
from agent.model.inventory import Inventory
from agent.model.protocol import Enroll, Enrolled

log = structlog.get_logger("controller")


def enrol(controller: Controller, message: Enroll, url: str) -> Enrolled:
    """Take the machine in, or back. The same message again gives the same answer and changes nothing.

    Raises `TokenRefused`, `EnrolmentRefused`.
    """
    now = controller.clock.now()
    with controller.write() as tx:
        token = _accept_token(tx, now, message)
        node = _resolve(controller, tx, now, message.inventory, token.mac, url)
        _may_enrol(tx, node, message)
        node, newest = sessions.open_session(tx, now, node, message.session)
        credential = controller.keys.derive("ramdisk credential", node.id, message.session.boot_id)
        if newest:
            node = _refresh(tx, now, node, message, token.mac, url)
            tx.credentials.remove(node_id=node.id, mode="ramdisk")
            tx.credentials.add(Credential(digest=digest(credential), node_id=node.id, mode="ramdisk"))
            _go_on(controller, tx, now, node)
            publish(controller, tx, node.id)
    log.info("enrolled", node=node.name, id=node.id, state=node.state.value, boot=message.session.boot_id)
    return Enrolled(node_id=node.id, credential=SecretStr(credential))


def _accept_token(tx: Transaction, now: datetime, message: Enroll) -> Token:
    """The token is this machine's, and is of this boot or fresh."""
    doing = f"enrolling boot {message.session.boot_id}"
    token = tx.tokens.get(digest(message.token.get_secret_value())) if message.token else None
    if token is None:
        raise TokenRefused(doing, "there is no such token" if message.token else "no token was sent")
    who = identity(message.inventory)
    if token.boot_id is not None and (token.boot_id, token.identity) != (message.session.boot_id, who):
        raise TokenRefused(doing, "the token was used by another boot")
    if token.boot_id is None and token.expires_at <= now:
        raise TokenRefused(doing, "the token has expired")
    present = macs(message.inventory)
    if token.mac not in present:
        raise TokenRefused(doing, f"the token is for MAC {token.mac}, the machine has {', '.join(present) or 'none'}")
    return tx.tokens.change(token, boot_id=message.session.boot_id, identity=who)


def _resolve(
    controller: Controller, tx: Transaction, now: datetime, inventory: Inventory, boot_mac: str, url: str
) -> Node:
    """The node that this machine is; a new one if it was never seen."""
    who = identity(inventory)
    node, owner = tx.nodes.find(identity=who), _owner(tx, boot_mac)
    if node is not None and not _shares_a_mac(tx, node, inventory):
        log.warning("two machines have one UUID", node=node.name, boot_mac=boot_mac)
        who = by_macs(inventory)
        node = tx.nodes.find(identity=who)
    if node is None:
        return _new(controller, tx, now, who, boot_mac, url) if owner is None else _renamed(tx, owner, who)
    if owner is not None and owner.id != node.id and owner.server_id is not None:
        raise EnrolmentRefused(f"enrolling {who}", f"its boot MAC {boot_mac} is of {owner.name}, which has a server")
    return node


def _owner(tx: Transaction, mac: str) -> Node | None:
    entry = tx.macs.get(mac)
    return tx.nodes.get(entry.node_id) if entry else None


def _shares_a_mac(tx: Transaction, node: Node, inventory: Inventory) -> bool:
    return any(entry.mac in macs(inventory) for entry in tx.macs.all(node_id=node.id))


def _renamed(tx: Transaction, owner: Node, who: str) -> Node:
    """A known NIC in a machine with another identity: its mainboard was changed. Not under a running server."""
    if owner.server_id is not None:
        raise EnrolmentRefused(
            f"enrolling {who}", f"{owner.boot_mac} is of {owner.name}, another machine with a server"
        )
    log.warning("node has another identity", node=owner.name, was=owner.identity, identity=who)
    return tx.nodes.change(owner, identity=who)


def _new(controller: Controller, tx: Transaction, now: datetime, who: str, boot_mac: str, url: str) -> Node:
    state = NodeState.AVAILABLE if controller.options.enrolment == "auto" else NodeState.ENROLL
    name = node_name(boot_mac)
    node = Node(
        id=str(uuid4()),
        name=name if tx.nodes.find(name=name) is None else f"{name}-{uuid4().hex[:4]}",
        identity=who,
        boot_mac=boot_mac,
        state=NodeState.ENROLL,
        controller_url=url,
        created_at=now,
        updated_at=now,
    )
    log.info("node enroll", node=node.name, identity=who)
    tx.nodes.add(node)
    if state is NodeState.AVAILABLE:
        log.info("node available", node=node.name)
    return tx.nodes.change(node, state=state)


def _may_enrol(tx: Transaction, node: Node, message: Enroll) -> None:
    """A machine whose OS is on its disk has no business in the ramdisk; the boot that wrote it still may speak."""
    session = sessions.current(tx, node)
    if node.boot_target is BootTarget.DISK and (session is None or session.boot_id != message.session.boot_id):
        raise EnrolmentRefused(f"enrolling {node.name}", "it is to boot its local disk")


def _refresh(tx: Transaction, now: datetime, node: Node, message: Enroll, boot_mac: str, url: str) -> Node:
    """What the machine is made of today."""
    inventory = message.inventory
    tx.inventories.remove(node_id=node.id)
    tx.inventories.add(NodeInventory(node_id=node.id, inventory=inventory, taken_at=now))
    for mac in macs(inventory):
        if mac == boot_mac:
            tx.macs.remove(mac=mac)
        tx.macs.try_add(NodeMac(mac=mac, node_id=node.id))
    disks = () if isinstance(inventory.disks, Unknown) else inventory.disks
    clean = node.clean and not held(disks)
    if node.clean and not clean:
        log.warning("node is not clean any more", node=node.name, held=held(disks))
    return tx.nodes.change(node, clean=clean, boot_mac=boot_mac, controller_url=url, power=Power.ON, updated_at=now)


def _go_on(controller: Controller, tx: Transaction, now: datetime, node: Node) -> None:
    """Its job, if it has one, goes on in this boot."""
    job = jobs.of_node(tx, node)
    if job is None:
        return
    job = assign(controller, tx, job, sessions.current(tx, node))
    request = tx.assignments.get(job.request_id) if job.request_id else None
    waiting = request is not None and request.state is AssignmentState.OPEN and request.boot_id is None
    if not job.status.final and job.stage is Stage.RAMDISK and waiting:
        jobs.enter(tx, now, job, Waiting.FOR_AGENT)

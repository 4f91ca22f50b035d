# SPDX-License-Identifier: Apache-2.0
"""A machine in its ramdisk asks to be taken in: who is it, may it, and what is it made of."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from pydantic import SecretStr

from agent.controller.context import Controller
from agent.controller.flow import admission, attest, jobs, sessions
from agent.controller.flow.admission import Admitted
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
)
from agent.controller.refusal import EnrolmentRefused, StillSpeaking
from agent.controller.rules.identity import node_name
from agent.controller.rules.lifecycle import NodeEvent, move_node
from agent.controller.rules.root_device import held
from agent.controller.rules.steering import Waiting
from agent.controller.store.database import Transaction
from agent.model.fact import Unknown
from agent.model.fault import Fault
from agent.model.inventory import Inventory
from agent.model.machine_identity import by_macs, identity, macs
from agent.model.protocol import Enroll, Enrolled
from agent.model.signature import fingerprint
from agent.program.log import Logger

BUSY_ALIVE_S = 10.0
"""An agent at work is heard of every 2 s."""

log = Logger("controller")


def enrol(controller: Controller, message: Enroll, url: str, key: str | None) -> Enrolled:
    """Take the machine in, or back; `key` has signed the call. The same message again gives the same answer and changes
    nothing.

    Raises `TokenRefused`, `EnrolmentRefused`; and `StillSpeaking`, of which the operator is told by the node's fault.
    """
    try:
        return _enrol(controller, message, url, key)
    except StillSpeaking as error:
        with controller.write() as tx:
            node = tx.nodes.get(error.node_id)
            if node is not None and node.fault is None:
                log.warning("two machines say to be one", node=node.name, boot=message.session.boot_id)
                tx.nodes.change(node, fault=Fault.of(error), updated_at=controller.clock.now())
        raise


def _enrol(controller: Controller, message: Enroll, url: str, key: str | None) -> Enrolled:
    now = controller.clock.now()
    with controller.write() as tx:
        token = admission.accept(tx, now, message, key)
        node = _resolve(controller, tx, now, message.inventory, token.mac, url)
        _may_enrol(tx, node, message)
        boot = admission.ordered(tx, now, node, token)
        attest.must_be_ordered(tx, now, node, boot)
        _must_be_silent(controller, tx, now, node, message)
        node = _let_in(controller, tx, node, key, token)
        node, newest = sessions.open_session(tx, now, node, message.session, boot)
        credential = controller.keys.derive("ramdisk credential", node.id, message.session.boot_id)
        if newest:
            node = _refresh(tx, now, node, message, token.mac, url)
            tx.credentials.remove(node_id=node.id, mode="ramdisk")
            tx.credentials.add(Credential(digest=digest(credential), node_id=node.id, mode="ramdisk", public_key=key))
            _go_on(controller, tx, now, node)
            publish(controller, tx, node.id)
    log.info("enrolled", node=node.name, id=node.id, state=node.state.value, boot=message.session.boot_id)
    return Enrolled(node_id=node.id, credential=SecretStr(credential))


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
        return _new(controller, tx, now, who, boot_mac, url) if owner is None else _renamed(controller, tx, owner, who)
    if owner is not None and owner.id != node.id and owner.server_id is not None:
        raise EnrolmentRefused(f"enrolling {who}", f"its boot MAC {boot_mac} is of {owner.name}, which has a server")
    return node


def _owner(tx: Transaction, mac: str) -> Node | None:
    entry = tx.macs.get(mac)
    return tx.nodes.get(entry.node_id) if entry else None


def _shares_a_mac(tx: Transaction, node: Node, inventory: Inventory) -> bool:
    return any(entry.mac in macs(inventory) for entry in tx.macs.all(node_id=node.id))


def _renamed(controller: Controller, tx: Transaction, owner: Node, who: str) -> Node:
    """A known NIC in a machine with another identity: its mainboard was changed, or so it says: a MAC is soon made up.
    By hand it is approved anew, as what it is. Not under a running server."""
    if owner.server_id is not None:
        raise EnrolmentRefused(
            f"enrolling {who}", f"{owner.boot_mac} is of {owner.name}, another machine with a server"
        )
    if controller.options.enrolment == "auto":
        log.warning("node has another identity", node=owner.name, was=owner.identity, identity=who)
        return tx.nodes.change(owner, identity=who)
    if owner.state not in (NodeState.ENROLL, NodeState.AVAILABLE):
        raise EnrolmentRefused(
            f"enrolling {who}", f"{owner.boot_mac} is of {owner.name}, another machine, which is {owner.state.value}",
            hint=f"Is it the same machine with a new mainboard, say so: bmsctl node identity {owner.name} {who}.",
        )  # fmt: skip
    log.warning("node has another identity: it is to be approved", node=owner.name, was=owner.identity, identity=who)
    return tx.nodes.change(owner, identity=who, state=NodeState.ENROLL, clean=False)


def _new(controller: Controller, tx: Transaction, now: datetime, who: str, boot_mac: str, url: str) -> Node:
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
    return tx.nodes.add(node)


def _let_in(controller: Controller, tx: Transaction, node: Node, key: str | None, token: Admitted) -> Node:
    """A new node is available at once if that is how this controller is run, or if it shows an operator's token. Else
    an operator compares its key's fingerprint, so it must have one."""
    node = tx.nodes.change(node, fingerprint=fingerprint(key) if key else None, rack=token.rack or node.rack)
    if node.state is not NodeState.ENROLL:
        return node
    if controller.options.enrolment == "auto" or token.approved:
        log.info("node available", node=node.name)
        return tx.nodes.change(node, state=move_node(node.state, NodeEvent.APPROVED))
    if key is None:
        raise EnrolmentRefused(f"enrolling {node.name}", "its agent is of a release without a key of its own")
    log.info("node waits for approval", node=node.name, fingerprint=node.fingerprint)
    return node


def _may_enrol(tx: Transaction, node: Node, message: Enroll) -> None:
    """A machine whose OS is on its disk has no business in the ramdisk; the boot that wrote it still may speak."""
    if node.revoked:
        raise EnrolmentRefused(f"enrolling {node.name}", "it is revoked", hint="bmsctl node approve lets it in again.")
    session = sessions.current(tx, node)
    if node.boot_target is BootTarget.DISK and (session is None or session.boot_id != message.session.boot_id):
        raise EnrolmentRefused(f"enrolling {node.name}", "it is to boot its local disk")


def _must_be_silent(controller: Controller, tx: Transaction, now: datetime, node: Node, message: Enroll) -> None:
    """By hand, no other boot becomes a node whose ramdisk is still heard of. A machine that restarts asks until it is
    taken in; one that its BMC has reset since is heard of no more."""
    session, job = sessions.current(tx, node), jobs.of_node(tx, node)
    if controller.options.enrolment == "auto" or session is None or session.boot_id == message.session.boot_id:
        return
    heard = session.heartbeat_at
    if session.mode != "ramdisk" or heard is None or (job is not None and job.power_at and job.power_at >= heard):
        return
    age_s, within_s = (now - heard).total_seconds(), BUSY_ALIVE_S if session.progress else attest.ALIVE_S
    if 0 <= age_s < within_s:
        told = f"{node.name} is up, and was heard of {age_s:.0f} s ago in another boot"
        raise StillSpeaking(f"enrolling boot {message.session.boot_id}", told, node.id)


def _refresh(tx: Transaction, now: datetime, node: Node, message: Enroll, boot_mac: str, url: str) -> Node:
    """What the machine is made of today."""
    inventory = message.inventory
    for shelf in (tx.inventories, tx.os_inventories):
        shelf.remove(node_id=node.id)
    tx.inventories.add(NodeInventory(node_id=node.id, inventory=inventory, taken_at=now))
    for mac in macs(inventory):
        if mac == boot_mac:
            tx.macs.remove(mac=mac)
        tx.macs.try_add(NodeMac(mac=mac, node_id=node.id))
    disks = () if isinstance(inventory.disks, Unknown) else inventory.disks
    clean = node.clean and not held(disks)
    if node.clean and not clean:
        log.warning("node is not clean any more", node=node.name, held=held(disks))
    if node.fault is not None and node.fault.code == StillSpeaking.code:
        node = tx.nodes.change(node, fault=None)  # whoever spoke is silent
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

# SPDX-License-Identifier: Apache-2.0
"""An operator wants something of a node: approve, clean, its BMC, maintenance."""

from __future__ import annotations

from pydantic import Field

from agent.controller.context import Controller
from agent.controller.flow import approval, jobs, rekey, sessions
from agent.controller.flow.assign import assign
from agent.controller.flow.lookup import named
from agent.controller.flow.publish import publish
from agent.controller.records.approval import Destructive
from agent.controller.records.job import Job, Operation, Stage
from agent.controller.records.node import Bmc, BootTarget, Node, NodeMac, NodeState
from agent.controller.records.owned import Name
from agent.controller.refusal import BadParameter, Busy, InUse, Missing, NameTaken, WrongFingerprint
from agent.controller.rules.lifecycle import NodeEvent, move_node
from agent.controller.rules.steering import Waiting
from agent.controller.store.database import Transaction
from agent.model.bounds import MOST_RAISED
from agent.model.frozen import Frozen
from agent.model.network.values import Mac
from agent.program.log import Logger

log = Logger("controller")


class NodeChange(Frozen):
    """What an operator changes; what is left out stays. A BMC of null is forgotten."""

    bmc: Bmc | None = None
    maintenance: bool | None = None
    name: Name | None = None
    identity: str | None = Field(
        default=None,
        pattern=r"^smbios:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        description="of its mainboard, when that was replaced",
    )
    replaced_macs: dict[Mac, Mac] | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="of NICs that were replaced, by the MAC before; its server's addresses go over to the new ones",
    )
    generation: int | None = Field(
        default=None,
        ge=1,
        le=MOST_RAISED,
        description="of the desired state: to be raised above what the agent holds, after a restored backup",
    )


class Approval(Frozen):
    """What the operator reads on the machine's own screen."""

    fingerprint: str | None = Field(default=None, max_length=32, description="left out only if the node shows none")


def approve(controller: Controller, key: str, said: Approval) -> Node:
    """Take the node in, or let one speak again that was revoked, or whose OS has lost its key. Raises `Refused`."""
    now = controller.clock.now()
    with controller.write() as tx:
        node = named(tx.nodes, key, "approving a node", Missing, "node")
        if rekey.bind(tx, node, said.fingerprint):
            return tx.nodes.change(node, fingerprint=said.fingerprint, fault=None, revoked=False, updated_at=now)
        doing = f"approving {node.name}"
        waits = node.state is NodeState.ENROLL or not node.revoked
        state = move_node(node.state, NodeEvent.APPROVED) if waits else node.state
        if node.fingerprint is not None and said.fingerprint is None:
            raise BadParameter(doing, "fingerprint: say the one on the machine's screen")
        if node.fingerprint != said.fingerprint:
            raise WrongFingerprint(doing, f"the key that it enrolled with is not {said.fingerprint}")
        log.info("node approved", node=node.name, state=state.value, fingerprint=node.fingerprint)
        return tx.nodes.change(node, state=state, revoked=False, updated_at=now)


def revoke(controller: Controller, key: str) -> Node:
    """Nothing that says it is this node is heard any more, be it in the ramdisk or in a server's OS, and no server is
    put on it; what runs on it runs on. Until it is approved again. Raises `Missing`."""
    with controller.write() as tx:
        node = named(tx.nodes, key, "revoking a node", Missing, "node")
        log.warning("node revoked", node=node.name)
        return tx.nodes.change(node, revoked=True, maintenance=True, updated_at=controller.clock.now())


def clean(controller: Controller, key: str) -> Job:
    """Erase its disks. Raises `Refused`; a node with a server is cleaned by deleting that."""
    approval.must_be_given(controller, Destructive.CLEAN, key)
    now = controller.clock.now()
    with controller.write() as tx:
        node = named(tx.nodes, key, "cleaning a node", Missing, "node")
        if node.server_id is not None:
            raise InUse(f"cleaning {node.name}", f"server {node.server_id} is on it")
        job = jobs.of_node(tx, node)
        if job is not None and job.operation is Operation.VALIDATE:
            hint = f"Call it off: bmsctl node validate {node.name} --cancel."
            raise Busy(f"cleaning {node.name}", "its hardware is being tested", hint=hint)
        state = move_node(node.state, NodeEvent.CLEAN_ORDERED)
        node = tx.nodes.change(node, state=state, boot_target=BootTarget.RAMDISK, fault=None, updated_at=now)
        job = jobs.begin(tx, now, Operation.CLEAN, node, stage=Stage.RAMDISK, phase=Waiting.FOR_AGENT)
        tx.nodes.change(node, job_id=job.id)
        job = assign(controller, tx, job, sessions.current(tx, node))
        publish(controller, tx, node.id)
    log.info("node cleaning", node=node.name, job=job.id)
    return job


def change(controller: Controller, key: str, wanted: NodeChange) -> Node:
    """Change what is named. Raises `Refused`."""
    with controller.write() as tx:
        node = named(tx.nodes, key, "changing a node", Missing, "node")
        changes = {name: getattr(wanted, name) for name in wanted.model_fields_set}
        changes = {name: value for name, value in changes.items() if value is not None or name == "bmc"}
        if changes.get("generation", node.generation) < node.generation:
            raise BadParameter(f"changing {node.name}", f"its generation is {node.generation}, and never falls")
        if "name" in changes and tx.nodes.find(name=changes["name"]) not in (None, node):
            raise NameTaken(f"changing {node.name}", f"there is a node {changes['name']} already")
        if "identity" in changes and tx.nodes.find(identity=changes["identity"]) not in (None, node):
            raise NameTaken(f"changing {node.name}", f"another node is {changes['identity']}")
        log.info("node changed", node=node.name, fields=sorted(changes))
        if macs := changes.pop("replaced_macs", None):
            node = _other_nics(tx, node, macs)
        tx.nodes.change(node, updated_at=controller.clock.now(), **changes)
        return publish(controller, tx, node.id)


def _other_nics(tx: Transaction, node: Node, macs: dict[str, str]) -> Node:
    """Raises `Missing`, `NameTaken`."""
    doing = f"replacing NICs of {node.name}"
    own = {entry.mac for entry in tx.macs.all(node_id=node.id)}
    if unknown := sorted(macs.keys() - own):
        raise Missing(doing, f"it has no NIC {', '.join(unknown)}", hint="bmsctl node show lists them.")
    added = list(macs.values())
    if len({*added}) < len(added) or any(tx.macs.get(mac) is not None for mac in added):
        raise NameTaken(doing, f"one of {', '.join(sorted(added))} is a NIC's already")
    tx.macs.remove(node_id=node.id, mac=tuple(macs))
    for mac in added:
        tx.macs.add(NodeMac(mac=mac, node_id=node.id))
    server = tx.servers.get(node.server_id) if node.server_id else None
    for port in tx.ports.all(server_id=server.id) if server else ():
        if port.mac in macs:
            tx.ports.change(port, mac=macs[port.mac])
    if server is not None and server.bond is not None:
        first, second = (macs.get(mac, mac) for mac in server.bond.macs)
        tx.servers.change(server, bond=server.bond.model_copy(update={"macs": (first, second)}))
    log.warning("node has other NICs", node=node.name, macs=macs)
    return tx.nodes.change(node, boot_mac=macs.get(node.boot_mac, node.boot_mac))

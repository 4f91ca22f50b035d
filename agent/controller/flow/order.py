# SPDX-License-Identifier: Apache-2.0
"""A user orders a server: it is checked, and gets its node and addresses, in one transaction or not at all."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated
from uuid import uuid4

from pydantic import Field, SecretStr

from agent.controller.context import Controller
from agent.controller.flow import jobs, sessions
from agent.controller.flow.assign import assign
from agent.controller.flow.catalogue import keypair_named
from agent.controller.flow.groups import ids_of
from agent.controller.flow.lookup import named
from agent.controller.flow.network import wake_vpcs
from agent.controller.flow.nics import Groups, NicOrder, add_port, subnet_of
from agent.controller.flow.publish import publish
from agent.controller.records.catalogue import Flavor
from agent.controller.records.image import Image, ImageStatus
from agent.controller.records.job import Job, Operation, Stage
from agent.controller.records.network import Segment, Subnet, Vpc
from agent.controller.records.node import BootTarget, Node, NodeState
from agent.controller.records.owned import Name
from agent.controller.records.server import PinnedBond, Server, ServerStatus, TaskState
from agent.controller.refusal import BadFlavor, BadImage, BadKey, BadParameter, BadUserData, NoNodeFits
from agent.controller.rules.lifecycle import NodeEvent, move_node
from agent.controller.rules.matching import Fit, match, misfits
from agent.controller.rules.nics import physical
from agent.controller.rules.root_device import pin
from agent.controller.rules.segments import check_ports
from agent.controller.rules.steering import Waiting
from agent.controller.store.database import Transaction
from agent.model.disk import Disk, RootDeviceHints
from agent.model.flavor import BondMode
from agent.model.frozen import Frozen, Secret
from agent.model.inventory import Inventory
from agent.program.log import Logger

USER_DATA_BYTES = 32 * 1024
NICS_AT_CREATION = 2

log = Logger("controller")


class ServerOrder(Frozen):
    """What is to be created. Flavor, image and subnets are named by id or by name."""

    name: Name
    flavor: str
    image: str
    nics: tuple[NicOrder, ...] = Field(min_length=1)
    key_name: str | None = None
    user_data: Secret | None = Field(default=None, description="base64; at most 32 KiB before it")
    metadata: dict[Annotated[str, Field(max_length=255)], Annotated[str, Field(max_length=255)]] = Field(
        default_factory=dict
    )
    root_device: RootDeviceHints | None = None
    security_groups: Groups | None = Field(default=None, description="of each of its NICs")
    bond: BondMode | None = Field(default=None, description="left out, it is as the flavor says")
    verify: bool = Field(default=False, description="read the medium back before the disk is made bootable")


def create(controller: Controller, order: ServerOrder) -> Job:
    """Take the order. Raises `Refused`."""
    now = controller.clock.now()
    doing = f"creating server {order.name}"
    user_data = decoded(order.user_data)
    with controller.write() as tx:
        flavor = named(tx.flavors, order.flavor, doing, BadFlavor, "flavor")
        image = named(tx.images, order.image, doing, BadImage, "image")
        if image.status is not ImageStatus.ACTIVE:
            raise BadImage(doing, f"image {image.name} is {image.status.value}", hint="See bmsctl image show.")
        if order.key_name is not None:
            keypair_named(tx, order.key_name, doing, BadKey)
        subnets = _subnets(tx, order, doing)
        groups = ids_of(tx, order.security_groups, doing)
        bond = order.bond or flavor.bond
        flat = sum(vpc.segment is Segment.FLAT for _, vpc in subnets)
        nics = flat + 1 if bond else flat
        node, inventory, disk = _take(tx, flavor, image, order, nics, doing)
        macs = physical(inventory, node.boot_mac)[:nics]
        server = tx.servers.add(
            Server(
                id=str(uuid4()),
                name=order.name,
                project=controller.project,
                status=ServerStatus.BUILD,
                task_state=TaskState.BUILDING,
                flavor_id=flavor.id,
                image_id=image.id,
                key_name=order.key_name,
                user_data=user_data,
                metadata=order.metadata,
                root_device=order.root_device,
                disk=pin(disk),
                bond=PinnedBond(mode=bond, macs=(macs[0], macs[1])) if bond else None,
                node_id=node.id,
                created_at=now,
                updated_at=now,
            )
        )
        _attach(tx, server, order, subnets, macs, groups)
        job = _begin(controller, tx, now, node, server, verify=order.verify)
    log.info("server BUILD", server=server.id, name=server.name, node=node.name, disk=disk.name, job=job.id)
    return job


def decoded(user_data: SecretStr | None) -> SecretStr | None:
    """As the OS gets it. Raises `BadParameter`, `BadUserData`."""
    if user_data is None:
        return None
    try:
        text = base64.b64decode(user_data.get_secret_value(), validate=True).decode()
    except ValueError:  # of either; what is not even ASCII is neither
        raise BadParameter("reading the user data", "it is not base64 of a UTF-8 text") from None
    if len(text.encode()) > USER_DATA_BYTES:
        raise BadUserData("reading the user data", f"it has {len(text.encode())} bytes, {USER_DATA_BYTES} are allowed")
    return SecretStr(text)


def _subnets(tx: Transaction, order: ServerOrder, doing: str) -> tuple[tuple[Subnet, Vpc], ...]:
    if len(order.nics) > NICS_AT_CREATION:
        raise BadParameter(doing, f"nics: at most {NICS_AT_CREATION} at creation, not {len(order.nics)}")
    subnets = tuple(subnet_of(tx, nic, "nics", doing) for nic in order.nics)
    check_ports(subnets, "nics", doing)
    return subnets


def _take(
    tx: Transaction, flavor: Flavor, image: Image, order: ServerOrder, nics: int, doing: str
) -> tuple[Node, Inventory, Disk]:
    """The smallest node that fits, with that many NICs, is taken. Raises `NoNodeFits` with the reasons of each."""
    nodes = {node.id: node for node in tx.nodes.all()}
    inventories = {entry.node_id: entry.inventory for entry in tx.inventories.all()}
    apart = tx.quarantined.all()
    fits = [
        match(
            node,
            inventories[node.id],
            flavor,
            image,
            nics,
            order.root_device,
            apart,
        )
        for node in nodes.values()
        if node.id in inventories
    ]
    for fit in sorted((fit for fit in fits if fit.fits), key=lambda fit: _rank(fit, inventories)):
        node = tx.nodes.get(fit.node_id)  # locked from here on, where the database locks rows
        if node is not None and node.state is NodeState.AVAILABLE and node.job_id is None and fit.disk is not None:
            return node, inventories[node.id], fit.disk
    if tx.caller is not None and not tx.caller.of_cloud:
        raise NoNodeFits(doing, f"none of {len(fits)} nodes fits, or is free", hint="Ask the cloud's operator why.")
    raise NoNodeFits(doing, misfits(fits))


def _rank(fit: Fit, inventories: dict[str, Inventory]) -> tuple[int, str]:
    memory = inventories[fit.node_id].memory
    return getattr(memory, "total_bytes", 0), fit.node_name


def _attach(
    tx: Transaction,
    server: Server,
    order: ServerOrder,
    subnets: tuple[tuple[Subnet, Vpc], ...],
    macs: tuple[str, ...],
    groups: tuple[str, ...],
) -> None:
    """A port per NIC; a bond's second NIC is nobody else's. Raises `AddressTaken`, `AddressesExhausted`."""
    free = [mac for mac in macs if server.bond is None or mac != server.bond.macs[1]]
    for position, (nic, (subnet, vpc)) in enumerate(zip(order.nics, subnets, strict=True)):
        mac = free.pop(0) if vpc.segment is Segment.FLAT else None
        add_port(tx, server, position, nic, subnet, mac, groups)
    wake_vpcs(tx, {vpc.id for _, vpc in subnets})


def _begin(controller: Controller, tx: Transaction, now: datetime, node: Node, server: Server, *, verify: bool) -> Job:
    node = tx.nodes.change(
        node,
        state=move_node(node.state, NodeEvent.TAKEN),
        boot_target=BootTarget.RAMDISK,
        server_id=server.id,
        fault=None,
        updated_at=now,
    )
    job = jobs.begin(
        tx,
        now,
        Operation.CREATE,
        node,
        stage=Stage.RAMDISK,
        phase=Waiting.FOR_AGENT,
        server_id=server.id,
        verify=verify,
    )
    tx.nodes.change(node, job_id=job.id)
    tx.servers.change(server, job_id=job.id)
    job = assign(controller, tx, job, sessions.current(tx, node))
    publish(controller, tx, node.id)
    return job

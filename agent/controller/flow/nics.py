# SPDX-License-Identifier: Apache-2.0
"""NICs of servers: made with the server, attached and detached while it runs, moved between security groups."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Annotated
from uuid import uuid4

from pydantic import Field

from agent.controller.context import Controller
from agent.controller.flow.groups import ids_of
from agent.controller.flow.lookup import named, server_named
from agent.controller.flow.network import attachments_of, release, wake_vpcs
from agent.controller.flow.publish import publish
from agent.controller.records.network import Segment, Subnet, Vpc
from agent.controller.records.node import Node
from agent.controller.records.server import Detached, Port, Server
from agent.controller.refusal import (
    AddressTaken,
    BadParameter,
    InUse,
    Missing,
    NoNicFree,
    PrimaryNic,
    ServerMissing,
    TooMany,
)
from agent.controller.rules.addresses import allocate
from agent.controller.rules.lifecycle import TASK_REFUSALS
from agent.controller.rules.nics import physical, virtual_mac
from agent.controller.rules.segments import check_ports
from agent.controller.store.database import Transaction
from agent.model.frozen import Frozen
from agent.model.network.values import Addressv4, Mac
from agent.program.log import Logger

MOST_MORE = 10
"""NICs beside the primary one."""
Groups = Annotated[
    tuple[str, ...], Field(min_length=1, max_length=5, description="names or ids; left out, it is the default group")
]

log = Logger("controller")


class NicOrder(Frozen):
    """An attachment: a subnet, and an address of it if it matters which."""

    subnet: str
    ip_address: Addressv4 | None = None


class NicAttach(NicOrder):
    """An attachment to a server that is there."""

    mac: Mac | None = Field(default=None, description="of a physical NIC, in a flat VPC; left out, the next free one")
    security_groups: Groups | None = None


class NicSettings(Frozen):
    """What may change of a NIC."""

    security_groups: Groups


class NicChange(Frozen):
    """It holds on the server when its node has applied this generation."""

    server_id: str
    port_id: str
    generation: int


def subnet_of(tx: Transaction, nic: NicOrder, field: str, doing: str) -> tuple[Subnet, Vpc]:
    """What it names. Raises `BadParameter`."""
    subnet = named(tx.subnets, nic.subnet, doing, BadParameter, "subnet")
    vpc = tx.vpcs.find(id=subnet.vpc_id)
    assert vpc is not None, "a VPC with subnets is not deleted"
    if subnet.dhcp and nic.ip_address is not None:
        raise BadParameter(doing, f"{field}: addresses of {subnet.name} come from its DHCP server")
    return subnet, vpc


def add_port(
    tx: Transaction,
    server: Server,
    position: int,
    nic: NicOrder,
    found: Subnet,
    mac: str | None,
    groups: tuple[str, ...],
) -> Port:
    """A port; without a MAC it is virtual and gets one. Raises `AddressTaken`, `AddressesExhausted`."""
    subnet = tx.subnets.get(found.id) or found  # locked from here on
    address = None if subnet.dhcp else str(_address(tx, server, subnet, nic.ip_address))
    port_id = str(uuid4())
    while mac is None:
        mac = virtual_mac(port_id)
        if tx.ports.find(mac=mac) is not None:
            port_id, mac = str(uuid4()), None
    return tx.ports.add(
        Port(
            id=port_id,
            server_id=server.id,
            subnet_id=subnet.id,
            position=position,
            mac=mac,
            address=address,
            security_groups=groups,
        )
    )


def attach(controller: Controller, key: str, nic: NicAttach) -> NicChange:
    """One more NIC. Raises `Refused`."""
    doing = f"attaching a NIC to {key}"
    with controller.write() as tx:
        server, node = _idle(tx, key, doing)
        attached = attachments_of(tx, server)
        if len(attached) > MOST_MORE:
            raise TooMany(doing, f"it has {MOST_MORE} beside the first")
        subnet, vpc = subnet_of(tx, nic, "ip_address", doing)
        check_ports([*((one.subnet, one.vpc) for one in attached), (subnet, vpc)], "subnet", doing)
        mac = _physical_nic(tx, server, node, nic, vpc, doing)
        position = min(set(range(1, MOST_MORE + 1)) - {one.port.position for one in attached})
        port = add_port(tx, server, position, nic, subnet, mac, ids_of(tx, nic.security_groups, doing))
        log.info("NIC attached", server=server.id, port=port.id, mac=port.mac, subnet=subnet.name)
        return _changed(controller, tx, node, port, vpc.id)


def detach(controller: Controller, key: str, port_key: str) -> NicChange:
    """Its address is free when its node has applied that. Raises `Refused`."""
    doing = f"detaching NIC {port_key} from {key}"
    with controller.write() as tx:
        server, node = _idle(tx, key, doing)
        port, vpc = _port(tx, server, port_key, doing)
        if port.position == 0:
            raise PrimaryNic(doing, "it is the primary one")
        eip = tx.eips.find(port_id=port.id)
        if eip is not None:
            raise InUse(doing, f"EIP {eip.address} is bound to it", hint=f"bmsctl eip unbind {eip.address}")
        release(tx, (port,))
        log.info("NIC detached", server=server.id, port=port.id, mac=port.mac)
        gone = _changed(controller, tx, node, port, vpc)
        if port.address is not None:
            tx.detached.add(
                Detached(
                    id=port.id,
                    server_id=server.id,
                    subnet_id=port.subnet_id,
                    address=port.address,
                    generation=gone.generation,
                )
            )
        return gone


def change(controller: Controller, key: str, port_key: str, wanted: NicSettings) -> NicChange:
    """Other security groups. Raises `Refused`."""
    doing = f"changing NIC {port_key} of {key}"
    with controller.write() as tx:
        server, node = _idle(tx, key, doing)
        port, vpc = _port(tx, server, port_key, doing)
        port = tx.ports.change(port, security_groups=ids_of(tx, wanted.security_groups, doing))
        log.info("NIC changed", server=server.id, port=port.id, groups=port.security_groups)
        return _changed(controller, tx, node, port, vpc)


def find_port(tx: Transaction, server: Server, key: str | None, doing: str) -> Port:
    """By id, MAC or address; left out, it is the primary one. Raises `Missing`."""
    ports = tx.ports.all(server_id=server.id)
    if key is None:
        return next(port for port in ports if port.position == 0)
    found = [port for port in ports if key in (port.id, port.mac, port.address)]
    if not found:
        raise Missing(doing, f"server {server.name} has no NIC {key}")
    return found[0]


def _address(tx: Transaction, server: Server, subnet: Subnet, wanted: IPv4Address | None) -> IPv4Address:
    """One that no other server has, or still has; its own of before it gets if it is wanted. Raises `AddressTaken`,
    `AddressesExhausted`."""
    neighbours = (*tx.ports.all(subnet_id=subnet.id), *tx.ports.all(server_id=server.id))
    taken = {IPv4Address(port.address) for port in neighbours if port.address}
    detached = {IPv4Address(one.address): one for one in tx.detached.all(subnet_id=subnet.id)}
    last = detached.pop(wanted, None) if wanted else None
    if last is not None and last.server_id != server.id:
        owner = tx.servers.find(id=last.server_id)
        name = owner.name if owner and tx.servers.sees(owner) else "of another project"
        raise AddressTaken(f"taking address {wanted}", f"it is still on server {name} until its agent has let go of it")
    if last is not None:
        tx.detached.remove(id=last.id)
    return allocate(subnet.cidr, subnet.gateway, taken | detached.keys(), wanted)


def _port(tx: Transaction, server: Server, key: str, doing: str) -> tuple[Port, str]:
    """And its VPC's id."""
    port = find_port(tx, server, key, doing)
    subnet = tx.subnets.find(id=port.subnet_id)
    assert subnet is not None, "a subnet with ports is not deleted"
    return port, subnet.vpc_id


def _idle(tx: Transaction, key: str, doing: str) -> tuple[Server, Node]:
    """A server to which nothing is being done, for a deploy tells its OS of the NICs that it had. Raises `Refused`."""
    server = server_named(tx, key, doing)
    node = tx.nodes.get(server.node_id) if server.node_id else None
    if node is None:
        raise ServerMissing(doing, "it is deleted")
    if server.task_state is not None:
        raise TASK_REFUSALS[server.task_state](doing, f"the server is {server.task_state.value}")
    return server, node


def _physical_nic(tx: Transaction, server: Server, node: Node, nic: NicAttach, vpc: Vpc, doing: str) -> str | None:
    """The MAC of a free one; a NIC that is not flat takes none. Raises `BadParameter`, `NoNicFree`."""
    if vpc.segment is not Segment.FLAT:
        if nic.mac is not None:
            raise BadParameter(doing, f"mac: {vpc.name} is a {vpc.segment.value}, whose NICs are virtual")
        return None
    entry = tx.inventories.get(node.id)
    macs = physical(entry.inventory, node.boot_mac) if entry else ()
    used = {port.mac for port in tx.ports.all(server_id=server.id)} | set(server.bond.macs if server.bond else ())
    return _free(macs, used, nic.mac, doing)


def _free(macs: Sequence[str], used: set[str], wanted: str | None, doing: str) -> str:
    free = [mac for mac in macs if mac not in used]
    if wanted is not None and wanted not in free:
        why = "is in use" if wanted in used else f"is no NIC of the machine, which has {', '.join(macs) or 'none'}"
        raise BadParameter(doing, f"mac: {wanted} {why}")
    if not free:
        raise NoNicFree(doing, f"all of its {len(macs)} are in use")
    return wanted or free[0]


def _changed(controller: Controller, tx: Transaction, node: Node, port: Port, vpc_id: str) -> NicChange:
    wake_vpcs(tx, {vpc_id})
    node = publish(controller, tx, node.id)
    return NicChange(server_id=port.server_id, port_id=port.id, generation=node.generation)

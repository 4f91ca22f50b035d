# SPDX-License-Identifier: Apache-2.0
"""A server's network from the records, and which nodes a change of the records concerns.

Nodes other than the one that was ordered for are only woken: each asks, and is published for then, in a transaction of
its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Address

from pydantic import ValidationError

from agent.controller.records.network import Segment, Vpc
from agent.controller.records.server import Port, Server
from agent.controller.refusal import BadParameter
from agent.controller.rules.firewall import remotes
from agent.controller.rules.network import network_config
from agent.controller.rules.wiring import Attachment, Rules, Wiring
from agent.controller.store.database import Transaction
from agent.model.frozen import faults
from agent.model.network import NetworkConfig


def network_of(tx: Transaction, server: Server) -> NetworkConfig:
    """What it shall be. Raises `BadParameter` if what the records say is no sound network."""
    try:
        return network_config(wiring_of(tx, server))
    except ValidationError as error:
        raise BadParameter(f"composing the network of server {server.name}", faults(error)) from None


def attachments_of(tx: Transaction, server: Server) -> tuple[Attachment, ...]:
    """The server's ports in order, each with what it is attached to."""
    ports = sorted(tx.ports.all(server_id=server.id), key=lambda port: port.position)
    return tuple(_attachment(tx, port) for port in ports)


def _attachment(tx: Transaction, port: Port) -> Attachment:
    """Found, not got: what all servers share is not locked by each."""
    subnet = tx.subnets.find(id=port.subnet_id)
    vpc = tx.vpcs.find(id=subnet.vpc_id) if subnet else None
    assert subnet is not None, "networks in use are not deleted"
    assert vpc is not None, "networks in use are not deleted"
    return Attachment(port=port, subnet=subnet, vpc=vpc, eip=tx.eips.find(port_id=port.id))


def wiring_of(tx: Transaction, server: Server) -> Wiring:
    """All that decides its network."""
    attachments = attachments_of(tx, server)
    groups = {group: _rules(tx, group) for one in attachments for group in one.port.security_groups}
    vpcs = {one.vpc.id: one.vpc for one in attachments}
    wanted = {remote for group in groups.values() for remote in remotes(group.rules)}
    ports = {vpc.id: ports_in(tx, vpc.id) for vpc in vpcs.values() if wanted or vpc.segment is Segment.VXLAN}
    return Wiring(
        ports=attachments,
        bond=server.bond,
        drift=server.drift,
        groups=groups,
        members={(group, vpc): _members(ports[vpc], group) for group in wanted for vpc in vpcs},
        peers={vpc.id: _peers(tx, server, ports[vpc.id]) for vpc in vpcs.values() if vpc.segment is Segment.VXLAN},
    )


def ports_in(tx: Transaction, vpc_id: str) -> tuple[Port, ...]:
    """Every server's."""
    subnets = tuple(subnet.id for subnet in tx.subnets.all(vpc_id=vpc_id))
    return tx.ports.all(subnet_id=subnets) if subnets else ()


def _rules(tx: Transaction, group_id: str) -> Rules:
    group = tx.groups.find(id=group_id)
    assert group is not None, "a group in use is not deleted"
    return Rules(group.name, tuple(entry.rule for entry in tx.rules.all(group_id=group_id)))


def _members(ports: Iterable[Port], group: str) -> frozenset[IPv4Address]:
    return frozenset(IPv4Address(port.address) for port in ports if port.address and group in port.security_groups)


def _peers(tx: Transaction, server: Server, ports: Iterable[Port]) -> frozenset[IPv4Address]:
    """Primary addresses of the others."""
    others = tuple({port.server_id for port in ports} - {server.id})
    primary = tx.ports.all(server_id=others, position=0) if others else ()
    return frozenset(IPv4Address(port.address) for port in primary if port.address)


def wake_vpcs(tx: Transaction, vpcs: Collection[str]) -> None:
    """Somebody came, left, or changed groups: every server there may refer to it."""
    _wake(tx, (port for vpc in vpcs for port in ports_in(tx, vpc)))


def wake_group(tx: Transaction, group_id: str) -> None:
    """Its rules are others now."""
    _wake(tx, users_of(tx, group_id))


def users_of(tx: Transaction, group_id: str) -> Iterator[Port]:
    """Ports in the group."""
    return (port for port in tx.ports.all() if group_id in port.security_groups)


def _wake(tx: Transaction, ports: Iterable[Port]) -> None:
    servers = tuple({port.server_id for port in ports})
    if servers:
        tx.changed.update(server.node_id for server in tx.servers.all(id=servers) if server.node_id)


def release(tx: Transaction, ports: Collection[Port]) -> None:
    """Ports end: their EIPs are free, and who knew them is told."""
    vpcs: set[Vpc] = {_attachment(tx, port).vpc for port in ports}
    for port in ports:
        for eip in tx.eips.all(port_id=port.id):
            tx.eips.change(eip, port_id=None)
        tx.ports.remove(id=port.id)
    wake_vpcs(tx, {vpc.id for vpc in vpcs})


def let_go(tx: Transaction, server_id: str, generation: int | None = None) -> None:
    """The server has this generation and no address that it lost before; without one, it has nothing of before."""
    for one in tx.detached.all(server_id=server_id):
        if generation is None or generation >= one.generation:
            tx.detached.remove(id=one.id)

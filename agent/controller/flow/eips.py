# SPDX-License-Identifier: Apache-2.0
"""EIPs: public addresses that the operator has, each bound to one NIC of a server at a time."""

from __future__ import annotations

from uuid import uuid4

from pydantic import Field

from agent.controller.context import Controller
from agent.controller.flow.lookup import added, server_named, unused
from agent.controller.flow.nics import NicChange, find_port
from agent.controller.flow.publish import publish
from agent.controller.records.network import EipChange, EipSpec, ElasticIp
from agent.controller.refusal import BadParameter, InUse, Missing, ServerMissing
from agent.controller.store.database import Transaction
from agent.model.frozen import Frozen
from agent.program.log import Logger

log = Logger("controller")


class Binding(Frozen):
    """A server, and which of its NICs."""

    server: str
    port: str | None = Field(default=None, description="id, MAC or address; left out, it is the primary NIC")


def create_eip(controller: Controller, spec: EipSpec) -> ElasticIp:
    """Raises `BadParameter`, `NameTaken`."""
    doing = f"creating EIP {spec.address}"
    if spec.address.is_multicast or spec.address.is_loopback or spec.address.is_link_local or int(spec.address) == 0:
        raise BadParameter(doing, "address: it is no address for hosts")
    eip = ElasticIp(**spec.model_dump(), id=str(uuid4()), project=controller.project, created_at=controller.clock.now())
    with controller.write() as tx:
        inside = next((subnet for subnet in tx.subnets.all() if spec.address in subnet.cidr), None)
        if inside is not None:
            raise BadParameter(doing, f"address: it is within subnet {inside.name}")
        return added(tx.eips, eip, "EIP", str(eip.address))


def change_eip(controller: Controller, key: str, wanted: EipChange) -> ElasticIp:
    """Raises `Missing`."""
    with controller.write() as tx:
        eip = eip_named(tx, key, "changing an EIP")
        eip = tx.eips.change(eip, bandwidth_mbps=wanted.bandwidth_mbps)
        if eip.port_id is not None:
            _tell(controller, tx, eip.port_id)
        return eip


def delete_eip(controller: Controller, key: str) -> None:
    """Raises `Missing`, `InUse`."""
    with controller.write() as tx:
        eip = eip_named(tx, key, "deleting an EIP")
        unused(1 if eip.port_id else 0, "EIP", str(eip.address))
        tx.eips.remove(id=eip.id)


def bind(controller: Controller, key: str, wanted: Binding) -> NicChange:
    """Raises `Missing`, `InUse`, `BadParameter`."""
    with controller.write() as tx:
        eip = eip_named(tx, key, "binding an EIP")
        doing = f"binding EIP {eip.address}"
        server = server_named(tx, wanted.server, doing)
        if server.node_id is None or tx.nodes.get(server.node_id) is None:  # locked from here on
            raise ServerMissing(doing, "it is deleted")
        if eip.project not in (None, server.project):
            raise BadParameter(doing, f"server: the EIP is project {eip.project}'s, {server.name} is not")
        port = find_port(tx, server, wanted.port, doing)
        other = tx.eips.find(port_id=port.id)
        if eip.port_id is not None:
            raise InUse(doing, "it is bound already", hint=f"bmsctl eip unbind {eip.address}")
        if other is not None:
            raise InUse(doing, f"port: EIP {other.address} is bound to it", hint=f"bmsctl eip unbind {other.address}")
        if port.address is None:
            raise BadParameter(doing, "port: a DHCP server gives its address, so we do not know it")
        subnet = tx.subnets.find(id=port.subnet_id)
        if subnet is not None and not subnet.routed:
            raise BadParameter(doing, f"port: subnet {subnet.name} has no gateway")
        tx.eips.change(eip, port_id=port.id)
        log.info("EIP bound", eip=str(eip.address), server=server.id, port=port.id)
        return _tell(controller, tx, port.id)


def unbind(controller: Controller, key: str) -> NicChange:
    """Raises `Missing`, `BadParameter`."""
    with controller.write() as tx:
        eip = eip_named(tx, key, "unbinding an EIP")
        if eip.port_id is None:
            raise BadParameter(f"unbinding EIP {eip.address}", "it is bound to nothing")
        tx.eips.change(eip, port_id=None)
        log.info("EIP unbound", eip=str(eip.address), port=eip.port_id)
        return _tell(controller, tx, eip.port_id)


def eip_named(tx: Transaction, key: str, doing: str) -> ElasticIp:
    """By id or address. Raises `Missing`."""
    found = tx.eips.find(address=key)
    eip = tx.eips.get(found.id if found else key)
    if eip is None or not tx.eips.sees(eip):
        raise Missing(doing, f"there is no EIP {key}")
    return eip


def _tell(controller: Controller, tx: Transaction, port_id: str) -> NicChange:
    """Its server's node."""
    port = tx.ports.get(port_id)
    server = tx.servers.get(port.server_id) if port else None
    assert port is not None, "a port is released before it ends"
    assert server is not None, "servers are never deleted"
    assert server.node_id is not None, "a deleted server has no ports"
    node = publish(controller, tx, server.node_id)
    return NicChange(server_id=server.id, port_id=port.id, generation=node.generation)

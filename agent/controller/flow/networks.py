# SPDX-License-Identifier: Apache-2.0
"""VPCs and subnets are created, changed and deleted."""

from __future__ import annotations

from uuid import uuid4

from agent.controller.context import Controller
from agent.controller.flow.lookup import added, named, unused
from agent.controller.flow.network import wake_vpcs
from agent.controller.records.network import Segment, Subnet, SubnetChange, SubnetSpec, Vpc, VpcSpec
from agent.controller.refusal import Forbidden, Missing
from agent.controller.rules.addresses import check_routes, check_subnet, default_gateway
from agent.controller.rules.segments import check_mtu, free_number, segment_id
from agent.program.log import Logger

log = Logger("controller")


def create_vpc(controller: Controller, spec: VpcSpec) -> Vpc:
    """Whoever is of a project makes VXLANs, which reach the servers in them and nothing else: the wires, and the VLANs
    on them, are the cloud's. Raises `NameTaken`, `BadParameter`, `Forbidden`."""
    caller, doing = controller.caller, f"creating VPC {spec.name}"
    if caller and not caller.of_cloud and (spec.segment is not Segment.VXLAN or spec.segment_id is not None):
        raise Forbidden(doing, f"{caller.name} may create VPCs of segment vxlan without a segment_id alone")
    with controller.write() as tx:
        vpcs = tx.vpcs.all()
        taken = {vpc.segment_id for vpc in vpcs if vpc.segment is spec.segment and vpc.segment_id is not None}
        vpc = Vpc(
            id=str(uuid4()),
            name=spec.name,
            project=controller.project,
            cidr=spec.cidr,
            segment=spec.segment,
            segment_id=segment_id(spec.segment, spec.segment_id, taken, doing),
            number=free_number({vpc.number for vpc in vpcs}),
            created_at=controller.clock.now(),
        )
        return added(tx.vpcs, vpc, "VPC", vpc.name)


def delete_vpc(controller: Controller, key: str) -> None:
    """Raises `Missing`, `InUse`."""
    with controller.write() as tx:
        vpc = named(tx.vpcs, key, "deleting a VPC", Missing, "VPC", to_change=True)
        unused(tx.subnets.count(vpc_id=vpc.id), "VPC", vpc.name)
        tx.vpcs.remove(id=vpc.id)


def create_subnet(controller: Controller, spec: SubnetSpec) -> Subnet:
    """Raises `Missing`, `NameTaken`, `BadParameter`."""
    doing = f"creating subnet {spec.name}"
    with controller.write() as tx:
        vpc = named(tx.vpcs, spec.vpc, doing, Missing, "VPC", to_change=True)
        gateway = spec.gateway or default_gateway(spec.cidr)
        siblings = [subnet.cidr for subnet in tx.subnets.all(vpc_id=vpc.id)]
        check_subnet(spec.cidr, gateway, vpc.cidr, siblings)
        check_routes(spec.cidr, spec.routes, doing)
        check_mtu(vpc.segment, spec.mtu, doing)
        subnet = Subnet(
            id=str(uuid4()),
            name=spec.name,
            project=vpc.project,
            vpc_id=vpc.id,
            cidr=spec.cidr,
            gateway=gateway,
            dns=spec.dns,
            mtu=spec.mtu,
            dhcp=spec.dhcp,
            routes=spec.routes,
            routed=vpc.segment is not Segment.VXLAN if spec.routed is None else spec.routed,
            created_at=controller.clock.now(),
        )
        return added(tx.subnets, subnet, "subnet", subnet.name)


def change_subnet(controller: Controller, key: str, wanted: SubnetChange) -> Subnet:
    """Its servers are told. Raises `Missing`, `BadParameter`."""
    with controller.write() as tx:
        subnet = named(tx.subnets, key, "changing a subnet", Missing, "subnet", to_change=True)
        check_routes(subnet.cidr, wanted.routes or (), f"changing subnet {subnet.name}")
        changes = {name: getattr(wanted, name) for name in wanted.model_fields_set}
        changes = {name: value for name, value in changes.items() if value is not None}
        wake_vpcs(tx, {subnet.vpc_id})
        log.info("subnet changed", name=subnet.name, fields=sorted(changes))
        return tx.subnets.change(subnet, **changes) if changes else subnet


def delete_subnet(controller: Controller, key: str) -> None:
    """Raises `Missing`, `InUse`."""
    with controller.write() as tx:
        subnet = named(tx.subnets, key, "deleting a subnet", Missing, "subnet", to_change=True)
        users = tx.ports.count(subnet_id=subnet.id) + tx.detached.count(subnet_id=subnet.id)
        unused(users, "subnet", subnet.name)
        tx.subnets.remove(id=subnet.id)

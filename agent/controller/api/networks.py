# SPDX-License-Identifier: Apache-2.0
"""The user's face: VPCs and subnets."""

from __future__ import annotations

from fastapi import APIRouter

from agent.controller.api.auth import Acting
from agent.controller.flow import networks
from agent.controller.flow.lookup import named
from agent.controller.records.network import Subnet, SubnetChange, SubnetSpec, Vpc, VpcSpec
from agent.controller.refusal import Missing

router = APIRouter(prefix="/v1", tags=["networks"])


@router.post("/vpcs", status_code=201)
def post_vpc(spec: VpcSpec, controller: Acting) -> Vpc:
    """Create a VPC: flat, or told apart by VLAN or VXLAN."""
    return networks.create_vpc(controller, spec)


@router.get("/vpcs")
def get_vpcs(controller: Acting) -> tuple[Vpc, ...]:
    """Every VPC."""
    with controller.read() as tx:
        return tx.vpcs.visible()


@router.get("/vpcs/{key}")
def get_vpc(key: str, controller: Acting) -> Vpc:
    """One VPC, by id or name."""
    with controller.read() as tx:
        return named(tx.vpcs, key, "showing a VPC", Missing, "VPC")


@router.delete("/vpcs/{key}", status_code=204)
def delete_vpc(key: str, controller: Acting) -> None:
    """Delete a VPC without subnets."""
    networks.delete_vpc(controller, key)


@router.post("/subnets", status_code=201)
def post_subnet(spec: SubnetSpec, controller: Acting) -> Subnet:
    """Create a subnet in a VPC."""
    return networks.create_subnet(controller, spec)


@router.get("/subnets")
def get_subnets(controller: Acting) -> tuple[Subnet, ...]:
    """Every subnet."""
    with controller.read() as tx:
        return tx.subnets.visible()


@router.get("/subnets/{key}")
def get_subnet(key: str, controller: Acting) -> Subnet:
    """One subnet, by id or name."""
    with controller.read() as tx:
        return named(tx.subnets, key, "showing a subnet", Missing, "subnet")


@router.patch("/subnets/{key}")
def patch_subnet(key: str, wanted: SubnetChange, controller: Acting) -> Subnet:
    """Change its name servers or routes; its servers are told."""
    return networks.change_subnet(controller, key, wanted)


@router.delete("/subnets/{key}", status_code=204)
def delete_subnet(key: str, controller: Acting) -> None:
    """Delete a subnet without servers."""
    networks.delete_subnet(controller, key)

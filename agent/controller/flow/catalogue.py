# SPDX-License-Identifier: Apache-2.0
"""What servers are made of is created and deleted: flavors, VPCs, subnets, key pairs."""

from __future__ import annotations

from typing import TypeVar
from uuid import uuid4

import structlog

from agent.controller.context import Controller
from agent.controller.flow.lookup import LIVING, named
from agent.controller.records.catalogue import (
    Flavor,
    FlavorSpec,
    KeyPair,
    KeyPairSpec,
    Subnet,
    SubnetSpec,
    Vpc,
    VpcSpec,
)
from agent.controller.refusal import InUse, Missing, NameTaken
from agent.controller.rules.addresses import check_subnet, default_gateway
from agent.controller.rules.keypair import fingerprint
from agent.controller.store.shelf import Shelf
from agent.model.frozen import Frozen

R = TypeVar("R", bound=Frozen)

log = structlog.get_logger("controller")


def create_flavor(controller: Controller, spec: FlavorSpec) -> Flavor:
    """Raises `NameTaken`."""
    flavor = Flavor(**spec.model_dump(), id=str(uuid4()), created_at=controller.clock.now())
    with controller.write() as tx:
        return _add(tx.flavors, flavor, "flavor", flavor.name)


def delete_flavor(controller: Controller, key: str) -> None:
    """Raises `Missing`, `InUse`."""
    with controller.write() as tx:
        flavor = named(tx.flavors, key, "deleting a flavor", Missing, "flavor")
        _unused(tx.servers.count(flavor_id=flavor.id, status=LIVING), "flavor", flavor.name)
        tx.flavors.remove(id=flavor.id)


def create_vpc(controller: Controller, spec: VpcSpec) -> Vpc:
    """Raises `NameTaken`."""
    vpc = Vpc(**spec.model_dump(), id=str(uuid4()), created_at=controller.clock.now())
    with controller.write() as tx:
        return _add(tx.vpcs, vpc, "VPC", vpc.name)


def delete_vpc(controller: Controller, key: str) -> None:
    """Raises `Missing`, `InUse`."""
    with controller.write() as tx:
        vpc = named(tx.vpcs, key, "deleting a VPC", Missing, "VPC")
        _unused(tx.subnets.count(vpc_id=vpc.id), "VPC", vpc.name)
        tx.vpcs.remove(id=vpc.id)


def create_subnet(controller: Controller, spec: SubnetSpec) -> Subnet:
    """Raises `Missing`, `NameTaken`, `BadParameter`."""
    with controller.write() as tx:
        vpc = named(tx.vpcs, spec.vpc, "creating a subnet", Missing, "VPC")
        gateway = spec.gateway or default_gateway(spec.cidr)
        siblings = [subnet.cidr for subnet in tx.subnets.all(vpc_id=vpc.id)]
        check_subnet(spec.cidr, gateway, vpc.cidr, siblings)
        subnet = Subnet(
            id=str(uuid4()),
            name=spec.name,
            vpc_id=vpc.id,
            cidr=spec.cidr,
            gateway=gateway,
            dns=spec.dns,
            mtu=spec.mtu,
            dhcp=spec.dhcp,
            created_at=controller.clock.now(),
        )
        return _add(tx.subnets, subnet, "subnet", subnet.name)


def delete_subnet(controller: Controller, key: str) -> None:
    """Raises `Missing`, `InUse`."""
    with controller.write() as tx:
        subnet = named(tx.subnets, key, "deleting a subnet", Missing, "subnet")
        _unused(tx.ports.count(subnet_id=subnet.id), "subnet", subnet.name)
        tx.subnets.remove(id=subnet.id)


def create_keypair(controller: Controller, spec: KeyPairSpec) -> KeyPair:
    """Raises `BadKey`, `NameTaken`."""
    keypair = KeyPair(
        name=spec.name,
        public_key=spec.public_key.strip(),
        fingerprint=fingerprint(spec.public_key),
        created_at=controller.clock.now(),
    )
    with controller.write() as tx:
        return _add(tx.keypairs, keypair, "key pair", keypair.name)


def delete_keypair(controller: Controller, name: str) -> None:
    """Raises `Missing`, `InUse`."""
    with controller.write() as tx:
        if tx.keypairs.get(name) is None:
            raise Missing("deleting a key pair", f"there is no key pair {name}")
        _unused(tx.servers.count(key_name=name, status=LIVING), "key pair", name)
        tx.keypairs.remove(name=name)


def _add(shelf: Shelf[R], record: R, kind: str, name: str) -> R:
    if not shelf.try_add(record):
        raise NameTaken(f"creating {kind} {name}", "there is one of that name already")
    log.info(f"{kind} created", name=name)
    return record


def _unused(users: int, kind: str, name: str) -> None:
    if users:
        raise InUse(f"deleting {kind} {name}", f"{users} {'user' if users == 1 else 'users'} left")

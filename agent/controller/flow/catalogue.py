# SPDX-License-Identifier: Apache-2.0
"""What servers are made of is created and deleted: flavors, images, VPCs, subnets, key pairs."""

from __future__ import annotations

from typing import TypeVar
from uuid import uuid4

import structlog
from pydantic import Field

from agent.controller.context import Controller
from agent.controller.flow.lookup import LIVING, named
from agent.controller.images import Measured
from agent.controller.records.catalogue import (
    Flavor,
    FlavorSpec,
    Image,
    ImageSpec,
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
from agent.model.image import SHA256_PATTERN

R = TypeVar("R", bound=Frozen)

log = structlog.get_logger("controller")


class RemoteImage(ImageSpec):
    """An image that the nodes fetch from its owner's server."""

    url: str = Field(pattern=r"^https?://\S+$")
    sha256: str = Field(pattern=SHA256_PATTERN)
    file_bytes: int | None = Field(default=None, gt=0)
    size_bytes: int | None = Field(default=None, gt=0, description="of the disk it unpacks to")


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


def register_image(controller: Controller, spec: RemoteImage) -> Image:
    """Raises `NameTaken`."""
    image = Image(**spec.model_dump(), id=str(uuid4()), created_at=controller.clock.now())
    with controller.write() as tx:
        return _add(tx.images, image, "image", image.name)


def keep_image(controller: Controller, image_id: str, spec: ImageSpec, measured: Measured) -> Image:
    """An uploaded file is an image from now on. Raises `NameTaken`."""
    image = Image(
        **spec.model_dump(),
        id=image_id,
        sha256=measured.sha256,
        file_bytes=measured.file_bytes,
        size_bytes=measured.size_bytes,
        created_at=controller.clock.now(),
    )
    with controller.write() as tx:
        return _add(tx.images, image, "image", image.name)


def refuse_taken_image(controller: Controller, name: str) -> None:
    """Before gigabytes are sent. Raises `NameTaken`."""
    with controller.read() as tx:
        if tx.images.find(name=name) is not None:
            raise NameTaken("creating an image", f"there is an image {name} already")


def delete_image(controller: Controller, key: str) -> Image:
    """Raises `Missing`, `InUse`. The file of an uploaded one is the caller's to remove."""
    with controller.write() as tx:
        image = named(tx.images, key, "deleting an image", Missing, "image")
        _unused(tx.servers.count(image_id=image.id, status=LIVING), "image", image.name)
        tx.images.remove(id=image.id)
        return image


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

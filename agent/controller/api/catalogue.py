# SPDX-License-Identifier: Apache-2.0
"""The user's face: flavors, key pairs."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from agent.controller.api.auth import Acting, cloud
from agent.controller.flow import catalogue
from agent.controller.flow.lookup import named
from agent.controller.records.catalogue import Flavor, FlavorSpec, KeyPair, KeyPairSpec
from agent.controller.refusal import Missing

router = APIRouter(prefix="/v1", tags=["catalogue"])
of_cloud = [Depends(cloud)]


@router.post("/flavors", status_code=201, dependencies=of_cloud)
def post_flavor(spec: FlavorSpec, controller: Acting) -> Flavor:
    """Create a flavor."""
    return catalogue.create_flavor(controller, spec)


@router.get("/flavors")
def get_flavors(controller: Acting) -> tuple[Flavor, ...]:
    """Every flavor."""
    with controller.read() as tx:
        return tx.flavors.visible()


@router.get("/flavors/{key}")
def get_flavor(key: str, controller: Acting) -> Flavor:
    """One flavor, by id or name."""
    with controller.read() as tx:
        return named(tx.flavors, key, "showing a flavor", Missing, "flavor")


@router.delete("/flavors/{key}", status_code=204, dependencies=of_cloud)
def delete_flavor(key: str, controller: Acting) -> None:
    """Delete a flavor that no server has."""
    catalogue.delete_flavor(controller, key)


@router.post("/keypairs", status_code=201)
def post_keypair(spec: KeyPairSpec, controller: Acting) -> KeyPair:
    """Keep a public key under a name."""
    return catalogue.create_keypair(controller, spec)


@router.get("/keypairs")
def get_keypairs(controller: Acting) -> tuple[KeyPair, ...]:
    """Every key pair."""
    with controller.read() as tx:
        return tx.keypairs.visible()


@router.get("/keypairs/{name}")
def get_keypair(name: str, controller: Acting) -> KeyPair:
    """One key pair."""
    with controller.read() as tx:
        return catalogue.keypair_named(tx, name, "showing a key pair", Missing)


@router.delete("/keypairs/{name}", status_code=204)
def delete_keypair(name: str, controller: Acting) -> None:
    """Forget a key pair that no server has."""
    catalogue.delete_keypair(controller, name)

# SPDX-License-Identifier: Apache-2.0
"""The user's face: flavors, key pairs."""

from __future__ import annotations

from fastapi import APIRouter

from agent.controller.api.auth import Here
from agent.controller.flow import catalogue
from agent.controller.flow.lookup import named
from agent.controller.records.catalogue import Flavor, FlavorSpec, KeyPair, KeyPairSpec
from agent.controller.refusal import Missing

router = APIRouter(prefix="/v1", tags=["catalogue"])


@router.post("/flavors", status_code=201)
def post_flavor(spec: FlavorSpec, controller: Here) -> Flavor:
    """Create a flavor."""
    return catalogue.create_flavor(controller, spec)


@router.get("/flavors")
def get_flavors(controller: Here) -> tuple[Flavor, ...]:
    """Every flavor."""
    with controller.read() as tx:
        return tx.flavors.all()


@router.get("/flavors/{key}")
def get_flavor(key: str, controller: Here) -> Flavor:
    """One flavor, by id or name."""
    with controller.read() as tx:
        return named(tx.flavors, key, "showing a flavor", Missing, "flavor")


@router.delete("/flavors/{key}", status_code=204)
def delete_flavor(key: str, controller: Here) -> None:
    """Delete a flavor that no server has."""
    catalogue.delete_flavor(controller, key)


@router.post("/keypairs", status_code=201)
def post_keypair(spec: KeyPairSpec, controller: Here) -> KeyPair:
    """Keep a public key under a name."""
    return catalogue.create_keypair(controller, spec)


@router.get("/keypairs")
def get_keypairs(controller: Here) -> tuple[KeyPair, ...]:
    """Every key pair."""
    with controller.read() as tx:
        return tx.keypairs.all()


@router.get("/keypairs/{name}")
def get_keypair(name: str, controller: Here) -> KeyPair:
    """One key pair."""
    with controller.read() as tx:
        keypair = tx.keypairs.get(name)
    if keypair is None:
        raise Missing("showing a key pair", f"there is no key pair {name}")
    return keypair


@router.delete("/keypairs/{name}", status_code=204)
def delete_keypair(name: str, controller: Here) -> None:
    """Forget a key pair that no server has."""
    catalogue.delete_keypair(controller, name)

# SPDX-License-Identifier: Apache-2.0
"""What servers are made of is created and deleted: flavors and key pairs."""

from __future__ import annotations

from uuid import uuid4

from agent.controller.context import Controller
from agent.controller.flow.lookup import LIVING, added, named, unused
from agent.controller.records.catalogue import Flavor, FlavorSpec, KeyPair, KeyPairSpec
from agent.controller.refusal import Missing, Refused
from agent.controller.rules.keypair import fingerprint
from agent.controller.store.database import Transaction


def create_flavor(controller: Controller, spec: FlavorSpec) -> Flavor:
    """Raises `NameTaken`."""
    flavor = Flavor(**spec.model_dump(), id=str(uuid4()), created_at=controller.clock.now())
    with controller.write() as tx:
        return added(tx.flavors, flavor, "flavor", flavor.name)


def delete_flavor(controller: Controller, key: str) -> None:
    """Raises `Missing`, `InUse`."""
    with controller.write() as tx:
        flavor = named(tx.flavors, key, "deleting a flavor", Missing, "flavor")
        unused(tx.servers.count(flavor_id=flavor.id, status=LIVING), "flavor", flavor.name)
        tx.flavors.remove(id=flavor.id)


def create_keypair(controller: Controller, spec: KeyPairSpec) -> KeyPair:
    """Raises `BadKey`, `NameTaken`."""
    keypair = KeyPair(
        name=spec.name,
        public_key=spec.public_key.strip(),
        fingerprint=fingerprint(spec.public_key),
        project=controller.project,
        created_at=controller.clock.now(),
    )
    with controller.write() as tx:
        return added(tx.keypairs, keypair, "key pair", keypair.name)


def delete_keypair(controller: Controller, name: str) -> None:
    """Raises `Missing`, `InUse`."""
    with controller.write() as tx:
        keypair_named(tx, name, "deleting a key pair", Missing)
        unused(tx.servers.count(key_name=name, status=LIVING), "key pair", name)
        tx.keypairs.remove(name=name)


def keypair_named(tx: Transaction, name: str, doing: str, refusal: type[Refused]) -> KeyPair:
    """Raises the refusal."""
    keypair = tx.keypairs.get(name)
    if keypair is None or not tx.keypairs.sees(keypair):
        raise refusal(doing, f"there is no key pair {name}")
    return keypair

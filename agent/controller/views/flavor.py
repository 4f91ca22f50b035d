# SPDX-License-Identifier: Apache-2.0
"""A node held against a flavor, as its operator sees it: field by field, of the inventory that it last told."""

from __future__ import annotations

from datetime import datetime

from agent.controller.records.catalogue import Flavor
from agent.controller.records.node import Node
from agent.controller.refusal import NotAllowed
from agent.controller.store.database import Transaction
from agent.model.flavor import Comparison, compared
from agent.model.frozen import Frozen


class FlavorCheck(Frozen):
    """Whether the node is what the flavor says. Its state, and what an order wants beside, are not looked at."""

    node: str
    flavor: str
    fits: bool
    fields: tuple[Comparison, ...]
    inventory_at: datetime


def flavor_check(tx: Transaction, node: Node, flavor: Flavor) -> FlavorCheck:
    """Raises `NotAllowed` of a node that has told no inventory yet."""
    entry = tx.inventories.get(node.id)
    if entry is None:
        raise NotAllowed(f"comparing {node.name} with {flavor.name}", "it has told nothing of its hardware yet")
    fields = compared(entry.inventory, flavor)
    return FlavorCheck(
        node=node.name,
        flavor=flavor.name,
        fits=all(one.fits for one in fields),
        fields=fields,
        inventory_at=entry.taken_at,
    )

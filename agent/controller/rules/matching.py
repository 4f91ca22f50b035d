# SPDX-License-Identifier: Apache-2.0
"""Whether a node can be a server: flavor, image and order against the node's inventory, with a reason per field.

One function serves the order that takes a node and the answer that says why none fits.
"""

from __future__ import annotations

from agent.controller.records.catalogue import Flavor
from agent.controller.records.erasure import QuarantinedDisk
from agent.controller.records.image import Image
from agent.controller.records.node import Node, NodeState
from agent.controller.rules.erasure import quarantined
from agent.controller.rules.root_device import choose, held, needed_bytes
from agent.model.disk import Disk, RootDeviceHints
from agent.model.fact import Unknown
from agent.model.flavor import compared
from agent.model.frozen import Frozen
from agent.model.inventory import Inventory
from agent.model.network import Nic
from agent.model.system import System


class Fit(Frozen):
    """A node as judged: the root disk if it fits, the reasons if it does not."""

    node_id: str
    node_name: str
    disk: Disk | None = None
    reasons: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """It can be the server."""
        return not self.reasons


def match(
    node: Node,
    inventory: Inventory,
    flavor: Flavor,
    image: Image,
    nics: int,
    hints: RootDeviceHints | None,
    apart: tuple[QuarantinedDisk, ...] = (),
) -> Fit:
    """Judge a node for an order with that many NICs. Disks in quarantine are nobody's, also those that are accepted."""
    refused = _quarantine(node, inventory.disks, apart)
    inventory = inventory.model_copy(update={"disks": _free(inventory.disks, apart)})
    chosen = _root_disk(inventory, image, hints)
    reasons = (
        *_state(node),
        *refused,
        *(one.reason for one in compared(inventory, flavor) if not one.fits),
        *([chosen] if isinstance(chosen, str) else []),
        *([] if node.clean else _data(node, inventory.disks)),
        *_ordered(inventory.nics, nics),
        *_bootable(inventory.system, image),
    )
    disk = chosen if isinstance(chosen, Disk) and not reasons else None
    return Fit(node_id=node.id, node_name=node.name, disk=disk, reasons=reasons)


def misfits(fits: list[Fit]) -> str:
    """Why none fits: a line per node, its reasons behind it."""
    if not fits:
        return "there is no node yet: boot a machine over the network"
    return "\n".join(f"{fit.node_name}: {'; '.join(fit.reasons)}" for fit in fits)


def _state(node: Node) -> list[str]:
    reasons = [] if node.state is NodeState.AVAILABLE else [f"state: must be available, node is {node.state.value}"]
    if node.state is NodeState.AVAILABLE and node.job_id is not None:
        reasons.append("job: its hardware is being tested")
    return [*reasons, "maintenance: node is in maintenance"] if node.maintenance else reasons


def _root_disk(inventory: Inventory, image: Image, hints: RootDeviceHints | None) -> Disk | str | None:
    if isinstance(inventory.disks, Unknown):
        return None  # said by the flavor's comparison already
    return choose(inventory.disks, needed_bytes(image.min_disk_gb, image.size_bytes), hints, image.sector_bytes)


def _data(node: Node, disks: tuple[Disk, ...] | Unknown) -> list[str]:
    """A new server sees every local disk, so none of them may hold what was another's."""
    if isinstance(disks, Unknown):
        return []
    return [f"data: {what}; erase it with: bmsctl node clean {node.name}" for what in held(disks)]


def _quarantine(node: Node, disks: tuple[Disk, ...] | Unknown, apart: tuple[QuarantinedDisk, ...]) -> list[str]:
    """A disk that nobody proved erased, is still in there, and was not accepted."""
    there = () if isinstance(disks, Unknown) else disks
    kept = [entry for disk in there if (entry := quarantined(disk, apart, node.id))]
    return [
        f"quarantine: disk {entry.disk} may hold a former tenant's data ({told(entry, node)}); take it out, or accept "
        f"it with: bmsctl node quarantine {node.name} {entry.disk} --accept"
        for entry in kept
        if not entry.is_accepted(node.id)
    ]


def told(entry: QuarantinedDisk, node: Node) -> str:
    """Why a disk is set apart, and who says so, where that is another node than the one that it is in."""
    return entry.why if entry.said_by == node.id else f"{entry.why}, says node {entry.said_by}"


def _free(disks: tuple[Disk, ...] | Unknown, apart: tuple[QuarantinedDisk, ...]) -> tuple[Disk, ...] | Unknown:
    """Without those in quarantine."""
    return disks if isinstance(disks, Unknown) else tuple(disk for disk in disks if quarantined(disk, apart) is None)


def _ordered(nics: tuple[Nic, ...] | Unknown, ordered: int) -> list[str]:
    """What is unknown was said by the flavor's comparison."""
    if isinstance(nics, Unknown) or len(nics) >= ordered:
        return []
    return [f"nics: the order wants {ordered}, node has {len(nics)}"]


def _bootable(system: System | Unknown, image: Image) -> list[str]:
    """The same of how it boots."""
    if isinstance(system, Unknown) or image.firmware in ("both", system.firmware_mode.value):
        return []
    return [f"firmware: image {image.name} boots by {image.firmware}, node boots by {system.firmware_mode}"]

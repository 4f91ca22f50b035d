# SPDX-License-Identifier: Apache-2.0
"""Whether a node can be a server: flavor, image and order against the node's inventory, with a reason per field.

One function serves the order that takes a node and the answer that says why none fits.
"""

from __future__ import annotations

from agent.controller.records.catalogue import Flavor, Media
from agent.controller.records.image import Image
from agent.controller.records.node import Node, NodeState
from agent.controller.rules.root_device import choose, held, local_disks, needed_bytes
from agent.model.disk import GB, MIB, Disk, RootDeviceHints
from agent.model.fact import Unknown, known
from agent.model.frozen import Frozen
from agent.model.inventory import Inventory
from agent.model.network import Nic
from agent.model.system import Cpu, Memory, System


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
    node: Node, inventory: Inventory, flavor: Flavor, image: Image, nics: int, hints: RootDeviceHints | None
) -> Fit:
    """Judge a node for an order with that many NICs."""
    chosen = _root_disk(inventory, image, hints)
    reasons = (
        *_state(node),
        *_cpu(inventory.cpu, flavor),
        *_memory(inventory.memory, flavor),
        *_disks(inventory.disks, flavor),
        *([chosen] if isinstance(chosen, str) else []),
        *([] if node.clean else _data(node, inventory.disks)),
        *_nics(inventory.nics, flavor, nics),
        *_firmware(inventory.system, flavor, image),
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
    return [*reasons, "maintenance: node is in maintenance"] if node.maintenance else reasons


def _cpu(cpu: Cpu | Unknown, flavor: Flavor) -> list[str]:
    if isinstance(cpu, Unknown):
        return [f"cpu: {cpu}"]
    reasons = []
    if cpu.architecture != flavor.cpu_arch:
        reasons.append(f"cpu_arch: flavor wants {flavor.cpu_arch}, node has {cpu.architecture}")
    cores = known(cpu.cores) or cpu.threads
    if cores < flavor.cores:
        reasons.append(f"cores: flavor wants {flavor.cores}, node has {cores}")
    return reasons


def _memory(memory: Memory | Unknown, flavor: Flavor) -> list[str]:
    """Modules are counted where SMBIOS tells them: the kernel keeps some of the memory to itself."""
    if isinstance(memory, Unknown):
        return [f"ram_mb: {memory}"]
    ram_mb = max(memory.total_bytes, known(memory.physical_bytes) or 0) // MIB
    return [] if ram_mb >= flavor.ram_mb else [f"ram_mb: flavor wants {flavor.ram_mb}, node has {ram_mb}"]


def _disks(disks: tuple[Disk, ...] | Unknown, flavor: Flavor) -> list[str]:
    if isinstance(disks, Unknown):
        return [f"disks: {disks}"]
    fitting = [disk for disk in local_disks(disks) if _disk_fits(disk, flavor)]
    if len(fitting) >= flavor.disks:
        return []
    media = f" {flavor.disk_media.value}" if flavor.disk_media else ""
    found = ", ".join(f"{disk.name} {disk.size_bytes // GB} GB {_media(disk)}" for disk in local_disks(disks))
    return [f"disks: flavor wants {flavor.disks} of at least {flavor.disk_gb} GB{media}, node has {found or 'none'}"]


def _disk_fits(disk: Disk, flavor: Flavor) -> bool:
    return disk.size_bytes >= flavor.disk_gb * GB and flavor.disk_media in (None, _media(disk))


def _media(disk: Disk) -> str:
    match known(disk.rotational):
        case True:
            return Media.HDD.value
        case False:
            return Media.SSD.value
        case None:
            return "of unknown media"


def _root_disk(inventory: Inventory, image: Image, hints: RootDeviceHints | None) -> Disk | str | None:
    if isinstance(inventory.disks, Unknown):
        return None  # said by `_disks` already
    return choose(inventory.disks, needed_bytes(image.min_disk_gb, image.size_bytes), hints, image.sector_bytes)


def _data(node: Node, disks: tuple[Disk, ...] | Unknown) -> list[str]:
    """A new server sees every local disk, so none of them may hold what was another's."""
    if isinstance(disks, Unknown):
        return []
    return [f"data: {what}; erase it with: bmsctl node clean {node.name}" for what in held(disks)]


def _nics(nics: tuple[Nic, ...] | Unknown, flavor: Flavor, ordered: int) -> list[str]:
    if isinstance(nics, Unknown):
        return [f"nics: {nics}"]
    fitting = [nic for nic in nics if flavor.nic_mbps is None or (known(nic.speed_mbps) or 0) >= flavor.nic_mbps]
    reasons = []
    if len(fitting) < flavor.nics:
        speed = f" of at least {flavor.nic_mbps} Mbit/s" if flavor.nic_mbps else ""
        reasons.append(f"nics: flavor wants {flavor.nics}{speed}, node has {len(fitting)}")
    if len(nics) < ordered:
        reasons.append(f"nics: the order wants {ordered}, node has {len(nics)}")
    return reasons


def _firmware(system: System | Unknown, flavor: Flavor, image: Image) -> list[str]:
    if isinstance(system, Unknown):
        return [f"firmware: {system}"]
    mode = system.firmware_mode
    reasons = []
    if flavor.firmware not in (None, mode):
        reasons.append(f"firmware: flavor wants {flavor.firmware}, node boots by {mode}")
    if image.firmware not in ("both", mode.value):
        reasons.append(f"firmware: image {image.name} boots by {image.firmware}, node boots by {mode}")
    return reasons

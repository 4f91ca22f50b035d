# SPDX-License-Identifier: Apache-2.0
"""PCI functions in full, and the graphics processors among them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from agent.host.doors import Files, Host
from agent.inventory.devices import PCI, PciWords, pci_device, pci_words
from agent.inventory.fact import attempt
from agent.inventory.folder import Folder, each
from agent.inventory.hardware.names import Book, Names, class_name
from agent.model.devices import PciDevice
from agent.model.fact import Fact
from agent.model.hardware.device import Gpu, PciInFull, PciLink

GPU_CLASSES = ("0300", "0302", "0380", "1200")
SPEED = re.compile(r"([0-9.]+) GT/s")
NOT_TOLD = 255  # max_link_width of a function without PCI Express behind its capability
NVIDIA = "/proc/driver/nvidia/gpus"
NVIDIA_MEMORY = re.compile(r"Video Memory:\s+([0-9]+) MiB|FB Memory Total:\s+([0-9]+) MiB")
MIB = 1024**2


def pci(host: Host) -> tuple[PciInFull, ...]:
    """Every function, by its address. Raises `HostError`, `DecodeError`."""
    book = Book(host, "pci")
    found = ((address, one, pci_words(one)) for address, one in each(host.files, PCI))
    return tuple(
        function(one, pci_device(address, one, words), words, book.of(address)) for address, one, words in found
    )


def function(one: Folder, device: PciDevice, words: PciWords, known: Names) -> PciInFull:
    """One of them, of which the numbers are known. Raises `HostError`, `DecodeError`."""
    return PciInFull(
        **dict(device),
        class_name=class_name(device.device_class),
        vendor_name=known.vendor,
        product_name=known.product,
        subsystem=words.subsystem,
        driver=words.driver,
        link=link(one),
    )


def link(one: Folder) -> PciLink | None:
    """PCI Express as it is trained now; `None` for what is not on it, or has no partner."""
    if "current_link_width" not in one:
        return None
    width, best = one.whole("current_link_width"), one.whole("max_link_width")
    found = PciLink(
        speed_gts=speed(one, "current_link_speed"),
        width_lanes=width or None,
        best_speed_gts=speed(one, "max_link_speed"),
        best_width_lanes=best if best and best != NOT_TOLD else None,
    )
    return found if found != PciLink() else None


def speed(one: Folder, name: str) -> float | None:
    """Such as 8.0 GT/s PCIe; the kernel says Unknown where there is no link."""
    match = SPEED.match(one.line(name) or "")
    return float(match[1]) if match else None


def gpus(files: Files, functions: Iterable[PciInFull]) -> tuple[Gpu, ...]:
    """Those that show pictures, and those that only compute. Raises `HostError`."""
    return tuple(gpu(files, one) for one in functions if one.device_class.startswith(GPU_CLASSES))


def gpu(files: Files, one: PciInFull) -> Gpu:
    """One. Raises `HostError`."""
    at = Folder(files, f"{PCI}/{one.address}")
    return Gpu(
        address=one.address,
        vendor=one.vendor,
        product=one.product,
        vendor_name=one.vendor_name,
        product_name=one.product_name,
        driver=one.driver,
        memory_bytes=attempt(lambda: memory_bytes(files, at, one.address)),
        numa_node=one.numa_node,
        is_console=console(at),
    )


def console(at: Folder) -> Fact[bool]:
    """Whether it is the one that the firmware uses."""
    shown = at.number("boot_vga")
    return bool(shown) if isinstance(shown, int) else shown


def memory_bytes(files: Files, at: Folder, address: str) -> int | None:
    """By AMD's driver, by NVIDIA's, else the largest prefetchable window. Raises `HostError`, `DecodeError`."""
    if total := at.whole("mem_info_vram_total"):
        return total
    told = f"{NVIDIA}/{address}/information"
    if files.exists(told) and (match := NVIDIA_MEMORY.search(files.read_text(told))):
        return int(match[1] or match[2]) * MIB
    return largest_window(at)


def largest_window(at: Folder) -> int | None:
    """Lines of start, end and flags; 0x2000 is prefetchable (linux/ioport.h). Raises `HostError`, `DecodeError`."""
    text = (at.raw("resource") or b"").decode("ascii", errors="replace")
    rows = [re.fullmatch(r"0x([0-9a-f]+) 0x([0-9a-f]+) 0x([0-9a-f]+)", row) for row in text.splitlines()[:6]]
    spans = [(int(row[1], 16), int(row[2], 16)) for row in rows if row and int(row[3], 16) & 0x2000]
    return max((end - start + 1 for start, end in spans if end > start), default=None)

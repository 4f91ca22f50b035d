# SPDX-License-Identifier: Apache-2.0
"""USB devices in full."""

from __future__ import annotations

import re

from agent.errors import DecodeError
from agent.host.doors import Host
from agent.inventory.devices import plugged
from agent.inventory.folder import Folder
from agent.inventory.hardware.names import Book, Names
from agent.model.hardware.device import UsbInFull


def usb(host: Host) -> tuple[UsbInFull, ...]:
    """Every device but hubs. Raises `HostError`, `DecodeError`."""
    found = list(plugged(host.files))
    if not found:
        return ()
    book = Book(host, "usb")
    return tuple(device(name, one, book.of(name)) for name, one in found)


def device(name: str, one: Folder, known: Names) -> UsbInFull:
    """One. It has words for itself, or udev has them. Raises `HostError`, `DecodeError`."""
    speed = one.line("speed") or ""
    return UsbInFull(
        port=name,
        bus=one.whole("busnum") or 0,
        number=one.whole("devnum") or 0,
        vendor=number(one, "idVendor"),
        product=number(one, "idProduct"),
        vendor_name=one.words("manufacturer") or known.vendor,
        product_name=one.words("product") or known.product,
        serial=one.words("serial"),
        speed_mbps=float(speed) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", speed) else None,
    )


def number(one: Folder, name: str) -> str:
    """Four hexadecimal digits. Raises `HostError`, `DecodeError`."""
    text = one.line(name) or ""
    if not re.fullmatch(r"[0-9a-f]{4}", text):
        raise DecodeError(f"reading {one.path}/{name}", f"{text!r} is no number of a USB device")
    return text

# SPDX-License-Identifier: Apache-2.0
"""Whether a device has as many lanes, as fast, as it could have: what its PCI function says of its link. Pure."""

from __future__ import annotations

from agent.model.fact import Unknown
from agent.model.hardware import Hardware
from agent.model.hardware.device import PciLink


def link_of(hardware: Hardware, address: str | None) -> PciLink | None:
    """Of the function at that address; `None` where there is none, or it is not known."""
    if address is None or isinstance(hardware.pci_devices, Unknown):
        return None
    return next((one.link for one in hardware.pci_devices if one.address == address), None)


def short_of(link: PciLink) -> str | None:
    """What is missing, in words; `None` for a link that is as good as it can be, or that does not tell."""
    said = []
    if link.width_lanes and link.best_width_lanes and link.width_lanes < link.best_width_lanes:
        said.append(f"{link.width_lanes} of {link.best_width_lanes} lanes")
    if link.speed_gts and link.best_speed_gts and link.speed_gts < link.best_speed_gts:
        said.append(f"{link.speed_gts:g} of {link.best_speed_gts:g} GT/s")
    return ", ".join(said) or None


def words(link: PciLink) -> str:
    """As it is."""
    return f"x{link.width_lanes or '?'} {link.speed_gts or 0:g} GT/s"

# SPDX-License-Identifier: Apache-2.0
"""Whether a node fits, and the words that say why not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.controller.records.catalogue import Flavor
from agent.controller.records.image import Image
from agent.controller.records.node import Node, NodeState
from agent.controller.rules.matching import Fit, match, misfits
from agent.model.disk import Content, Disk, RootDeviceHints
from agent.model.fact import Unknown
from agent.model.image import ImageFormat
from agent.model.inventory import Inventory
from agent.model.network import Nic
from agent.model.system import Cpu, FirmwareMode, Memory, System
from tests.controller.machine import disk

NOW = datetime(2026, 5, 1, tzinfo=UTC)
GOLDEN = Path(__file__).parent / "misfits.txt"
GIB = 1024**3


def node(name: str, **more: Any) -> Node:
    """An available node."""
    facts = {
        "id": name,
        "name": name,
        "identity": name,
        "boot_mac": "52:54:00:00:00:01",
        "state": NodeState.AVAILABLE,
        "controller_url": "http://c",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Node.model_validate(facts | more)


def flavor(**more: Any) -> Flavor:
    """A flavor that the box fits."""
    facts = {"id": "f", "name": "f", "created_at": NOW, "cores": 4, "ram_mb": 4096, "disk_gb": 40}
    return Flavor.model_validate(facts | more)


def image(**more: Any) -> Image:
    """An image that the box can boot."""
    facts = {"id": "i", "name": "debian", "format": ImageFormat.RAW, "sha256": "ab" * 32, "created_at": NOW}
    return Image.model_validate(facts | more)


def box(*disks: Disk, **more: Any) -> Inventory:
    """A machine of four cores, 4 GiB, these disks and two NICs."""
    facts: dict[str, Any] = {
        "system": System(firmware_mode=FirmwareMode.UEFI),
        "cpu": Cpu(architecture="x86_64", cores=4, threads=8),
        "memory": Memory(total_bytes=4 * GIB - 200 * 1024**2, physical_bytes=4 * GIB),
        "disks": disks or (disk("sda"),),
        "nics": tuple(Nic(name=f"eno{n}", mac=f"m{n}", current_mac=f"m{n}", speed_mbps=1000) for n in (1, 2)),
    }
    return Inventory(**facts | more)


def test_a_node_that_fits_names_its_root_disk() -> None:
    """No reason, and the disk that the OS goes to. Memory is what is plugged in, not what the kernel left."""
    fit = match(node("n"), box(), flavor(), image(), 1, None)

    assert fit.fits
    assert fit.disk is not None
    assert fit.disk.name == "sda"


CASES: dict[str, Callable[[], Fit]] = {
    "not approved": lambda: match(node("n", state=NodeState.ENROLL), box(), flavor(), image(), 1, None),
    "in maintenance": lambda: match(node("n", maintenance=True), box(), flavor(), image(), 1, None),
    "other architecture": lambda: match(node("n"), box(), flavor(cpu_arch="aarch64"), image(), 1, None),
    "too few cores": lambda: match(node("n"), box(), flavor(cores=64), image(), 1, None),
    "too little memory": lambda: match(node("n"), box(), flavor(ram_mb=65536), image(), 1, None),
    "too few disks": lambda: match(node("n"), box(), flavor(disks=2), image(), 1, None),
    "disks too small": lambda: match(node("n"), box(), flavor(disk_gb=1000), image(), 1, None),
    "wrong media": lambda: match(node("n"), box(), flavor(disk_media="hdd"), image(), 1, None),
    "too few NICs": lambda: match(node("n"), box(), flavor(nics=4), image(), 1, None),
    "NICs too slow": lambda: match(node("n"), box(), flavor(nic_mbps=25000), image(), 1, None),
    "more NICs ordered than there are": lambda: match(node("n"), box(), flavor(), image(), 3, None),
    "flavor's firmware": lambda: match(node("n"), box(), flavor(firmware="bios"), image(), 1, None),
    "image's firmware": lambda: match(node("n"), box(), flavor(), image(firmware="bios"), 1, None),
    "image too large": lambda: match(node("n"), box(), flavor(), image(size_bytes=40 * 10**9), 1, None),
    "image for other sectors": lambda: match(node("n"), box(), flavor(), image(sector_bytes=4096), 1, None),
    "min_disk too large": lambda: match(node("n"), box(), flavor(), image(min_disk_gb=100), 1, None),
    "hints that no disk meets": lambda: match(node("n"), box(), flavor(), image(), 1, RootDeviceHints(serial="X")),
    "hints that two disks meet": lambda: match(
        node("n"), box(disk("sda"), disk("sdb")), flavor(), image(), 1, RootDeviceHints(transport="sata")
    ),
    "a disk holds data": lambda: match(
        node("n"),
        box(disk("sda"), disk("sdb", 80, Content(node="/dev/sdb", kind="gpt"), Content(node="/dev/sdb1", kind="ext4"))),
        flavor(),
        image(),
        1,
        None,
    ),
    "contents unknown": lambda: match(
        node("n"), box(disk("sda", contents=Unknown(unknown="udev said nothing"))), flavor(), image(), 1, None
    ),
    "disk in use": lambda: match(node("n"), box(disk("sda", users=("/dev/sda1 on /mnt",))), flavor(), image(), 1, None),
    "disk read-only": lambda: match(node("n"), box(disk("sda", read_only=True)), flavor(), image(), 1, None),
    "nothing known": lambda: match(
        node("n"),
        Inventory(
            system=Unknown(unknown="no SMBIOS"),
            cpu=Unknown(unknown="no /proc"),
            memory=Unknown(unknown="no /proc"),
            disks=Unknown(unknown="udev did not answer"),
            nics=Unknown(unknown="netlink failed"),
        ),
        flavor(),
        image(),
        1,
        None,
    ),
}


def test_reasons(golden: Callable[[Path, str], None]) -> None:
    """Every field has its own reason, as an operator reads it."""
    text = "".join(f"{name}\n    " + "\n    ".join(case().reasons) + "\n" for name, case in CASES.items())

    golden(GOLDEN, text)


@pytest.mark.parametrize("name", list(CASES))
def test_a_node_with_a_reason_is_not_taken(name: str) -> None:
    """It does not fit, and offers no disk."""
    fit = CASES[name]()

    assert not fit.fits
    assert fit.disk is None


def test_every_field_is_said_at_once() -> None:
    """A node that is wrong in several ways says all of them."""
    fit = match(node("n"), box(), flavor(cores=64, ram_mb=65536, nics=4), image(), 1, None)

    assert [reason.partition(":")[0] for reason in fit.reasons] == ["cores", "ram_mb", "nics"]


def test_a_clean_node_may_show_old_data() -> None:
    """After an erase the inventory still shows what was there; that is no reason."""
    full = box(disk("sda", 40, Content(node="/dev/sda", kind="gpt")))

    assert match(node("n", clean=True), full, flavor(), image(), 1, None).fits


def test_a_stick_is_no_disk_of_the_machine() -> None:
    """Removable and remote disks count for nothing: neither as disks, nor as data that is in the way."""
    stick = disk("sdz", 64, Content(node="/dev/sdz", kind="vfat"), transport="usb")
    volume = disk("sdy", 640, Content(node="/dev/sdy", kind="xfs"), transport="iscsi")

    fit = match(node("n"), box(disk("sda"), stick, volume), flavor(), image(), 1, None)

    assert fit.fits
    assert not match(node("n"), box(disk("sda"), stick, volume), flavor(disks=2), image(), 1, None).fits


def test_the_text_of_a_refusal() -> None:
    """A line a node, and words of their own where there is none at all."""
    fits = [match(node(name), box(), flavor(cores=64), image(), 1, None) for name in ("a", "b")]

    assert misfits(fits) == "a: cores: flavor wants 64, node has 4\nb: cores: flavor wants 64, node has 4"
    assert misfits([]) == "there is no node yet: boot a machine over the network"

# SPDX-License-Identifier: Apache-2.0
"""The root disk: chosen the same way each time, pinned by what does not change, recognised afterwards."""

from __future__ import annotations

import pytest

from agent.controller.records.server import PinnedDisk
from agent.controller.rules.root_device import choose, hints_for, is_disk, needed_bytes, pin, size_fits
from agent.model.config_drive import offset_bytes
from agent.model.disk import GB, MIB, Disk, RootDeviceHints
from agent.model.fact import Unknown
from tests.controller.machine import disk

NEED = 10 * GB
PINNED = PinnedDisk(serial="S1", wwn="0x5000", by_path="/dev/disk/by-path/pci-1", size_bytes=40 * GB)


def chosen(*disks: Disk, hints: RootDeviceHints | None = None) -> str:
    """The name of the disk that is chosen, or why there is none."""
    result = choose(disks, NEED, hints)
    return result if isinstance(result, str) else result.name


def test_the_smallest_solid_state_disk_is_chosen() -> None:
    """Solid state before rotating, small before large, whatever the order in which they are found."""
    disks = [
        disk("sda", 4000, rotational=True),
        disk("nvme0n1", 960),
        disk("sdb", 480),
        disk("sdc", 20, rotational=True),
    ]

    assert chosen(*disks) == chosen(*reversed(disks)) == "sdb"


def test_equal_disks_are_told_apart_by_their_place() -> None:
    """The kernel's names may change between boots: the place where a disk is plugged in decides."""
    first, second = disk("sdb", by_path="/dev/disk/by-path/a"), disk("sda", by_path="/dev/disk/by-path/b")

    assert chosen(first, second) == chosen(second, first) == "sdb"


def test_a_users_hints_decide_alone() -> None:
    """They win over the rule."""
    assert chosen(disk("sda", 40), disk("sdb", 4000, rotational=True), hints=RootDeviceHints(rotational=True)) == "sdb"


@pytest.mark.parametrize(
    "hints",
    [
        {"serial": "sn-SDB "},
        {"wwn": "0x5000000000736462"},
        {"size_gb": ">= 70"},
        {"size_gb": "80"},
        {"serial": "SN-sdb", "transport": "SATA"},
    ],
)
def test_hints_match_as_the_agent_matches(hints: dict[str, str]) -> None:
    """Whole texts without regard to case, sizes in GB of 10^9; every hint must be met."""
    assert chosen(disk("sda", 40), disk("sdb", 80), hints=RootDeviceHints.model_validate(hints)) == "sdb"


def test_an_unknown_fact_meets_no_hint() -> None:
    """What could not be read is not what was meant."""
    dark = disk("sda", serial=Unknown(unknown="no answer"))

    assert "serial is None, not SN-sda" in chosen(dark, hints=RootDeviceHints(serial="SN-sda"))


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ("480", True),
        ("== 480", True),
        ("481", False),
        (">= 480", True),
        ("> 480", False),
        ("<= 480", True),
        ("< 480", False),
    ],
)
def test_sizes(expression: str, fits: bool) -> None:
    """Operators mean what they say."""
    assert size_fits(480, expression) is fits


def test_a_disk_without_any_name_is_not_chosen() -> None:
    """What cannot be told from others cannot be pinned."""
    assert "nothing tells it from others" in chosen(disk("sda", serial=None, wwn=None))


def test_the_config_drive_needs_its_room() -> None:
    """A disk is large enough when the image ends before the config drive begins, and not a MiB sooner."""
    image_bytes = 10 * GB // MIB * MIB
    needed = needed_bytes(1, image_bytes)

    assert offset_bytes(needed) >= image_bytes
    assert offset_bytes(needed - 2 * MIB) < image_bytes


def test_a_pinned_disk_is_found_again() -> None:
    """Its hints choose it among its likes, and no other disk."""
    disks = (disk("sda"), disk("sdb"))
    pinned = pin(disks[1])

    assert chosen(*disks, hints=hints_for(pinned)) == "sdb"
    assert "no disk fits" in chosen(disks[0], hints=hints_for(pinned))
    other = disks[1].model_copy(update={"size_bytes": disks[1].size_bytes * 2})
    assert "size is" in chosen(other, hints=hints_for(pinned))


def test_without_serial_and_wwn_the_place_is_pinned() -> None:
    """A disk that has no number of its own is known by where it is."""
    hints = hints_for(PINNED.model_copy(update={"serial": None, "wwn": None}))

    assert (hints.by_path, hints.serial, hints.wwn) == ("/dev/disk/by-path/pci-1", None, None)


@pytest.mark.parametrize(
    ("wwn", "serial", "same"),
    [
        ("0x5000", "S1", True),
        ("0X5000", None, True),
        (None, "s1", True),
        ("0x5000", "other spelling", True),
        ("0x5001", "S1", False),
        (None, "S2", False),
        (None, None, False),
    ],
)
def test_whether_it_is_the_disk(wwn: str | None, serial: str | None, same: bool) -> None:
    """By WWN where both have one, else by serial; an OS that names neither has not shown that it is the disk."""
    assert is_disk(PINNED, wwn, serial) is same


def test_a_disk_without_numbers_cannot_be_compared() -> None:
    """Then the nonce alone decides."""
    assert is_disk(PINNED.model_copy(update={"serial": None, "wwn": None}), None, None)

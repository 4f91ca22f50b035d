# SPDX-License-Identifier: Apache-2.0
"""udev's database as its files have it: what libudev would say of the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import HostError
from agent.host.udev import OnDemand, database, entry, uevent

UEVENT = b"MAJOR=259\nMINOR=0\nDEVNAME=nvme0n1\nDEVTYPE=disk\nDISKSEQ=3\n"
DATABASE = (
    b"S:disk/by-path/pci-0000:00:06.0-nvme-2\nS:disk/by-diskseq/3\nI:54289911\nE:ID_SERIAL_SHORT=NV1\n"
    b"E:ID_MODEL=QEMU NVMe Ctrl\nE:ID_SERIAL=QEMU=Ctrl\nE:ID_FS_LABEL=\nG:systemd\nQ:systemd\nV:1\n"
)


def test_what_the_kernel_and_udev_say() -> None:
    """As `udevadm info --query=property` showed it of these files: nodes with /dev, links and tags in one word each."""
    assert uevent(UEVENT) | database(DATABASE) == {
        "MAJOR": "259",
        "MINOR": "0",
        "DEVNAME": "/dev/nvme0n1",
        "DEVTYPE": "disk",
        "DISKSEQ": "3",
        "USEC_INITIALIZED": "54289911",
        "ID_SERIAL_SHORT": "NV1",
        "ID_MODEL": "QEMU NVMe Ctrl",
        "ID_SERIAL": "QEMU=Ctrl",
        "DEVLINKS": "/dev/disk/by-diskseq/3 /dev/disk/by-path/pci-0000:00:06.0-nvme-2",
        "TAGS": ":systemd:",
        "CURRENT_TAGS": ":systemd:",
    }


@pytest.mark.parametrize("raw", [b"", b"E:ID_FS_TYPE=ext4\n", b"I:0\nE:ID_FS_TYPE=ext4\n", b"\0\1\2 another form\n"])
def test_a_device_that_udev_is_not_done_with(raw: bytes) -> None:
    """Nothing says that it is: not an empty file, nor a part, nor a database in another form."""
    assert "USEC_INITIALIZED" not in database(raw)


@pytest.mark.parametrize(
    ("subsystem", "name", "told", "file"),
    [
        ("block", "sda", {"MAJOR": "8", "MINOR": "0"}, "b8:0"),
        ("usb", "1-1", {"MAJOR": "189", "MINOR": "2"}, "c189:2"),
        ("net", "eth0", {"IFINDEX": "2"}, "n2"),
        ("pci", "0000:00:06.0", {"PCI_ID": "1B36:0010"}, "+pci:0000:00:06.0"),
    ],
)
def test_where_a_device_is(subsystem: str, name: str, told: dict[str, str], file: str) -> None:
    """By its number where it has one."""
    assert entry(subsystem, name, told) == file


def test_a_device_that_is_gone(tmp_path: Path) -> None:
    """It says nothing, and hides no other; one that cannot be read is an error."""
    (tmp_path / "sdb").mkdir()
    (tmp_path / "sdb" / "uevent").write_bytes(b"DEVNAME=sdb\nDEVTYPE=disk\n")
    (tmp_path / "sdc" / "uevent").mkdir(parents=True)
    found = OnDemand("block", {name: f"{tmp_path}/{name}" for name in ("sda", "sdb", "sdc")})

    assert (found["sda"], found["sdb"]) == ({}, {"DEVNAME": "/dev/sdb", "DEVTYPE": "disk"})
    assert (list(found), "sdz" in found) == (["sda", "sdb", "sdc"], False)
    with pytest.raises(HostError, match="reading the udev database"):
        found["sdc"]

# SPDX-License-Identifier: Apache-2.0
"""Disks: their names in all the places where kernels keep them, and the disk under `/`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DecodeError
from agent.host.fake import FakeHost, LinkTo, Machine
from agent.inventory.disk import disks, is_disk, root_disk
from agent.inventory.disk_names import aliases, attached, hctl, transport, unescaped, unit_serial, world_wide
from agent.model.disk import Aliases
from agent.model.fact import Unknown
from tests.machines import parts, synthetic

MOUNTINFO = "/proc/self/mountinfo"


@pytest.mark.parametrize(
    ("name", "wwn"),
    [
        ("0x5000C500A1B2C3D4", "0x5000c500a1b2c3d4"),
        ("0x60060160a0b0c0d0e0f0a1b2c3d4e5f6", "0x60060160a0b0c0d0e0f0a1b2c3d4e5f6"),
        ("eui.0025385b71b0a1b2", "eui.0025385b71b0a1b2"),
        ("nvme.1b36-51454d55-1", "nvme.1b36-51454d55-1"),
        ("eui.0000000000000000", None),
        ("0x0000000000000000", None),
        ("", None),
    ],
)
def test_wwn_in_one_form(name: str, wwn: str | None) -> None:
    """A WWN has one form whatever its source, and one that names nothing is absent."""
    assert world_wide(name) == wwn


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda", "sata"),
        ("/sys/devices/pci0000:17/0000:18:00.0/host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0/block/sda", "sas"),
        ("/sys/devices/pci0000:17/0000:18:00.0/host0/target0:2:0/0:2:0:0/block/sda", "scsi"),
        ("/sys/devices/pci0000:00/0000:00:04.0/virtio1/host2/target2:0:0/2:0:0:0/block/sda", "scsi"),
        ("/sys/devices/pci0000:00/0000:00:03.0/virtio0/block/vda", "virtio"),
        ("/sys/devices/pci0000:64/0000:65:00.0/nvme/nvme0/nvme0n1", "nvme"),
        ("/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1", "nvme"),
        ("/sys/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0/host9/target9:0:0/9:0:0:0/block/sde", "usb"),
        ("/sys/devices/platform/host3/session1/target3:0:0/3:0:0:1/block/sdb", "iscsi"),
        ("/sys/devices/pci0000:00/0000:05:00.0/host7/rport-7:0-2/target7:0:0/7:0:0:1/block/sdc", "fc"),
        ("/sys/devices/platform/soc/mmc_host/mmc0/mmc0:0001/block/mmcblk0", "mmc"),
        ("/sys/devices/virtual/block/pmem0", None),
    ],
)
def test_transport(path: str, word: str | None) -> None:
    """Where a disk hangs is read from its path."""
    assert transport(path) == word


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"device/transport": "pcie"}, "nvme"),
        ({"device/transport": "tcp"}, "nvme-tcp"),
        ({"device/nvme0/transport": "pcie", "device/nvme1/transport": "pcie"}, "nvme"),
        ({"device/nvme0/transport": "pcie", "device/nvme1/transport": "rdma"}, "nvme-rdma"),
        ({"device/model": "older than the attribute"}, "nvme"),
    ],
)
def test_nvme_by_a_network_is_no_disk_of_this_machine(files: dict[str, str], word: str) -> None:
    """Each controller of a drive says by what it is reached, alone or below the subsystem of several."""
    at = "/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1"
    host = FakeHost.with_files({f"{at}/{name}": f"{text}\n" for name, text in files.items()})

    assert attached(host.files, at) == word


def test_hctl() -> None:
    """Only a SCSI device has host, channel, target and lun."""
    assert hctl("/sys/devices/x/host0/target0:2:1/0:2:1:0") == "0:2:1:0"
    assert hctl("/sys/devices/x/virtio0") is None


@pytest.mark.parametrize(
    "name",
    ["loop0", "ram1", "zram0", "dm-3", "md127", "sr0", "nbd4", "fd0", "mmcblk0boot0", "mmcblk0rpmb"],
)
def test_what_is_no_disk(name: str) -> None:
    """What the kernel makes of other things, and what no image could be written to, is not listed."""
    assert not is_disk(FakeHost.with_files({}).files, name)


@pytest.mark.parametrize("name", ["sda", "sdaa", "nvme0n1", "vda", "mmcblk0", "xvda", "pmem0"])
def test_what_is_a_disk(name: str) -> None:
    """Disks of every kind are listed."""
    assert is_disk(FakeHost.with_files({}).files, name)


def test_serial_from_the_drive_itself() -> None:
    """VPD page 0x80 has the serial where udev has none; a blank one is absent."""
    page = bytes([0, 0x80, 0, 8]) + b"  S5G0N "
    files = FakeHost.with_files({"/page": page, "/blank": bytes([0, 0x80, 0, 4]) + b"    ", "/short": b"\0"}).files

    assert unit_serial(files, "/page") == "S5G0N"
    assert [unit_serial(files, path) for path in ("/blank", "/short", "/none")] == [None, None, None]


@given(st.text(max_size=20))
def test_escapes_of_udev(text: str) -> None:
    """What udev escaped is the label again; text without escapes stays."""
    escaped = "".join(f"\\x{byte:02x}" for byte in text.encode())

    assert unescaped(escaped) == text
    assert unescaped("donn\\xc3\\xa9es\\x20x") == "données x"


def test_every_name_that_udev_has() -> None:
    """A disk is also known by what else udev calls it, in lsblk's order, each name once; silence is no name."""
    told = {
        "ID_SERIAL": "ATA_X_S1",
        "ID_SERIAL_SHORT": "S1",
        "ID_SCSI_SERIAL": "S1",
        "ID_WWN": "0x5000",
        "ID_WWN_WITH_EXTENSION": "0x5000aa",
        "DEVLINKS": "/dev/disk/by-path/b /dev/disk/by-id/x /dev/disk/by-path/a",
    }
    found = aliases(told)

    assert (found.serials, found.wwns) == (("S1", "ATA_X_S1"), ("0x5000aa", "0x5000"))
    assert found.by_paths == ("/dev/disk/by-path/a", "/dev/disk/by-path/b")
    assert aliases(Unknown(unknown="udev is gone")) == Aliases()


def test_identity_survives_another_name() -> None:
    """A disk that got another kernel name has the same serial and WWN: its name is no part of who it is."""
    first = synthetic.dell_r650()
    found = {disk.name: disk for disk in disks(FakeHost.of(first))}

    assert len({(disk.serial, disk.wwn) for disk in found.values()}) == 4
    assert found["sda"].identity.serial == "S5G0NE0R000000"


def rooted(mountinfo: str) -> Machine:
    """The Dell, with another root."""
    machine = synthetic.dell_r650()
    machine.tree.put(MOUNTINFO, mountinfo.encode())
    return machine


@pytest.mark.parametrize(
    ("mountinfo", "serial"),
    [
        ("25 1 254:0 / / rw - ext4 /dev/mapper/vg-root rw\n", "S5G0NE0R000000"),
        ("25 1 0:30 / / rw shared:1 - btrfs /dev/sda3 rw\n", "S5G0NE0R000000"),
        ("25 1 0:2 / / rw - rootfs rootfs rw\n30 1 9:9 / / rw - ext4 /dev/sdb1 rw\n", None),
        ("25 1 0:2 / / rw - rootfs rootfs rw\n", None),
    ],
)
def test_root_disk(mountinfo: str, serial: str | None) -> None:
    """The disk under `/` is found through LVM and behind btrfs' own number; a ramdisk is on none."""
    found = root_disk(FakeHost.of(rooted(mountinfo)))

    assert (found.serial if found else None) == serial


def test_root_on_a_partition() -> None:
    """A root on a partition is on the partition's disk."""
    machine = rooted("25 1 259:7 / / rw - ext4 /dev/nvme0n1p2 rw\n")
    name = parts.add_partition(machine, "nvme0n1", 2, {"ID_FS_TYPE": "ext4"})
    parts.put(machine, {"/sys/dev/block/259:7": LinkTo(f"/sys/class/block/{name}")})
    found = root_disk(FakeHost.of(machine))

    assert found is not None and found.serial == "S61BNE0R100000"


def test_root_on_two_disks() -> None:
    """A root that stands on two disks is on no one disk."""
    machine = synthetic.dell_r650()
    parts.put(machine, {"/sys/devices/virtual/block/dm-0/slaves/nvme0n1": LinkTo("/sys/class/block/nvme0n1")})

    assert root_disk(FakeHost.of(machine)) is None


def test_no_root_at_all() -> None:
    """A mount table without a root is nonsense, and said to be."""
    with pytest.raises(DecodeError, match="nothing is mounted on /"):
        root_disk(FakeHost.of(rooted("25 1 8:1 / /boot rw - ext4 /dev/sda1 rw\n")))


def test_mount_by_another_name() -> None:
    """A disk is in use also when it was mounted through a link such as /dev/disk/by-uuid."""
    machine = synthetic.no_smbios()
    machine.tree.put("/dev/disk/by-label/data", LinkTo("../../vda"))
    counts = machine.record.counts.model_copy(update={"mounts": (("/dev/disk/by-label/data", "/data"),)})
    machine.record = machine.record.model_copy(update={"counts": counts})

    assert disks(FakeHost.of(machine))[0].users == ("/dev/vda is mounted on /data",)

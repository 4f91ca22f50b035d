# SPDX-License-Identifier: Apache-2.0
"""QEMU's command line: the hardware that the main job relies on."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import pytest

from lab.boot_override import BootOverride, Enabled, Target
from lab.fault import LabFault
from lab.firmware import Firmware, ovmf
from lab.machine import DiskSpec, Machine, MachineSpec, qemu_argv

FOLDER = Path("/lab/machine")


def devices(argv: list[str]) -> list[str]:
    """The values of -device."""
    return [argv[index + 1] for index, word in enumerate(argv) if word == "-device"]


@pytest.mark.parametrize("firmware", Firmware)
def test_the_network_is_first_in_the_boot_order(firmware: Firmware) -> None:
    """Every start goes to the controller first, and to the disks, in their order, only after that."""
    order = {}
    for device in devices(qemu_argv(MachineSpec(firmware=firmware), FOLDER)):
        if found := re.search(r"bootindex=(\d+)", device):
            order[int(found[1])] = device

    assert [order[index].partition(",")[0] for index in sorted(order)] == [
        "virtio-net-pci",
        "scsi-hd",
        "virtio-blk-pci",
    ]


def test_an_override_puts_the_disks_first() -> None:
    """With the disk first, the network is still there, at the end."""
    order = re.findall(r"bootindex=(\d+)", " ".join(devices(qemu_argv(MachineSpec(), FOLDER, first=Target.DISK))))

    assert order == ["3", "1", "2"]


def test_an_override_of_the_boot_order_is_kept_and_used_up(tmp_path: Path) -> None:
    """Every look at the folder sees it; what was meant for one start is gone after it, the rest stays."""
    Machine.create(tmp_path / "m", MachineSpec(firmware=Firmware.BIOS))
    once, always = (BootOverride(enabled=enabled, target=Target.DISK) for enabled in (Enabled.ONCE, Enabled.CONTINUOUS))
    Machine(tmp_path / "m").boot_override = once

    assert Machine(tmp_path / "m").boot_override == once
    assert (once.first, once.after_start(), always.after_start()) == (Target.DISK, BootOverride(), always)


def test_disks_can_be_told_apart() -> None:
    """The disk's serial number and WWN reach the guest, so that hints can choose."""
    spec = MachineSpec(disks=(DiskSpec(name="d", bus="scsi", size_gib=1, serial="S1", wwn="0x5000c500a1b2c3d4"),))

    assert "serial=S1,wwn=0x5000c500a1b2c3d4" in " ".join(devices(qemu_argv(spec, FOLDER)))


def test_kvm_is_never_used() -> None:
    """The lab works where there is no KVM, and behaves the same where there is."""
    argv = qemu_argv(MachineSpec(), FOLDER)

    assert argv[argv.index("-accel") + 1].startswith("tcg")
    assert "kvm" not in " ".join(argv)


def test_a_new_machine_is_off_and_its_disks_are_empty_and_sparse(tmp_path: Path) -> None:
    """Nothing is on the disks of a new machine, and they take no room."""
    spec = MachineSpec(firmware=Firmware.BIOS)
    machine = Machine.create(tmp_path / "m", spec)

    assert not machine.is_on
    assert Machine(tmp_path / "m").spec == spec
    assert machine.disk("system").stat().st_size == spec.disks[0].size_gib << 30
    assert machine.disk("system").stat().st_blocks == 0


def test_another_process_is_not_taken_for_the_machine(tmp_path: Path) -> None:
    """A pid file left over from before a reboot of the host names some other process: the machine is off."""
    machine = Machine.create(tmp_path / "m", MachineSpec(firmware=Firmware.BIOS))
    (machine.folder / "qemu.pid").write_text("1")

    assert not machine.is_on


def test_missing_firmware_names_its_package(tmp_path: Path) -> None:
    """Without OVMF the fault says what to install."""
    with pytest.raises(LabFault, match="package ovmf"):
        ovmf(tmp_path)


def test_the_newer_firmware_is_preferred(tmp_path: Path) -> None:
    """Debian 12 ships both builds; code and variables must be of the same one."""
    for name in ("OVMF_CODE.fd", "OVMF_VARS.fd", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"):
        (tmp_path / name).touch()

    assert ovmf(tmp_path) == (tmp_path / "OVMF_CODE_4M.fd", tmp_path / "OVMF_VARS_4M.fd")


def test_a_virtual_drive(tmp_path: Path) -> None:
    """It is there for machines that have one, empty or not; and comes first only if it was asked for."""
    spec = MachineSpec(virtual_cd=True)
    drives = []
    for first in (Target.NONE, Target.CD):
        words = qemu_argv(spec, tmp_path, first=first)
        drives.append([word for word in words if "=disc" in word])
        (tmp_path / "disc.iso").touch()

    assert drives == [
        [
            "if=none,id=disc,media=cdrom,readonly=on",
            "scsi-cd,bus=scsi.0,id=cd,drive=disc,bootindex=4",
        ],
        [
            f"if=none,id=disc,media=cdrom,readonly=on,format=raw,file={tmp_path / 'disc.iso'}",
            "scsi-cd,bus=scsi.0,id=cd,drive=disc,bootindex=0",
        ],
    ]
    assert not any("=disc" in word for word in qemu_argv(MachineSpec(), tmp_path, first=Target.CD))


def test_a_disc_is_put_in_and_taken_out(tmp_path: Path) -> None:
    """Of a machine that is off, it is what the next start finds."""
    machine = Machine.create(tmp_path / "m", MachineSpec(virtual_cd=True, disks=()))
    machine.insert("http://a/1.iso", BytesIO(b"1"))
    machine.insert("http://a/2.iso", BytesIO(b"2"))

    assert (machine.disc, (machine.folder / "disc.iso").read_bytes()) == ("http://a/2.iso", b"2")
    machine.eject()
    assert (machine.disc, (machine.folder / "disc.iso").exists()) == (None, False)

# SPDX-License-Identifier: Apache-2.0
"""Drives of a machine, erased by the agent in the built ramdisk, as shut in as it is: each by what it can do itself.

That is an NVMe drive's Format, and nothing else: no drive that can be had without hardware sanitizes itself, has a
password, or hides a part. Looked at by the agent in guests of QEMU 7.2 and 11.1 (NVMe: SANICAP is 0; SATA and SCSI:
not one means), and in the modules of Linux 7.3 (scsi_debug formats tapes alone; the SCSI target and null_blk know
nothing of it; the NVMe target at most passes it on to a drive that can). So those means are tried on minds of our own
alone, which answer by the standards (`agent/host/fake/erasing.py`), in `tests/apply/test_erasing_drives.py` and its
neighbours; what is not tried is that a real drive understands us.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from agent.model.erasing.certificate import IN_RESULT, Certificate, SignedCertificate
from agent.model.request import EraseRequest
from tests.machine.guest import Guest, booted
from tests.machine.test_raid import BOOT_S, DO_S, DOING, done_in, put

pytestmark = [pytest.mark.machine, pytest.mark.root]

MIB = 1024 * 1024
SIZE = 40 * MIB
DATA = b"what a tenant wrote. " * 1024
KINDS = {
    "N1": ["-device", "nvme,drive=N1,serial=N1"],
    "A1": ["-device", "ide-hd,bus=ide.0,drive=A1,serial=A1"],
    "C1": ["-device", "virtio-scsi-pci,id=scsi", "-device", "scsi-hd,bus=scsi.0,drive=C1,serial=C1"],
}
"""Beside the virtio disk that every guest has, S1."""


def filled(path: Path) -> Path:
    """A disk of a tenant's."""
    path.write_bytes((DATA * (SIZE // len(DATA) + 1))[:SIZE])
    return path


def erased(guest: Guest, name: str, request: EraseRequest, within_s: float = DO_S) -> Certificate:
    """By the agent; what it certifies."""
    put(guest, "/run/doing.py", DOING)
    said = done_in(guest, name, request.model_dump_json(), within_s)
    results = [ast.literal_eval(line) for line in said.splitlines() if line.startswith("{")]
    (signed,) = (one[IN_RESULT] for one in results if IN_RESULT in one)
    return SignedCertificate.model_validate_json(signed).opened()


def test_each_drive_is_erased_by_what_it_can(ramdisk: Path, tmp_path: Path) -> None:
    """NVMe by its Format, asked of its own namespace; SATA, SCSI and virtio disks, which say that they can do nothing,
    by writing. Not a word of the tenant's is left in the files behind them, and all kernel's nodes are there again.
    """
    disks = {name: filled(tmp_path / name) for name in ("S1", *KINDS)}
    words = ["-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(ramdisk / "initrd"),
             "-append", "console=ttyS0 quiet bms.shell"]  # fmt: skip
    for name, device in KINDS.items():
        words += ["-drive", f"if=none,id={name},format=raw,file={disks[name]},cache=unsafe,discard=unmap", *device]
    with booted(tmp_path / "guest", disks["S1"], *words) as guest:
        guest.wait_for("# ", BOOT_S)
        guest.do("systemctl stop bms-agent-ramdisk")
        certificate = erased(guest, "erasing", EraseRequest(request_id="r1", node_id="n1", method="secure", at_once=1))
        guest.do("test -b /dev/nvme0n1 && blockdev --getsize64 /dev/nvme0n1 /dev/sda /dev/sdb /dev/vda")
        guest.type("sync; poweroff -f\n")
        guest.wait_for_end(BOOT_S)

    found = {one.serial: one for one in certificate.disks}
    assert {name: (one.outcome, str(one.means), one.nist) for name, one in found.items()} == {
        "N1": ("erased", "nvme_format_erase", "clear"),
        **dict.fromkeys(("A1", "C1", "S1"), ("erased", "zero", "clear")),
    }, certificate
    assert all(one.samples.canaries == one.samples.read > 30 for one in certificate.disks), certificate
    assert all(b"tenant" not in disk.read_bytes() for disk in disks.values())

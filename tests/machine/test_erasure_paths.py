# SPDX-License-Identifier: Apache-2.0
"""Disks that are there by two paths, that are held, and whose drives have more namespaces than one, erased by the agent
in the built ramdisk.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.model.request import EraseRequest
from tests.machine.guest import booted
from tests.machine.test_erasure import MIB, SIZE, erased, filled
from tests.machine.test_raid import BOOT_S
from tests.machine.test_scsi_debug import DO_S, KERNEL, shell

pytestmark = [pytest.mark.machine, pytest.mark.root]

MAP = 'dmsetup create mpatha --table "0 $(blockdev --getsz /dev/sda) multipath 0 0 1 1 round-robin 0 2 1 8:0 1 8:16 1"'


def drives(folder: Path) -> dict[str, Path]:
    """Files behind them: of P1 one, which two adapters show; of N2 two namespaces; of N3 one that nobody is given."""
    return {name: filled(folder / name) for name in ("S1", "P1", "N2-1", "N2-2", "N3-1", "N3-2")}


def words_of(disks: dict[str, Path]) -> list[str]:
    """QEMU's, for all but the first."""
    words = []
    for path in ("a", "b"):
        words += [
            "-device", f"virtio-scsi-pci,id={path}",
            "-drive", f"if=none,id=d{path},format=raw,file={disks['P1']},cache=unsafe,file.locking=off",
            "-device", f"scsi-hd,bus={path}.0,drive=d{path},serial=P1,wwn=0x5000c50012345678,share-rw=on",
        ]  # fmt: skip
    for name, disk in disks.items():
        if name.startswith("N"):
            words += ["-drive", f"if=none,id={name},format=raw,file={disk},cache=unsafe,discard=unmap"]
    return [
        *words, "-device", "nvme,id=two,serial=N2", "-device", "nvme-ns,drive=N2-1,bus=two,nsid=1",
        "-device", "nvme-ns,drive=N2-2,bus=two,nsid=2", "-device", "nvme-subsys,id=sub", "-device",
        "nvme,id=three,serial=N3,subsys=sub", "-device", "nvme-ns,drive=N3-1,bus=three,nsid=1",
        "-device", "nvme-ns,drive=N3-2,bus=three,nsid=2,detached=on",
    ]  # fmt: skip


def test_paths_maps_swap_and_namespaces(ramdisk: Path, tmp_path: Path) -> None:
    """A disk that two adapters show, under dm-multipath: its map is flushed, and it is erased once; by its other path
    hardly anything is written. One that is swapped to: swap is ended. NVMe drives: every namespace is erased, and one
    that is attached to nobody is told, and keeps its drive from being called erased.
    """
    disks = drives(tmp_path)
    words = ["-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(ramdisk / "initrd"), "-append", KERNEL]
    with booted(tmp_path / "guest", disks["S1"], *words, *words_of(disks)) as guest:
        shell(guest)
        ready = "test -b /dev/sdb && test -b /dev/vda && test $(ls /dev/nvme?n? | wc -l) = 3"
        guest.do(f"for try in $(seq 120); do {ready} && break; sleep 1; done; {ready}", DO_S)
        guest.do(
            f"udevadm settle; {MAP} && mkswap /dev/vda && swapon /dev/vda; test -e /sys/block/sdb/holders/dm-0", DO_S
        )
        request = EraseRequest(request_id="r1", node_id="n1", method="secure", at_once=4, quarantine=True)
        certificate = erased(guest, "erasing", request, DO_S)
        assert "take down dm-0 (mpatha), which stands on sda, sdb" in guest.do("cat /run/erasing.out")
        assert guest.do("dmsetup ls; tail -n +2 /proc/swaps").strip() == "No devices found"
        written = {name: int(guest.do(f"cat /sys/block/{name}/stat").split()[6]) for name in ("sda", "sdb")}
        guest.type("sync; poweroff -f\n")
        guest.wait_for_end(BOOT_S)

    found = sorted((one.serial or "", one.outcome, "another path" in one.evidence) for one in certificate.disks)
    assert found == [
        ("N2", "erased", False), ("N2", "erased", False), ("N3", "unproven", False),
        ("P1", "erased", False), ("P1", "erased", True), ("S1", "erased", False),
    ], certificate  # fmt: skip
    (told,) = (one.evidence for one in certificate.disks if one.serial == "N3")
    assert told.startswith("namespace 2 is attached to nobody and was not erased")
    assert min(written.values()) < MIB // 512 and max(written.values()) >= SIZE // 512, written
    assert {name for name, disk in disks.items() if b"tenant" in disk.read_bytes()} == {"N3-2"}

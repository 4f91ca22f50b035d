# SPDX-License-Identifier: Apache-2.0
"""Arrays on disks that are to be skipped, in the built ramdisk: nothing of them changes, superblocks included."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.api.ironic.asked import node
from tests.machine.guest import Guest, booted
from tests.machine.test_raid import ARRAYS, BOOT_S, SLOWLY, disk_words, ordered_in

pytestmark = [pytest.mark.machine, pytest.mark.root, pytest.mark.ironic_long]

MIRRORS = {"logical_disks": [{**one, "raid_level": "1"} for one in ARRAYS["logical_disks"]]}  # type: ignore[dict-item]
PARTS = "/dev/vda[0-9] /dev/vdb[0-9]"
READ = f"for one in {PARTS}; do (head -c 16M $one; tail -c 1M $one) | sha256sum; done"
"""All that md keeps of itself on a part: superblock, bitmap (metadata 1.2), superblock at the end (1.0)."""
READ_ROOT = READ.replace("do (", "do mdadm --examine $one 2>/dev/null | grep -q 'Name.*root' && (") + "; true"
ALLOW = "for one in /sys/block/md*; do mdadm --readwrite /dev/${one##*/}; done"
STOP = "for one in /sys/block/md*; do mdadm --stop /dev/${one##*/}; done; udevadm settle"


def kept(guest: Guest) -> list[str]:
    """By part, when no array runs."""
    guest.do(STOP)
    return guest.do(READ).split()


def erased(guest: Guest, name: str, *skip: dict[str, str]) -> dict[str, Any]:
    """What came of cleaning, where these are to be skipped."""
    about = node(properties={"skip_block_devices": list(skip)}, instance_info={}, raid_config=MIRRORS)
    step = {"interface": "deploy", "step": "erase_devices_metadata"}
    (outcome,) = ordered_in(guest, name, ("clean.execute_clean_step", {"step": step, "node": about}))
    return outcome


def test_what_is_skipped_stays_as_it_is(ramdisk: Path, tmp_path: Path) -> None:
    """Mirrors whose resync was cut short are assembled, since cleaning looks for them: those that are named, or stand
    on a disk that is, have every byte as before, also where their neighbours are erased. (Debian's `start_ro` alone
    would keep them so until the first write.) Told that it may, md writes to them at once.
    """
    disks = [tmp_path / name for name in ("one", "two")]
    for disk in disks:
        disk.touch()
        os.truncate(disk, 2 << 30)
    kernel = ["-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(ramdisk / "initrd"),
              "-append", "console=ttyS0 quiet bms.shell", *disk_words(disks)]  # fmt: skip
    with booted(tmp_path / "guest", disks[0], *kernel) as guest:
        guest.wait_for("# ", BOOT_S)
        guest.do(f"systemctl stop bms-agent-ramdisk; {SLOWLY}")
        about = node(properties={}, instance_info={}, target_raid_config=MIRRORS)
        step = {"interface": "raid", "step": "create_configuration"}
        (made,) = ordered_in(guest, "making", ("clean.execute_clean_step", {"step": step, "node": about}))
        assert made["status"] == "SUCCEEDED", made
        before = kept(guest)

        named = erased(guest, "named", {"volume_name": "root"}, {"volume_name": "data"}, {"volume_name": "esp"})
        assert named["status"] == "SUCCEEDED", named
        assert set(guest.do("cat /sys/block/md*/md/array_state").split()) == {"readonly"}
        assert kept(guest) == before

        refused = erased(guest, "disk", {"serial": "S2"})
        assert refused["status"] == "FAILED" and "S2" in refused["error"], refused
        assert set(guest.do("cat /sys/block/md*/md/array_state").split()) == {"readonly"}
        assert kept(guest) == before

        roots = guest.do(READ_ROOT).split()
        assert set(roots) < set(before)
        alone = erased(guest, "alone", {"volume_name": "root"})
        assert alone["status"] == "SUCCEEDED", alone
        assert kept(guest) != before
        assert guest.do(READ_ROOT).split() == roots

        guest.do(f"mdadm --assemble --scan; {ALLOW}; sleep 2")
        assert guest.do(f"{STOP}; {READ_ROOT}").split() != roots

# SPDX-License-Identifier: Apache-2.0
"""Software RAID in the built ramdisk, with Debian's kernel and mdadm, done by the agent as shut in as it is."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from tests.machine.guest import Guest, booted

pytestmark = [pytest.mark.machine, pytest.mark.root]

BOOT_S, DO_S = 900, 300
UNIT = "/usr/lib/systemd/system/bms-agent-ramdisk.service"
DOING = """\
import sys
sys.path.insert(0, '/usr/lib/bms-agent')
from agent.host.real import host
from agent.model.request import REQUEST
from agent.operations import Operations
from agent.plan.text import text
doer = Operations(host(), 'ramdisk', '/run/bms-agent/spool')
plan = doer.plan(REQUEST.validate_json(sys.stdin.read()))
print(text(plan))
for step in plan.steps:
    for precondition in plan.preconditions:
        doer.hold(precondition)
    print(doer.do(step, lambda *_: None))
"""
CREATE = """{"verb": "raid.create", "request_id": "r", "node_id": "n", "logical_disks": [
{"size_gb": 1, "raid_level": "1", "volume_name": "root", "is_root_volume": true},
{"size_gb": "MAX", "raid_level": "5"}]}"""
DELETE = """{"verb": "raid.delete", "request_id": "d", "node_id": "n"}"""


def put(guest: Guest, path: str, text: str) -> None:
    """A file, whatever is in it."""
    guest.do(f"echo {base64.b64encode(text.encode()).decode()} | base64 -d >{path}")


def done_in(guest: Guest, name: str, request: str) -> str:
    """The request, in a copy of the agent's unit; what it said."""
    put(guest, f"/run/{name}.json", request)
    lines = (
        "s|^ExecStart=.*|ExecStart=/usr/bin/python3 /run/doing.py|; s/^Type=.*/Type=oneshot/; "
        f"s|^StandardOutput=.*|StandardInput=file:/run/{name}.json\\nStandardOutput=file:/run/{name}.out|; "
        "/^(Restart|Timeout|Watchdog)/d"
    )
    guest.do(f"sed -E '{lines}' {UNIT} >/run/systemd/system/{name}.service")
    guest.do(
        f"systemctl start {name} || {{ cat /run/{name}.out; journalctl --no-pager -n 30 -u {name}; false; }}", DO_S
    )
    return guest.do(f"cat /run/{name}.out")


def test_arrays_are_made_and_deleted(ramdisk: Path, tmp_path: Path) -> None:
    """A mirror and a RAID 5 over three disks hold data; deleted with a filesystem on one, nothing is left of them."""
    extra = ["-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(ramdisk / "initrd"),
             "-append", "console=ttyS0,115200 bms.shell bms.controller=http://10.0.2.2:9"]  # fmt: skip
    disks = [tmp_path / name for name in ("one", "two", "three")]
    for number, disk in enumerate(disks):
        disk.touch()
        os.truncate(disk, 3 << 30)
        extra += ["-drive", f"if=none,id=d{number},format=raw,file={disk},cache=unsafe"] if number else []
        extra += ["-device", f"virtio-blk-pci,drive=d{number},serial=R{number}"] if number else []
    with booted(tmp_path / "guest", disks[0], *extra) as guest:
        guest.wait_for("# ", BOOT_S)
        guest.do("systemctl stop bms-agent-ramdisk")
        put(guest, "/run/doing.py", DOING)
        made = done_in(guest, "making", CREATE)

        assert "'array /dev/md0': 'raid1 of /dev/vda1, /dev/vdb1, /dev/vdc1'" in made
        assert guest.do("cat /sys/block/md0/md/level /sys/block/md1/md/level").split() == ["raid1", "raid5"]
        guest.do("mdadm --detail /dev/md0 | grep -q 'Name : .*root'")
        guest.do("mkfs.ext4 -q /dev/md1 && mount /dev/md1 /mnt && echo data >/mnt/file && umount /mnt", DO_S)
        gone = done_in(guest, "deleting", DELETE)

        assert "take down md0" in gone and "take down md1" in gone
        assert guest.do("ls /sys/block | grep md; lsblk --noheadings --raw -o NAME | grep vd").split() == [
            "vda",
            "vdb",
            "vdc",
        ]
        assert "signatures" in guest.do("wipefs --json /dev/vda") and "offset" not in guest.do("wipefs --json /dev/vd?")
        again = done_in(guest, "again", CREATE.replace('"5"', '"0"'))
        assert "'array /dev/md1': 'raid0 of" in again

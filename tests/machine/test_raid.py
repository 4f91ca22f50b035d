# SPDX-License-Identifier: Apache-2.0
"""Software RAID in the built ramdisk, with Debian's kernel and mdadm, done by the agent as shut in as it is."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from agent.model.image import ImageFormat, ImageRef
from lab.firmware import Firmware, ovmf
from lab.machine import PATIENT
from tests.api.ironic.asked import image_info, node
from tests.api.ironic.served import UUID
from tests.efi import MIB, csv, fat_image, head_with
from tests.hostile import serving
from tests.machine.guest import HOST, Guest, booted

pytestmark = [pytest.mark.machine, pytest.mark.root, pytest.mark.ironic_long]

BOOT_S, DO_S = 900, 500
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
STEPS = """\
import json, sys
sys.path.insert(0, '/usr/lib/bms-agent')
from pydantic import SecretStr
from agent.api.ironic.commands import outcome_of
from agent.api.ironic.record import Identity, Order, Record
from agent.api.ironic.table import table
from agent.api.ironic.work import Site, Work
from agent.host.real import host
from agent.model.image import ImagePolicy
from agent.model.ironic.wire import Node
machine, place, given = host(), '/run/bms-agent/ironic-test', json.load(sys.stdin)
record = Record(machine.files, place, 'this boot')
record.open(Identity(node_uuid=given['uuid'], token=SecretStr(''), callback_url='', certificate_pem='',
                     key_pem=SecretStr(''), heartbeat_timeout_s=300), Node(uuid=given['uuid']))
site = Site(host=machine, record=record, logs=bytes, rescue=lambda _: None, over=lambda _: None)
work = Work(site, place, 'this boot', ImagePolicy())
for number, (name, params) in enumerate(given['orders']):
    order = Order(id=f"{given['id']}-{number}", name=name, params=params)
    done = outcome_of(table(work)[name], order)
    print(json.dumps({'status': done.status, 'result': done.result, 'error': done.error and done.error.details}))
"""
ARRAYS = {"logical_disks": [
    {"size_gb": 1, "raid_level": "1", "controller": "software", "volume_name": "root", "is_root_volume": True},
    {"size_gb": "MAX", "raid_level": "5", "controller": "software", "volume_name": "data"},
]}  # fmt: skip
LINE = 2000
SLOWLY = "modprobe md_mod; echo 1000 >/proc/sys/dev/raid/speed_limit_max"
"""Resyncing would take all of one emulated processor."""
DRIVE = base64.b64encode(gzip.compress(bytes(0x8001) + b"CD001" + bytes(MIB))).decode()
ESP_MIB = 96
MARK = b"what the tenant's root has"
OPTIONS = f"console=ttyS0 quiet bms.shell booted-by=entry {PATIENT}"


def put(guest: Guest, path: str, text: str) -> None:
    """A file, whatever is in it; in lines that a terminal takes."""
    packed = base64.b64encode(text.encode()).decode()
    guest.do(f"rm -f {path}.b64")
    for at in range(0, len(packed), LINE):
        guest.do(f"echo {packed[at : at + LINE]} >>{path}.b64")
    guest.do(f"base64 -d {path}.b64 >{path}")


def ordered(guest: Guest, name: str, request: str) -> None:
    """A copy of the agent's unit that is given the request."""
    put(guest, f"/run/{name}.json", request)
    lines = (
        "s|^ExecStart=.*|ExecStart=/usr/bin/python3 /run/doing.py|; s/^Type=.*/Type=oneshot/; "
        f"s|^StandardOutput=.*|StandardInput=file:/run/{name}.json\\nStandardOutput=file:/run/{name}.out|; "
        "/^(Restart|Timeout|Watchdog)/d"
    )
    guest.do(f"sed -E '{lines}' {UNIT} >/run/systemd/system/{name}.service")


def done_in(guest: Guest, name: str, request: str, within_s: float = DO_S) -> str:
    """The request, in a copy of the agent's unit; what it said."""
    ordered(guest, name, request)
    guest.do(
        f"systemctl start {name} || {{ cat /run/{name}.out; journalctl --no-pager -n 30 -u {name}; false; }}", within_s
    )
    return guest.do(f"cat /run/{name}.out")


def clean(step: str, **known: Any) -> tuple[str, dict[str, Any]]:
    """The order for a step of cleaning."""
    interface, _, name = step.partition(".")
    return "clean.execute_clean_step", {"step": {"interface": interface, "step": name}, "node": about(**known)}


def about(**known: Any) -> dict[str, Any]:
    """The node as Ironic tells of it; no hints."""
    return node(properties={}, instance_info={}, **known)


def writing(image: ImageRef) -> dict[str, Any]:
    """The step that writes it, with a config drive."""
    args = {"image_info": image_info(image, configdrive=DRIVE), "configdrive": DRIVE}
    return {"interface": "deploy", "step": "write_image", "args": args}


def ordered_in(guest: Guest, name: str, *orders: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Ironic's commands, in their order, carried out by the agent as shut in as it is; how each ended."""
    put(guest, "/run/doing.py", STEPS)
    said = done_in(guest, name, json.dumps({"uuid": UUID, "id": name, "orders": orders}))
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def image_with_loader(folder: Path, ramdisk: Path) -> bytes:
    """An image whose system is the ramdisk itself: a kernel that the firmware starts by its entry only, for there is no
    fallback; and some bytes behind it.
    """
    files = {
        "/EFI/debian/shimx64.efi": (ramdisk / "vmlinuz").read_bytes(),
        "/EFI/debian/initrd": (ramdisk / "initrd").read_bytes(),
        "/EFI/debian/BOOTX64.CSV": csv(f"shimx64.efi,x,{OPTIONS} initrd=\\EFI\\debian\\initrd"),
    }
    return head_with(fat_image(folder, files, ESP_MIB)) + MARK.ljust(4 * MIB, b"\0")


def disk_words(disks: list[Path]) -> list[str]:
    """QEMU's, for all but the first."""
    words = []
    for number, disk in enumerate(disks[1:], start=2):
        words += [
            "-drive",
            f"if=none,id=d{number},format=raw,file={disk},cache=unsafe,discard=unmap,detect-zeroes=unmap",
        ]
        words += ["-device", f"virtio-blk-pci,drive=d{number},serial=S{number}"]
    return words


def test_a_mirror_is_deployed_to_and_boots_without_a_disk(ramdisk: Path, tmp_path: Path) -> None:
    """By Ironic's steps: arrays are made of its target_raid_config, erased and kept, deployed to; with a disk less, the
    firmware starts what was written from another disk. There nothing counts as erased that a lost disk may still hold,
    and the arrays are deleted, and made again.
    """
    disks = [tmp_path / name for name in ("one", "two", "three")]
    for disk in disks:
        disk.touch()
        os.truncate(disk, 2 << 30)
    content = image_with_loader(tmp_path, ramdisk)
    kernel = ["-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(ramdisk / "initrd"),
              "-append", "console=ttyS0 quiet bms.shell", *disk_words(disks)]  # fmt: skip
    with serving(content) as server, booted(tmp_path / "guest", disks[0], *kernel, firmware=Firmware.UEFI) as guest:
        guest.wait_for("# ", BOOT_S)
        guest.do(f"systemctl stop bms-agent-ramdisk; {SLOWLY}")
        url = f"http://{HOST}:{server.server_address[1]}/image"
        image = ImageRef(url=url, format=ImageFormat.RAW, sha256=hashlib.sha256(content).hexdigest())
        (made,) = ordered_in(guest, "making", clean("raid.create_configuration", target_raid_config=ARRAYS))
        assert made["status"] == "SUCCEEDED", made
        assert made["result"]["clean_result"] == ARRAYS
        assert guest.do("cat /sys/block/md?/md/level").split() == ["raid1", "raid5", "raid1"]
        known = {"raid_config": made["result"]["clean_result"], "target_raid_config": ARRAYS}
        erased, written, uuids, entries = ordered_in(
            guest,
            "deploying",
            clean("deploy.erase_devices_metadata", **known),
            ("deploy.execute_deploy_step", {"step": writing(image), "node": about(**known)}),
            ("standby.get_partition_uuids", {}),
            ("image.install_bootloader", {"target_boot_mode": "uefi"}),
        )
        assert "stays" in erased["result"]["clean_result"], erased
        assert "mirrored_loader_bytes" in written["result"]["deploy_result"], written
        assert (uuids["status"], entries["status"]) == ("SUCCEEDED", "SUCCEEDED"), (uuids, entries)
        guest.type("sync; poweroff -f\n")
        guest.wait_for_end(DO_S)

    code, _ = ovmf()
    kept = tmp_path / "guest" / "variables.fd"
    flash = ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}",
             "-drive", f"if=pflash,unit=1,format=raw,file={kept}"]  # fmt: skip
    with booted(tmp_path / "degraded", disks[1], *flash, *disk_words(disks[1:])) as guest:
        guest.wait_for("# ", BOOT_S)
        guest.do(f"grep booted-by=entry /proc/cmdline && systemctl stop bms-agent-ramdisk; {SLOWLY}")
        (refused,) = ordered_in(guest, "erasing", clean("deploy.erase_devices_metadata", **known))
        assert "no array data runs" in refused["error"], (
            refused
        )  # a RAID 5 whose parity was not done yet, and a disk less
        found = f"dd if=$one bs=1M skip={ESP_MIB + 1} count=1 2>/dev/null | grep -a tenant"
        assert MARK.decode() in guest.do(f"for one in /dev/md[0-9]*; do {found}; done; true")
        (deleted,) = ordered_in(guest, "deleting", clean("raid.delete_configuration", **known))
        assert deleted["status"] == "SUCCEEDED", deleted
        assert guest.do("ls /sys/block | grep md; lsblk --noheadings --raw -o NAME | grep vd").split() == ["vda", "vdb"]
        assert "offset" not in guest.do("wipefs --json /dev/vd?")
        fewer = {"logical_disks": [ARRAYS["logical_disks"][0]]}
        (again,) = ordered_in(guest, "again", clean("raid.create_configuration", target_raid_config=fewer))
        assert again["status"] == "SUCCEEDED", again

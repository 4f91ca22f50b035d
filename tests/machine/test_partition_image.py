# SPDX-License-Identifier: Apache-2.0
"""A partition image of a real Debian, put on a disk by the built ramdisk as shut in as the agent is, and booted by real
firmware: shim and GRUB as Debian signed them, taken out of the image, of which nothing was run.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from agent.model.image import ImageFormat, ImageRef
from agent.model.layout import Layout
from agent.model.partition_table import partitions
from lab.firmware import Firmware, ovmf
from tests.hardware import deploy
from tests.hostile import serving
from tests.loops import command
from tests.machine.guest import HOST, Guest, booted
from tests.machine.test_capture import drive
from tests.machine.test_raid import DOING, UNIT, put

pytestmark = [pytest.mark.machine, pytest.mark.root, pytest.mark.long]

MIB, GIB = 1 << 20, 1 << 30
BOOT_S, DO_S = 900, 1200
LAYOUT = Layout(root_mib=2560, swap_mib=64, ephemeral_mib=128)
LIFE = [
    'echo "told root: $(findmnt -no SOURCE,LABEL /)" >/dev/ttyS0',
    'echo "told swap: $(blkid -L swap1)" >/dev/ttyS0',
    'echo "told ephemeral: $(blkid -o value -s TYPE -t LABEL=ephemeral0)" >/dev/ttyS0',
]


def partition_image(disk: Path, folder: Path) -> Path:
    """The last partition of a disk's image, as QCOW2."""
    with disk.open("rb") as file:
        _, offset, size = partitions(file.read(MIB), 512)[-1]
    raw, packed = folder / "root.raw", folder / "root.qcow2"
    command("dd", f"if={disk}", f"of={raw}", "bs=1M", f"skip={offset // MIB}", f"count={size // MIB}", "conv=sparse")
    command("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(packed))
    raw.unlink()
    return packed


def done_in(guest: Guest, name: str, request: str) -> str:
    """The request, in a copy of the agent's unit; what it said."""
    put(guest, f"/run/{name}.json", request)
    lines = (
        "s|^ExecStart=.*|ExecStart=/usr/bin/python3 /run/doing.py|; s/^Type=.*/Type=oneshot/; "
        f"s|^StandardOutput=.*|StandardInput=file:/run/{name}.json\\nStandardOutput=file:/run/{name}.out|; "
        "s|^TimeoutStartSec=.*|TimeoutStartSec=infinity|; /^(Restart|Watchdog)/d"
    )
    guest.do(f"sed -E '{lines}' {UNIT} >/run/systemd/system/{name}.service")
    shown = f"cat /run/{name}.out; journalctl --no-pager -n 30 -u {name}"
    guest.do(f"systemctl start {name} || {{ {shown}; false; }}", DO_S)
    return guest.do(f"cat /run/{name}.out")


def deployed_in(guest: Guest, image: ImageRef) -> str:
    """The deploy, then the boot entry; what the agent said."""
    guest.do("systemctl stop bms-agent-ramdisk")
    put(guest, "/run/doing.py", DOING)
    request = deploy(image=image, drive=drive("partitioned", LIFE), serial="S1").model_copy(update={"layout": LAYOUT})
    said = done_in(guest, "deploying", request.model_dump_json(exclude_none=True))
    select = {"verb": "boot.select", "request_id": "s", "node_id": "n", "root_device": {"serial": "S1"}}
    return said + done_in(guest, "selecting", json.dumps(select))


def test_a_partition_image_boots(ramdisk: Path, image: Path, tmp_path: Path) -> None:
    """The ramdisk makes table, loader, swap, ephemeral partition and config drive; the firmware's new entry starts
    shim, and the system comes up on its root and says what it found.
    """
    packed = partition_image(image.parent / "debian.raw", tmp_path)
    content, disk = packed.read_bytes(), tmp_path / "disk"
    disk.touch()
    os.truncate(disk, 4 * GIB)
    kernel = ["-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(ramdisk / "initrd"),
              "-append", "console=ttyS0 bms.shell quiet"]  # fmt: skip
    with serving(content) as server, booted(tmp_path / "ramdisk", disk, *kernel, firmware=Firmware.UEFI) as guest:
        url = f"http://{HOST}:{server.server_address[1]}/root.qcow2"
        guest.wait_for("# ", BOOT_S)
        digest = hashlib.sha256(content).hexdigest()
        said = deployed_in(guest, ImageRef(url=url, format=ImageFormat.QCOW2, sha256=digest))
        assert "nothing of the image is run" in said and "'shim and GRUB of Debian" in said
        assert "File(\\EFI\\debian\\shimx64.efi)" in said
        assert "loop" not in guest.do("losetup --all; grep bms-agent/root /proc/mounts; true")
        guest.type("sync; poweroff -f\n")
        guest.wait_for_end(BOOT_S)

    code, _ = ovmf()
    kept = tmp_path / "ramdisk" / "variables.fd"
    flash = ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}",
             "-drive", f"if=pflash,unit=1,format=raw,file={kept}"]  # fmt: skip
    with booted(tmp_path / "server", disk, *flash) as guest:
        console = guest.wait_for_end(2 * BOOT_S)
    told = {line.partition(":")[0]: line.partition(": ")[2] for line in console.splitlines() if "told " in line}
    assert told["told root"].split() == ["/dev/vda5", "root"]
    assert (told["told swap"], told["told ephemeral"], told["told hostname"]) == ("/dev/vda3", "ext4", "partitioned")

# SPDX-License-Identifier: Apache-2.0
"""A boot entry that real firmware follows: made by the ramdisk in its sandbox, and booted from by OVMF."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from lab.firmware import Firmware, ovmf
from lab.machine import PATIENT
from tests.efi import MIB, csv, fat_image, head_with
from tests.machine.guest import Guest, booted

pytestmark = [pytest.mark.machine, pytest.mark.root]

BOOT_S, SELECT_S = 900, 300
UNIT, RUNTIME = "/usr/lib/systemd/system/bms-agent-ramdisk.service", "/run/systemd/system/selecting.service"
CMDLINE = "console=ttyS0 quiet bms.shell systemd.unit=bms-shell@ttyS0.service"
ESP_MIB = 60
OPTIONS = f"console=ttyS0 panic=1 booted-by=entry {PATIENT}"
SELECTING = """
import sys
sys.path.insert(0, "/usr/lib/bms-agent")
from agent.host.real import host
from agent.model.device_hints import OperatorHints
from agent.model.request import ForgetBootRequest, SelectBootRequest
from agent.operations import Operations
doer = Operations(host(), "ramdisk", "/run/bms-agent")
hints = OperatorHints(specs={"serial": "S1"})
select = SelectBootRequest(request_id="r", node_id="n", root_device=hints)
forget = ForgetBootRequest(request_id="f", node_id="n", match_patterns=("shim",))
for request in (select, select, forget, select):
    plan = doer.plan(request)
    for step in plan.steps:
        for one in plan.preconditions:
            doer.hold(one)
        print(step.kind, doer.do(step, lambda *_: None))
"""


def disk_with_loader(folder: Path, kernel: Path) -> Path:
    """Its loader is a kernel, which says on the console what it was told; there is no fallback that could stand in."""
    files = {"/EFI/debian/shimx64.efi": kernel.read_bytes(), "/EFI/debian/BOOTX64.CSV": csv(f"shimx64.efi,x,{OPTIONS}")}
    disk = folder / "disk"
    disk.write_bytes(head_with(fat_image(folder, files, ESP_MIB)))
    os.truncate(disk, (ESP_MIB + 4) * MIB)
    return disk


def select_in(guest: Guest) -> str:
    """What the agent does, as shut in as the agent is; what it said."""
    script = base64.b64encode(SELECTING.encode()).decode()
    guest.do("udevadm settle", BOOT_S)
    guest.do(f"echo {script} | base64 -d >/run/selecting.py")
    lines = (
        "s|^ExecStart=.*|ExecStart=/usr/bin/python3 -I /run/selecting.py|; s/^Type=.*/Type=oneshot/; "
        "s|^StandardOutput=.*|StandardOutput=file:/run/said|; /^(Restart|Timeout|Watchdog|Condition|After)/d"
    )
    guest.do(f"sed -E '{lines}' {UNIT} >{RUNTIME} && systemctl daemon-reload")
    guest.do("systemctl start selecting || { journalctl -n 40 -u selecting; false; }", SELECT_S)
    return guest.do("cat /run/said")


def test_firmware_boots_what_was_selected(ramdisk: Path, tmp_path: Path) -> None:
    """The entry is made once, forgotten, and made again; with it, and only so, the firmware starts the disk's loader,
    with the options that its distribution gave it.
    """
    disk = disk_with_loader(tmp_path, ramdisk / "vmlinuz")
    given = ["-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(ramdisk / "initrd"), "-append", CMDLINE]
    with booted(tmp_path / "ramdisk", disk, *given, firmware=Firmware.UEFI) as guest:
        guest.wait_for("# ", BOOT_S)
        said = select_in(guest).split("\n")
        kinds = [line.partition(" ")[0] for line in said if "_boot " in line]
        assert kinds == ["select_boot", "select_boot", "forget_boot", "select_boot"], said
        assert len({line for line in said if line.startswith("select_boot")}) == 1, said
        guest.type("sync; poweroff -f\n")
        guest.wait_for_end(SELECT_S)
    code, _ = ovmf()
    kept = tmp_path / "ramdisk" / "variables.fd"
    flash = ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}",
             "-drive", f"if=pflash,unit=1,format=raw,file={kept}"]  # fmt: skip
    with booted(tmp_path / "disk-boot", disk, *flash) as guest:
        guest.wait_for(f"Command line: {OPTIONS}", BOOT_S)

# SPDX-License-Identifier: Apache-2.0
"""The process that writes images hangs, in the built ramdisk, under systemd: it is ended, and keeps no disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.apply.disks import MIB, gpt_image
from tests.hostile import serving, stall_after
from tests.machine.guest import Guest, booted
from tests.machine.test_disk_failures import reference
from tests.machine.test_erasure import filled
from tests.machine.test_raid import BOOT_S, ordered, put
from tests.machine.test_scsi_debug import DO_S, KERNEL, shell

pytestmark = [pytest.mark.machine, pytest.mark.root, pytest.mark.long]

IMAGE = gpt_image(12 * MIB)
SILENT_S = 100
"""A process that starts in a guest takes its time."""
HANGING = f"""\
import sys
sys.path.insert(0, '/usr/lib/bms-agent')
from agent.apply.writer.relay import relayed
from agent.host.real import host
from agent.model.request import REQUEST
from agent.operations import Operations
made = host()
plan = Operations(made, 'ramdisk', '/run/bms-agent/spool').plan(REQUEST.validate_json(sys.stdin.read()))
(step,) = (one for one in plan.steps if one.kind == 'write_image')
print(relayed(made, step, '/run/bms-agent-writer/socket', lambda *_: None, silent_s={SILENT_S}))
"""
WRITER = "bms-agent-writer.service"
CALLING = """\
import socket, time
line = socket.socket(socket.AF_UNIX)
line.connect('/run/bms-agent-writer/socket')
time.sleep(600)
"""


def pid_of(guest: Guest, ready: str) -> str:
    """The process that writes images, once it is so far."""
    asking = f"pid=$(systemctl show --property=MainPID --value {WRITER}); test $pid != 0 && {ready}"
    return guest.do(f"for try in $(seq 300); do {asking} && echo $pid && break; sleep 1; done", DO_S).split()[-1]


def watched(guest: Guest, seconds: str) -> None:
    """By systemd, for so long; 0 is for ever."""
    place = f"/run/systemd/system/{WRITER}.d"
    guest.do(f"mkdir -p {place}; printf '[Service]\\nWatchdogSec={seconds}\\n' >{place}/watched.conf")
    guest.do("systemctl daemon-reload", DO_S)


def test_a_writer_that_hangs_is_killed(ramdisk: Path, tmp_path: Path) -> None:
    """By root, as shut in as it is, though it is another user's, and systemd does nothing: the next one gets the disk,
    and writes the image. One that hangs before it has said a word is ended by systemd.
    """
    disk = filled(tmp_path / "S1")
    os.truncate(disk, 16 * MIB)
    words = ["-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(ramdisk / "initrd"), "-append", KERNEL]
    with serving(IMAGE) as web, booted(tmp_path / "guest", disk, *words) as guest:
        shell(guest)
        request = {"verb": "image.deploy", "request_id": "hangs", "node_id": "n1", "image": reference(web, IMAGE),
                   "overwrite": True, "reboot": False, "root_device": {"serial": "S1"}}  # fmt: skip
        watched(guest, "0")
        put(guest, "/run/doing.py", HANGING)
        ordered(guest, "hanging", json.dumps(request))
        web.script = [stall_after(len(IMAGE) // 2)] * 40
        guest.do("systemctl start --no-block hanging", DO_S)
        pid = pid_of(guest, "test $(ls -l /proc/$pid/fd | grep -c /dev/vda) = 2")
        guest.do(f"kill -STOP {pid}")
        web.script = []
        over = "systemctl show --property=ActiveState --value hanging | grep -qv activating"
        guest.do(f"for try in $(seq 600); do {over} && break; sleep 1; done", DO_S)
        said = guest.do("cat /run/hanging.out; journalctl --no-pager -n 40 -u hanging -u bms-agent-writer")
        assert "'written_bytes'" in said and "killing the process that wrote the image" in said, said
        guest.do(f"test ! -e /proc/{pid}")

        watched(guest, "30")
        put(guest, "/run/calling.py", CALLING)
        guest.do("python3 /run/calling.py & sleep 0", DO_S)
        silent = pid_of(guest, "test -e /proc/$pid")
        guest.do(f"sleep 40; test -e /proc/{silent} && kill -STOP {silent}", DO_S)
        guest.do(
            f"for try in $(seq 300); do test ! -e /proc/{silent} && break; sleep 1; done; test ! -e /proc/{silent}",
            DO_S,
        )
        assert "Watchdog timeout" in guest.do(f"journalctl --no-pager -n 40 -u {WRITER}")
        guest.do("kill %1; wait")
        guest.type("poweroff -f\n")
        guest.wait_for_end(BOOT_S)

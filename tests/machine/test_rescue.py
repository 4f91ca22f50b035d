# SPDX-License-Identifier: Apache-2.0
"""Rescue in the built ramdisk: shut to everybody, until the agent, in its sandbox, opens it to one password."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
from pathlib import Path

import pytest

from tests.loops import command
from tests.machine.guest import Guest, booted

pytestmark = [pytest.mark.machine, pytest.mark.root]

BOOT_S, OPEN_S = 900, 120
UNIT, RUNTIME = "/usr/lib/systemd/system/bms-agent-ramdisk.service", "/run/systemd/system/rescuing.service"
PASSWORD = "correct horse battery"
OPENING = "import sys; sys.path.insert(0, '/usr/lib/bms-agent'); from agent.host.real import host; \
from agent.host.rescue import open_rescue; open_rescue(host(), sys.stdin.readline().strip())"


def free_port() -> int:
    """On this machine, for the guest's port 22."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def open_in(guest: Guest, password_hash: str) -> None:
    """What the agent does, as shut in as the agent is. This shell ends with it: the console is the owner's."""
    guest.do("systemctl stop bms-agent-ramdisk")
    guest.do(f"echo {shlex.quote(password_hash)} >/run/hash; echo {shlex.quote(OPENING)} >/run/opening.py")
    lines = (
        "s|^ExecStart=.*|ExecStart=/usr/bin/python3 /run/opening.py|; s/^Type=.*/Type=oneshot/; "
        "s|^StandardOutput=.*|StandardInput=file:/run/hash|; /^(Restart|Timeout|Watchdog)/d"
    )
    guest.do(f"sed -E '{lines}' {UNIT} >{RUNTIME}")
    guest.type("systemctl start rescuing || journalctl --no-pager -n 40 -u rescuing -u bms-rescue\n")
    guest.wait_for("log in as rescue", OPEN_S)


def logged_in(port: int, password: str, order: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """By ssh with a password, as a person would."""
    asked = folder / "askpass"
    asked.write_text(f"#!/bin/sh\necho {shlex.quote(password)}\n")
    asked.chmod(0o700)
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "NumberOfPasswordPrompts=1",
               "PreferredAuthentications=password", "ConnectTimeout=120"]  # fmt: skip
    argv = ["ssh", "-p", str(port), *(f"-o{option}" for option in options), "rescue@127.0.0.1", order]
    env = os.environ | {"SSH_ASKPASS": str(asked), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": "none"}
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=300)


def test_rescue(ramdisk: Path, tmp_path: Path) -> None:
    """Before: no ssh, no account. After: this password, and no other, gives a root shell by ssh and at the console."""
    disk = tmp_path / "disk"
    disk.touch()
    os.truncate(disk, 1 << 20)
    port = free_port()
    words = "console=ttyS0,115200 bms.shell bms.controller=http://10.0.2.2:9"
    extra = [
        "-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(ramdisk / "initrd"), "-append", words,
        "-netdev", f"user,id=ssh,net=10.0.3.0/24,hostfwd=tcp:127.0.0.1:{port}-:22",
        "-device", "virtio-net-pci,netdev=ssh,romfile=",
    ]  # fmt: skip
    with booted(tmp_path / "guest", disk, *extra) as guest:
        guest.wait_for("# ", BOOT_S)
        guest.do("! systemctl is-active bms-rescue-ssh && ! grep rescue /etc/passwd && ! test -e /etc/dropbear")
        open_in(guest, command("openssl", "passwd", "-6", "-salt", "saltsalt", PASSWORD).strip())
        right = logged_in(port, PASSWORD, "id -u; grep -c ^rescue: /etc/shadow; ls -A /run/bms-agent", tmp_path)
        wrong = logged_in(port, "wrong", "true", tmp_path)

        assert (right.returncode, right.stdout.split()[:2]) == (0, ["0", "1"]), right.stderr
        assert "rescue" not in right.stdout
        assert wrong.returncode == 255 and "denied" in wrong.stderr.lower(), wrong
        guest.wait_for("login: ", OPEN_S)
        guest.type("rescue\n")
        guest.wait_for("Password: ", OPEN_S)
        guest.type(f"{PASSWORD}\n")
        guest.wait_for("# ", OPEN_S)
        assert guest.do("id -u && test -e /etc/.rescued && systemctl is-active bms-rescue-ssh").split() == [
            "0",
            "active",
        ]
        told = guest.do(
            "systemctl start bms-agent-ramdisk; systemctl show --property ConditionResult bms-agent-ramdisk"
        )
        assert "ConditionResult=no" in told

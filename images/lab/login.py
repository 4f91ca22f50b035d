# SPDX-License-Identifier: Apache-2.0
"""Logging in to a deployed server, as its user: a key pair of the lab's own, and OpenSSH's client."""

from __future__ import annotations

import re
import time
from pathlib import Path

from lab.command import run
from lab.fault import LabFault

PAUSE_S = 2
# The serial number shows that it is that machine and no other. systemd's dynamic users begin with 61184.
QUESTIONS = {
    "hostname": "hostname",
    "machine serial": "sudo cat /sys/class/dmi/id/product_serial",
    "agent service": "systemctl is-active bms-agent.service",
    "calls made by": "[ $(stat -c %u /proc/$(systemctl show -P MainPID bms-agent-link)) -ge 61184 ] && echo no root",
    "address": "hostname -I",
    "kernel": "uname -r",
    "root disk": "findmnt -no SIZE,SOURCE /",
}
WRITER = "image written by"
"""Asked of the ramdisk's console: that process was gone before the server was there."""
WRITING = re.compile(rb"writing an image as user (\d+)")
FIRST_NOBODY = 61184


class Login:
    """The way in to one server, from inside the lab's namespace."""

    def __init__(self, key: Path, user: str, address: str) -> None:
        self.argv = [
            "ssh", "-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10",
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
            f"{user}@{address}",
        ]  # fmt: skip

    def run(self, command: str) -> str:
        """What a command prints there."""
        return run([*self.argv, command]).strip()

    def wait(self, timeout_s: float) -> None:
        """Until it lets us in."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self.run("true")
                return
            except LabFault as error:
                if time.monotonic() > deadline:
                    raise LabFault(
                        f"logging in with {' '.join(self.argv)}: not within {timeout_s:.0f} seconds"
                    ) from error
            time.sleep(PAUSE_S)

    def answers(self, console_log: Path) -> dict[str, str]:
        """What the server says of itself; asked at once, since every login takes an emulated machine two seconds. And
        what the machine's console said before.
        """
        lines = self.run("; ".join(f"echo $({question})" for question in QUESTIONS.values())).splitlines()
        return dict(zip(QUESTIONS, lines, strict=True)) | {WRITER: written_by(console_log)}


def written_by(console_log: Path) -> str:
    """As whom the ramdisk has written the image."""
    users = [int(user) for user in WRITING.findall(console_log.read_bytes() if console_log.exists() else b"")]
    return "nobody said so" if not users else "no root" if min(users) >= FIRST_NOBODY else f"user {min(users)}"


def make_key(path: Path) -> Path:
    """A key pair; its public half is returned."""
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(path)])
    return path.with_suffix(".pub")

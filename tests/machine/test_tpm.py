# SPDX-License-Identifier: Apache-2.0
"""The node's key and the kernel's own /dev/tpmrm0, under the restrictions of the service's unit, in a guest whose TPM
is played by swtpm; and the process that speaks to the controller under the guest's systemd.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.machine import keyed
from tests.machine.guest import Guest, booted
from tests.machine.looked import BOOT_S, CMDLINE, confined, tpm

DO_S = 300
LINK = "bms-agent-link.service"
pytestmark = [
    pytest.mark.machine,
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("swtpm") is None, reason="swtpm is not installed"),
]


class Keyed:
    """The guest, and the process id of its TPM."""

    def __init__(self, guest: Guest, pid: int) -> None:
        self.guest = guest
        self.pid = pid

    def run(self, what: str, *, waits: bool = True) -> Any:
        """A process of the agent's: what it printed, once it has ended, or before."""
        command = f"mkdir -p /run/keyed; echo WHAT='{what}' >/run/keyed/what; : >/run/keyed/said"
        run = "systemctl restart keyed" if waits else "systemctl restart --no-block keyed"
        said = "grep '^{' /run/keyed/said"
        heard = f"for n in $(seq {DO_S // 2}); do {said} && break; sleep 1; done"
        return json.loads(self.guest.do(f"{command}; {run}; {heard}", DO_S))


@pytest.fixture(scope="module")
def machine(ramdisk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """Up, with a shell."""
    folder = tmp_path_factory.mktemp("tpm")
    program = Path(keyed.__file__).read_bytes()
    disk = folder / "disk"
    disk.write_bytes(program.ljust(1 << 20, b"\0"))
    unit = confined("python3 -P /run/keyed.py $WHAT", "/run/keyed/said")
    unit += "\nEnvironment=PYTHONPATH=/usr/lib/bms-agent\nEnvironmentFile=/run/keyed/what\nTimeoutStartSec=300\n"
    packed = base64.b64encode(zlib.compress(unit.encode())).decode()
    unpack = "import base64, sys, zlib; sys.stdout.buffer.write(zlib.decompress(base64.b64decode(sys.argv[1])))"
    with ExitStack() as stack:
        module = stack.enter_context(tpm(folder))
        words = ["-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(ramdisk / "initrd"), "-append", CMDLINE, *module]
        guest = stack.enter_context(booted(folder / "guest", disk, *words))
        guest.wait_for("# ", BOOT_S)
        guest.do("udevadm settle; modprobe tpm_crb; ls -l /dev/tpmrm0", BOOT_S)
        guest.do(f"python3 -c '{unpack}' {packed} >/run/systemd/system/keyed.service")
        guest.do(f"head -c {len(program)} /dev/disk/by-id/virtio-S1 >/run/keyed.py")
        yield Keyed(guest, int((folder / "tpm" / "pid").read_text()))


def test_the_key_is_sealed_and_had_back(machine: Keyed) -> None:
    """By each process of the agent; no file has it. While the TPM answers nothing it is told, and nothing is lost; once
    the TPM was cleared there is another key, which an operator is asked for; given, it is sealed in its turn.
    """
    first = machine.run("open")
    ((known, fault),) = first["keys"]
    assert fault is None and first["files"] == ["node-key.sealed"]
    assert machine.run("open") == first

    os.kill(machine.pid, signal.SIGSTOP)
    try:
        ((spare, fault),) = machine.run("ask", waits=False)["keys"]
    finally:
        os.kill(machine.pid, signal.SIGCONT)
    assert spare != known and fault == "KEY.WAITS"
    assert machine.run("open")["keys"] == [[known, None]]
    assert machine.run(known) == {"keys": [[known, None]], "files": ["node-key.sealed"]}

    assert machine.run("clear") == {"refusal": 0}
    ((other, fault),) = machine.run("open")["keys"]
    assert other not in (known, spare) and fault == "KEY.LOST"
    assert machine.run(other)["files"] == ["node-key.sealed", "node-key.lost"]
    assert machine.run("open")["keys"] == [[other, None]]


def test_a_link_that_ends_again_and_again_is_slowed(machine: Keyed) -> None:
    """It has no file: what it counts in memory that systemd holds is there after each end, and it waits."""
    machine.guest.do("systemctl start bms-agent-link.socket bms-agent-link.service", DO_S)
    for number in range(1, 4):
        machine.guest.do(
            f"systemctl kill --signal=KILL {LINK}; for n in $(seq 250); do "
            f"[ $(systemctl show -P NRestarts {LINK}) -ge {number} ] && systemctl is-active --quiet {LINK} && break; "
            f"systemctl show -P StatusText {LINK} | grep waiting && break; sleep 1; done",
            DO_S,
        )
    said = machine.guest.do(f"systemctl show -P StatusText {LINK}; systemctl show -P NRestarts {LINK}", DO_S)

    assert "ended 3 times in a row: waiting for 5 s" in said

# SPDX-License-Identifier: Apache-2.0
"""Logs as an archive: what is in it, what never is, and that it is made whatever fails, in time and within bounds."""

from __future__ import annotations

import random
import subprocess
import sys
import tarfile
import time
from base64 import encodebytes
from io import BytesIO
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import HostError
from agent.host import real
from agent.host.fake import FakeHost, FaultPlan, saying
from agent.inventory.logs import EFI_GUID, bundle, gathered, latest, shortened
from tests.link import equipped
from tests.loops import command

MIB = 1024 * 1024
JOURNAL = "Nov 22 03:42:49 vm agent[1]: posting ipa-agent-token=hunter2 to Ironic\n"
CMDLINE = "ipa-api-url=http://192.0.2.1:6385 ipa-agent-token=hunter2 rootpwd=hunter2\n"


def host(faults: FaultPlan | None = None) -> FakeHost:
    """A machine with a journal, a command line, a process and boot entries."""
    machine = equipped.dell()
    machine.programs["journalctl"] = saying(JOURNAL)
    entry = b"\1\0\0\0\x62\0" + "debian".encode("utf-16-le") + bytes(60)
    idle = b"\0\0\0\0\x62\0" + "PXE".encode("utf-16-le") + bytes(60)
    files = {
        "/proc/cmdline": CMDLINE.encode(),
        "/proc/mdstat": b"Personalities :\nunused devices: <none>\n",
        "/proc/7/stat": b"7 (bms agent) S 1 7 7 0\n",
        "/proc/7/cmdline": b"bms-agent\0ramdisk\0--token=hunter2\0",
        "/run/bms-agent/ironic/identity.json": b'{"token": "hunter2"}',
        f"/sys/firmware/efi/efivars/Boot0001-{EFI_GUID}": b"\7\0\0\0" + entry,
        f"/sys/firmware/efi/efivars/Boot000A-{EFI_GUID}": b"\7\0\0\0" + idle,
        f"/sys/firmware/efi/efivars/BootOrder-{EFI_GUID}": b"\7\0\0\0\1\0\x0a\0",
    }
    for path, content in files.items():
        machine.tree.put(path, content)
    return FakeHost.of(machine, faults)


def texts(archive: bytes) -> dict[str, str]:
    """What is in it."""
    with tarfile.open(fileobj=BytesIO(archive), mode="r:gz") as tar:
        return {member.name: (tar.extractfile(member) or BytesIO()).read().decode() for member in tar}


def test_what_is_in_it() -> None:
    """Journal, kernel's files, processes, udev's database, boot entries, inventory, and what our state is made of."""
    found = texts(bundle(host(), MIB))

    assert found["journal"] == JOURNAL.replace("hunter2", "***")
    assert found["mdstat"].startswith("Personalities")
    assert "7 1 S bms agent bms-agent ramdisk" in found["ps"]
    assert found["efibootmgr"] == "Boot0001: debian\nBoot000A: PXE (inactive)\nBootOrder: 0001 000A\n"
    assert '"ID_SCSI_SERIAL": "S5G0NE0R000000"' in found["udev/sda"]
    assert '"product":"PowerEdge R650"' in found["inventory.json"].replace('": "', '":"')
    assert "/run/bms-agent/ironic/identity.json" in found["state"]
    assert {"dmesg", "df", "ip_addr", "ip_route", "lsblk", "mount", "cmdline"} <= set(found)


def test_no_secrets() -> None:
    """None, in no file: neither the token nor a password, wherever it was written."""
    found = texts(bundle(host(), MIB))

    assert not [name for name, text in found.items() if "hunter2" in text]
    assert found["cmdline"] == "ipa-api-url=http://192.0.2.1:6385 ipa-agent-token=*** rootpwd=***\n"


def test_what_is_missing_is_said() -> None:
    """A tool that is not installed, a file that is not there: the archive says so in its place."""
    found = texts(bundle(host(), MIB))

    assert "dmesg is not installed" in found["dmesg"]
    assert "No such file" in found["modules"]


def test_every_failing_call() -> None:
    """Whatever door call fails, there is an archive with all its files, and it says so, or is the same without."""
    healthy = host()
    whole = texts(bundle(healthy, MIB))
    for number in range(1, len(healthy.faults.calls) + 1, 7):
        hurt = host(FaultPlan(at=number))
        found = texts(bundle(hurt, MIB))
        call = hurt.faults.calls[number - 1]

        assert set(found) >= {name for name in whole if not name.startswith("udev/")}
        is_told = f"failure planned for call {number}" in "".join(found.values())
        assert is_told or found == whole or "/proc/7/" in call, call


def test_a_source_that_hangs() -> None:
    """A dead disk keeps one source for ever; the others are there in time, and it is said which one is not."""
    over = Event()

    def hang() -> dict[str, str]:
        over.wait(60)
        raise HostError("reading", "interrupted")

    began_s = time.monotonic()
    try:
        found = gathered({"dead": hang, "alive": lambda: {"alive": "yes"}}, ready_s=0.5)
    finally:
        over.set()

    assert found == {"dead": "no answer within 0.5 s\n", "alive": "yes"}
    assert time.monotonic() - began_s < 20


@pytest.mark.commands
def test_a_source_that_hangs_does_not_keep_the_process() -> None:
    """A command that has packed its bundle ends, and so does an agent that is stopped: nobody waits for the dead disk
    (as Python does for the threads of its pools).
    """
    program = (
        "from threading import Event; from agent.inventory.logs import gathered\n"
        "print(gathered({'dead': Event().wait}, ready_s=0.1))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)

    assert "no answer within 0.1 s" in ended.stdout


def test_a_fault_of_ours_costs_one_text() -> None:
    """What no source foresaw is told in its place."""

    def broken() -> dict[str, str]:
        raise ValueError("odd")

    found = gathered({"broken": broken, "alive": lambda: {"alive": "yes"}})

    assert found == {"broken": "a fault of bms-agent: ValueError: odd\n", "alive": "yes"}


def test_limit() -> None:
    """What is too large loses its oldest lines, and nothing else does."""
    lines = encodebytes(random.Random(1).randbytes(4 * MIB)).decode()
    loud = host()
    loud.machine.programs["journalctl"] = saying(lines)
    archive = bundle(loud, MIB)
    found = texts(archive)

    assert MIB // 2 < len(archive) <= MIB
    assert lines.endswith(found["journal"]) and found["journal"][:1] and found["journal"] != lines
    assert lines[: -len(found["journal"])].endswith("\n")
    assert found["mdstat"] == "Personalities :\nunused devices: <none>\n"


@pytest.mark.parametrize("limit_bytes", [0, 100, 1000, 20_000])
def test_small_limits(limit_bytes: int) -> None:
    """However small the limit is, it is an archive; an empty one has its own size, 100 bytes at most."""
    archive = bundle(host(), limit_bytes)

    texts(archive)
    assert len(archive) <= max(limit_bytes, 100)


@settings(max_examples=200)
@given(st.dictionaries(st.text(max_size=3), st.text("ab\n", max_size=200), max_size=8), st.floats(0, 1))
def test_shortened(whole: dict[str, str], share: float) -> None:
    """No more than the share is left, each is an end of what it was, and no text is cut while a longer one is whole."""
    left = shortened(whole, share)

    assert sum(map(len, left.values())) <= sum(map(len, whole.values())) * share or left == whole
    assert all(whole[name].endswith(text) for name, text in left.items())
    cut = [len(whole[name]) for name, text in left.items() if text != whole[name]]
    uncut = [len(text) for name, text in left.items() if text == whole[name]]
    assert not cut or max(uncut, default=0) <= min(cut)


def test_latest_lines() -> None:
    """Whole lines, from the end; a single line that is too long is left out."""
    assert latest("one\ntwo\nthree\n", 10) == "two\nthree\n"
    assert latest("one\ntwo\nthree\n", 9) == "three\n"
    assert latest("one\ntwo\n", 8) == "one\ntwo\n"
    assert latest("endless", 3) == ""
    assert latest("one\n", 0) == ""


@pytest.mark.commands
def test_this_machine() -> None:
    """On a real machine it is there in time, whatever that machine has not."""
    began_s = time.monotonic()
    archive = bundle(real.host(), 4 * MIB)

    assert time.monotonic() - began_s < 60
    assert len(archive) <= 4 * MIB
    found = texts(archive)
    assert command("cat", "/proc/version") == found["version"]
    assert "PID PPID STATE NAME COMMAND" in found["ps"]

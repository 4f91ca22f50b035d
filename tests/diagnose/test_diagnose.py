# SPDX-License-Identifier: Apache-2.0
"""The whole of it: a machine in, findings out; within its time, without touching anything, whatever fails or hangs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from threading import Event

import pytest

from agent.diagnose import diagnose
from agent.diagnose.look import around, boot, itself
from agent.diagnose.observe import observe
from agent.diagnose.seen import InCharge
from agent.diagnose.text import lines
from agent.host.doors import Completed
from agent.host.fake import FakeHost, FaultPlan, Machine, saying
from agent.host.fake.machine import Record
from agent.host.files import RealFiles
from agent.job.journal import Accepted, Begun, Journal, StepBegun
from agent.job.network_record import NetworkRecord
from agent.job.status import StatusFile
from agent.model.fact import Unknown
from agent.model.finding import Severity
from agent.model.ladder import Ladder
from tests.diagnose import seeing
from tests.host.test_run import has_ended
from tests.loops import command
from tests.machines import synthetic

CONTROLLER = "http://192.0.2.1:8480"
UNITS = """\
Id=bms-agent.service
LoadState=not-found
ActiveState=inactive
NRestarts=0

Id=bms-agent-ramdisk.service
LoadState=loaded
ActiveState=failed
NRestarts=4
"""
EXITED = {
    "UNIT": "bms-agent-ramdisk.service",
    "EXIT_CODE": "killed",
    "EXIT_STATUS": "9",
    "_BOOT_ID": "11111111222233334444555555555555",
    "__REALTIME_TIMESTAMP": "1790000000000000",
}
DMESG = """\
[   12.1] sd 0:0:1:0: [sdb] tag#12 Sense Key : Medium Error [current]
[   12.1] critical medium error, dev sdb, sector 123456 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2
[   13.1] I/O error, dev nvme0n1p2, sector 9 op 0x1:(WRITE) flags 0x0 phys_seg 1 prio class 2
[   14.1] Buffer I/O error on dev sdb1, logical block 4, async page read
[   15.1] I/O error, dev fd0, sector 0 op 0x0:(READ)
[   15.1] I/O error, dev loop3, sector 0 op 0x0:(READ)
"""


def ramdisk() -> Machine:
    """A Dell in the ramdisk of an embedded controller, with a job that was begun, and an agent that died."""
    made = synthetic.dell_r650()
    made.tree.put("/proc/cmdline", f"bms.controller={CONTROLLER} bms.token=hunter2-hunter2\n".encode())
    made.tree.put(itself.RAMDISK_UNIT, b"[Unit]\n")
    made.tree.put("/proc/sys/kernel/random/boot_id", f"{seeing.BOOT}\n".encode())
    made.programs |= {
        "systemctl": saying(UNITS),
        "journalctl": saying(json.dumps(EXITED) + "\nnot JSON\n{}\n"),
        "dmesg": saying(DMESG),
    }
    made.begin_network()
    made.now = datetime(2026, 11, 22, tzinfo=UTC)
    return made


def begun(machine: Machine) -> None:
    """A job that the agent was at when it died."""
    journal = Journal(FakeHost.of(machine).files, "/run/bms-agent")
    journal.write(Accepted(request_id="r1", verb="image.deploy", digest="d"))
    journal.write(Begun(request_id="r1", disks=(seeing.DISK,), epilogue=None))
    journal.write(StepBegun(request_id="r1", step="write_image"))


def test_what_is_wrong_with_a_machine() -> None:
    """Every part of it speaks: the agent, its job, its end, disks, and the controller that has no name."""
    machine = ramdisk()
    begun(machine)
    found = diagnose(FakeHost.of(machine))
    codes = {finding.code: finding for finding in found.findings}

    assert found.who == "Dell Inc. PowerEdge R650, serial 7XK4Q33, booted by uefi"
    assert found.is_bad and found.answer.startswith("the agent does not run (")
    assert {"AGENT.NOT_RUNNING", "AGENT.CRASHED", "JOB.UNFINISHED", "DISK.FAILING", "CONTROLLER.NO_NAME"} <= set(codes)
    assert "step write_image, on /dev/sda" in codes["JOB.UNFINISHED"].why
    assert [one.severity for one in found.findings] == sorted(
        (one.severity for one in found.findings), key=list(Severity).index
    )


def test_nothing_is_touched() -> None:
    """No file is made, changed or cut, not even a journal whose end is torn; no command but those that only tell."""
    machine = ramdisk()
    begun(machine)
    path = "/run/bms-agent/journal.log"
    torn = machine.tree.entries[path] + b"12345678 {torn"  # type: ignore[operator]
    machine.tree.put(path, torn)
    before = dict(machine.tree.entries)
    found = diagnose(FakeHost.of(machine))

    assert "JOB.UNFINISHED" in {finding.code for finding in found.findings}
    assert machine.tree.entries == before and machine.network_changes == 0
    assert {argv[0] for argv in machine.commands} == {"systemctl", "journalctl", "dmesg"}


def test_whatever_fails() -> None:
    """Whatever door call fails, there is a diagnosis, and it says what was not seen, or finds no less for it."""
    healthy = FakeHost.of(ramdisk())
    whole = {finding.code for finding in diagnose(healthy).findings}
    for number in range(1, len(healthy.faults.calls), 9):
        hurt = FakeHost.of(ramdisk(), FaultPlan(at=number))
        found = diagnose(hurt)
        codes = {finding.code for finding in found.findings}

        assert found.unknown or whole <= codes or "planned" in found.model_dump_json(), hurt.faults.calls[number - 1]


def test_a_look_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that keeps the resolver, a disk that does not answer: it is over in time, and says so."""
    over = Event()
    machine = ramdisk()
    machine.programs["dmesg"] = lambda *_: over.wait(30) or saying("")  # type: ignore[assignment]
    began_s = time.monotonic()
    seen = observe(FakeHost.of(machine), 0.5)
    took_s = time.monotonic() - began_s
    over.set()

    assert took_s < 10 and isinstance(seen.complaints, Unknown)
    assert seen.unknown()["complaints"] == "no answer within 0.5 s"
    assert not isinstance(seen.units, Unknown)


def test_switches_are_listened_to_when_asked() -> None:
    """Only then: they speak every half minute."""
    machine = ramdisk()
    machine.announcements = {"eno1": bytes.fromhex("0207 04 a0b1c2d3e4f5 0407 03 a0b1c2d3e401 0602 0078 0000")}

    assert observe(FakeHost.of(machine), 20.0).neighbours is None
    heard = observe(FakeHost.of(machine), 20.0, listen_s=0.1).neighbours
    assert isinstance(heard, dict) and heard["eno1"].chassis_id == "a0:b1:c2:d3:e4:f5"


def test_units() -> None:
    """Those that are not installed are none."""
    assert [(unit.name, unit.state, unit.restarts) for unit in itself.shown(UNITS)] == [
        ("bms-agent-ramdisk.service", "failed", 4)
    ]


def test_endings() -> None:
    """Entries that are cut are passed over, and so is an end that was well."""
    well = json.dumps(EXITED | {"EXIT_CODE": "exited", "EXIT_STATUS": "0"})
    (one,) = itself.ended("\n".join([json.dumps(EXITED), well, "{", "[]", '{"UNIT": 1}']))

    assert (one.unit, one.boot_id, one.how) == ("bms-agent-ramdisk.service", seeing.BOOT, "killed, status 9")
    assert list(itself.ended("")) == []


def test_of_every_unit_that_stays() -> None:
    """The journal is asked how processes of each ended: of link, API, controller and importer, too."""
    asked: list[Sequence[str]] = []

    def run(argv: Sequence[str], **_: object) -> Completed:
        asked.append(argv)
        return Completed(tuple(argv), "", "", 0.0)

    assert itself.endings(run) == ()
    units = Path(__file__).parents[2] / "systemd"
    staying = {one.name for one in units.glob("*.service") if "Restart=always" in one.read_text(encoding="utf-8")}
    assert {f"UNIT={name}" for name in staying} <= set(asked[0]) and len(staying) == 6


def test_what_the_kernel_complains_of() -> None:
    """By disk: a partition's error is its disk's; floppies and loops are none of a server's."""
    assert [(one.disk, one.count) for one in boot.complained(DMESG)] == [("nvme0n1", 1), ("sdb", 2)]


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("nameserver 192.0.2.53\nnameserver fe80::1%eno1\nsearch example\n", ["192.0.2.53", "fe80::1"]),
        ("nameserver\nnameserver nonsense\n# nameserver 192.0.2.1\n", []),
    ],
)
def test_name_servers(text: str, servers: list[str]) -> None:
    """As resolv.conf(5) has them; what is none is passed over."""
    host = FakeHost.with_files({"/etc/resolv.conf": text})

    assert list(map(str, around.configured(host.files))) == servers


def test_the_resolvers_own_file_comes_first() -> None:
    """systemd-resolved names only itself in the other."""
    host = FakeHost.with_files(
        {"/etc/resolv.conf": "nameserver 127.0.0.53\n", around.RESOLVERS[0]: "nameserver 192.0.2.53\n"}
    )

    assert around.configured(host.files) == (ip_address("192.0.2.53"),)


@pytest.mark.parametrize(("bits", "may"), [("000001ffffffffff", True), ("0000000000003000", True), ("0", False)])
def test_who_may_ask(bits: str, may: bool) -> None:
    """CAP_NET_ADMIN and CAP_NET_RAW are what it takes; where the kernel does not tell, it is tried."""
    host = FakeHost.with_files({"/proc/self/status": f"Name:\tx\nCapEff:\t{bits}\n"})

    assert itself.may_ask(host.files) is may
    assert itself.may_ask(FakeHost.with_files({}).files)


def test_whom_a_ramdisk_serves() -> None:
    """The embedded controller by its own word; Ironic, at every address that it has, by its."""
    ironic = ramdisk()
    ironic.tree.put("/proc/cmdline", b"ipa-api-url=https://a:6385,https://b:6385 ipa-insecure=1\n")

    assert itself.place(FakeHost.of(ramdisk())).controllers == (InCharge(CONTROLLER),)
    found = itself.place(FakeHost.of(ironic)).controllers
    assert found == (InCharge("https://a:6385", insecure=True), InCharge("https://b:6385", insecure=True))


@pytest.mark.parametrize("cmdline", [b"ipa-api-url=mdns\n", b"boot_method=vmedia\n", b"ipa-use-mdns=1\n"])
def test_whom_the_network_or_virtual_media_named(cmdline: bytes) -> None:
    """What was found, by the agent's own word, with the authorities that it goes by; `mdns` is no server's name."""
    machine = ramdisk()
    machine.tree.put("/proc/cmdline", cmdline)
    host = FakeHost.of(machine)
    assert itself.place(host).controllers == ()
    assert itself.place(host).asks_around is (b"mdns" in cmdline)

    StatusFile(host, "/run/bms-agent", "ironic", "https://found:6385").tell("conducted by Ironic")
    host.files.write("/run/bms-agent/ironic/ca.pem", b"PEM")
    assert itself.place(host).controllers == (InCharge("https://found:6385", ca_pem="PEM"),)


def test_settings_that_are_wrong() -> None:
    """They are found, and say which; everything else is looked at all the same."""
    machine = ramdisk()
    machine.tree.put("/proc/cmdline", b"bms.controler=http://typo\n")
    found = diagnose(FakeHost.of(machine))

    assert "CONFIG.INVALID" in [one.code for one in found.findings] and "controler" in found.model_dump_json()


def test_a_network_change_that_is_pending() -> None:
    """It is seen where the agent wrote it, and stays there."""
    machine = ramdisk()
    NetworkRecord(FakeHost.of(machine).files, "/run/bms-agent").begin(seeing.pending())

    assert "NETWORK.CHANGE_PENDING" in {one.code for one in diagnose(FakeHost.of(machine)).findings}
    assert "/run/bms-agent/network-change.json" in machine.tree.entries


def test_a_controller_that_answers() -> None:
    """Every rung of the way is told."""
    machine = ramdisk()
    machine.ladders[CONTROLLER] = seeing.ladder()
    found = diagnose(FakeHost.of(machine))

    assert "CONTROLLER.REACHED" in {one.code for one in found.findings}
    assert isinstance(machine.ladders[CONTROLLER], Ladder)


def test_text_fits_a_terminal() -> None:
    """In 80 columns nothing is wider and nothing is lost; in a pipe nothing is folded."""
    found = diagnose(FakeHost.of(ramdisk()))
    narrow, wide = [line.text for line in lines(found, 80)], [line.text for line in lines(found, None)]

    assert max(map(len, narrow)) <= 80 < max(map(len, wide))
    assert " ".join(" ".join(narrow).split()) == " ".join(" ".join(wide).split())


def test_a_machine_of_which_nothing_is_known() -> None:
    """An empty one has no findings that keep it from working, and says what was not seen."""
    bare = Machine.of(synthetic.dell_r650().tree.copy(), Record(origin="synthetic"))
    bare.tree.drop("/sys")
    found = diagnose(FakeHost.of(bare))

    assert found.unknown and found.answer


@pytest.mark.root
def test_a_full_state_directory(tmp_path: Path) -> None:
    """A filesystem of a real kernel, filled to the last byte, then read-only: both are told, with the figures; one with
    room is not."""
    machine, place = ramdisk(), tmp_path / "run/bms-agent"
    place.mkdir(parents=True)
    command("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place))

    def told() -> dict[str, str]:
        host = FakeHost.of(machine)
        machine.spaces = {"/run/bms-agent": RealFiles(str(tmp_path)).space("/run/bms-agent")}  # type: ignore[dict-item]
        return {one.code: one.why for one in diagnose(host).findings if one.code.startswith("AGENT.STATE_")}

    try:
        assert told() == {}
        with pytest.raises(OSError, match="No space"), (place / "somebody-elses").open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        assert told() == {"AGENT.STATE_FULL": "the filesystem of /run/bms-agent has 0 of 262144 bytes left"}
        command("mount", "-o", "remount,ro", str(place))
        assert list(told()) == ["AGENT.STATE_READ_ONLY"]
    finally:
        command("umount", str(place))


@pytest.mark.commands
def test_it_answers_within_two_seconds() -> None:
    """The process from its start to its end, on this machine, whatever its network: in CPU, and waiting no longer than
    it says. (Wall time says how busy this machine is.)
    """
    argv = [sys.executable, "-m", "agent", "diagnose", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    told = json.loads(done.stdout)

    assert done.returncode in (0, 8) and (done.returncode == 8) == any(
        one["severity"] == "error" for one in told["findings"]
    )
    assert told["took_s"] < 2.0 or len(told["unknown"]) > 3  # a busy machine is waited for no longer


@pytest.mark.commands
def test_a_tool_that_hangs_is_not_left_behind(tmp_path: Path) -> None:
    """A real program that never ends: the answer is there, says what was not seen, and the program is no more."""
    pids = tmp_path / "pids"
    hanging = tmp_path / "systemctl"
    hanging.write_text(f"#!/bin/sh\necho $$ >> {pids}\nexec sleep 600\n", encoding="utf-8")
    hanging.chmod(0o755)
    argv = [sys.executable, "-m", "agent", "diagnose", "--json"]
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120, env=os.environ | path)

    assert done.returncode in (0, 8) and "units" in json.loads(done.stdout)["unknown"]
    assert pids.read_text(encoding="utf-8").split() and all(map(has_ended, map(int, pids.read_text().split())))

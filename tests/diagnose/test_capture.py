# SPDX-License-Identifier: Apache-2.0
"""Recording a machine: what it answers is all there, who it is is not, and nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from agent.diagnose import diagnose
from agent.diagnose.capture import capture, looks
from agent.diagnose.seen import items
from agent.errors import AgentError, DeviceError, HostError, RecordedMachine
from agent.host.device_doors import AtaAnswer
from agent.host.fake import FakeHost, Machine, Unreadable, saying
from agent.host.fake.devices import FakeDrives
from agent.host.fake.files import FakeFiles
from agent.host.fake.nf_table import FakeTable
from agent.host.fake.recorded import opened, packed, recorded
from agent.host.witness import witnessed
from agent.inventory import take
from agent.inventory.bmc import DRIVERS
from agent.inventory.erasing import abilities
from agent.inventory.hardware import take_in_full
from agent.model.fact import Unknown
from agent.model.network.nft import FIREWALL_TABLE
from tests.inventory import equipped
from tests.machines import planted, synthetic
from tests.machines.names import without_names

KEY = b"of a test"


@pytest.mark.parametrize("build", synthetic.MACHINES.values(), ids=synthetic.MACHINES.keys())
def test_the_inventory_is_the_same_but_for_names(build: Callable[[], Machine], tmp_path: Path) -> None:
    """Recorded, saved and loaded, a machine has all that the original has in full, unknown facts included."""
    original = build()
    machine, _ = capture(FakeHost.of(build()), "a test", KEY)
    machine.save(tmp_path)
    copy = opened(str(tmp_path))

    assert without_names(take_in_full(copy)) == without_names(take_in_full(FakeHost.of(original)))
    assert Machine.load(tmp_path).record.origin == "a test"


def test_what_devices_answer_is_recorded(tmp_path: Path) -> None:
    """Disks' health, modules of NICs, boot entries, sensors, the TPM: all but its certificates, an identity."""
    original = take_in_full(equipped.host())
    machine, _ = capture(equipped.host(), "a test", KEY)
    (tmp_path / "packed.tar.zst").write_bytes(packed(machine))
    copy = take_in_full(opened(str(tmp_path / "packed.tar.zst")))

    assert without_names(copy) == without_names(original)
    assert not isinstance(copy.tpm, Unknown) and copy.tpm and copy.tpm.certificates == ()
    assert all(disk.health for disk in items(copy.disks)[:3])
    assert copy.sensors and copy.memory_errors


def test_duplicates_stay_and_what_differs_differs() -> None:
    """Two disks with one serial still have one; a bogus WWN stays bogus; so do prefixes of makers and networks."""
    machine, _ = capture(FakeHost.of(synthetic.odd_disks()), "a test", KEY)
    sda, sdb, sdc, *_ = items(take(recorded(machine)).disks)
    dell, _ = capture(FakeHost.of(synthetic.dell_r650()), "a test", KEY)
    first, second, *_ = items(take(recorded(dell)).nics)

    assert sda.serial == sdb.serial != "SAME-SERIAL" and len(str(sda.serial)) == len("SAME-SERIAL")
    assert sda.wwn is None and str(sdb.wwn).startswith("0x5000000") and str(sdc.wwn).startswith("0x5000c50")
    assert first.mac.startswith("b0:26:28:") and first.mac != second.mac
    assert str(first.addresses[0]).startswith("10.") and first.addresses[0].network.prefixlen == 24


def test_nobody_can_tell_whose_machine_it_was() -> None:
    """What was planted, everywhere it can be, is in no file of a recording, in whatever way it is written."""
    machine, names = capture(planted.host(), "a test", KEY)
    told = planted.searchable(machine.written())

    assert names >= len(planted.IDENTITIES)
    for identity in (*planted.IDENTITIES, *planted.SECRETS):
        for written in planted.ways(identity):
            assert written not in told, f"{identity} as {written!r}"


def test_the_planted_ones_are_there_to_be_found() -> None:
    """The same search does find each of them in what was recorded, before it got other names."""
    host = planted.host()
    seen, notes = witnessed(host)
    for look in looks(seen, host.files, 1.0):
        with suppress(AgentError):
            look()
    raw = notes.machine(host.files, "a test", host.clock.now(), 0.0)
    told = planted.searchable(raw.written())

    missing = [one for one in planted.IDENTITIES if not any(written in told for written in planted.ways(one))]
    assert missing == []


def test_two_recordings_have_nothing_in_common() -> None:
    """Another key, other names; the same key, the same ones."""
    one, same, other = (capture(equipped.host(), "a test", key)[0].written() for key in (b"a", b"a", b"b"))

    assert one == same and one["tree.txt"] != other["tree.txt"]


def test_recording_changes_nothing() -> None:
    """It reads, and does nothing else: no file is written, and no command is run but those that tell."""
    host = FakeHost.of(synthetic.dell_r650())
    before = host.machine.tree.copy().entries
    capture(host, "a test", KEY)

    assert host.machine.tree.entries == before
    assert {argv[0] for argv in host.machine.commands} <= {"dmesg", "systemctl", "journalctl"}
    assert not any(disk.cached or disk.opened_exclusively for disk in host.machine.disks.values())


@pytest.mark.parametrize("noun", ["power", "erasers", "fetch", "netlink", "efi", "nftables", "datagrams"])
def test_whoever_records_can_change_nothing(noun: str) -> None:
    """Doors to what changes a machine are shut while it is recorded."""
    seen: Any = witnessed(equipped.host())[0]
    changes = {"power": "reboot", "erasers": "discard", "fetch": "send", "netlink": "change", "nftables": "change"}
    changes["datagrams"] = "ask"

    with pytest.raises(AttributeError, match="no look"):
        getattr(getattr(seen, noun), changes.get(noun, "write"))


@pytest.mark.parametrize("line", ["reboot", "systemctl --no-pager restart x", "systemctl", "modprobe --all --quiet x"])
def test_no_command_runs_but_those_that_tell(line: str) -> None:
    """Others are refused before they are run; what a machine needs to ask its BMC is not."""
    host = equipped.host()
    seen, _ = witnessed(host)
    seen.run(["modprobe", "--all", "--quiet", *DRIVERS])

    with pytest.raises(RecordedMachine):
        seen.run(line.split())
    assert [argv[0] for argv in host.machine.commands] == ["modprobe"]


class Ailing(FakeDrives):
    """One disk answers with an error, another one not at all."""

    def ata_smart(self, node: str, feature: int, log: int = 0) -> AtaAnswer | None:
        """Not asked here."""
        return None

    def nvme_log(self, node: str, page: int, length: int) -> bytes | None:
        """An error of the first, the silence of the second."""
        if node == "/dev/nvme0n1":
            raise DeviceError(f"reading a log of {node}", "Input/output error")
        Event().wait()
        raise AssertionError("it hangs")


def test_errors_and_silence_are_recorded(tmp_path: Path) -> None:
    """A disk that failed fails again, one that hung is told to have been silent, and neither hides the others."""
    host = equipped.host()
    ailing = replace(host, drives=Ailing(host.machine, host.faults))
    machine, _ = capture(ailing, "a test", KEY, limit_s=0.5)
    machine.save(tmp_path)
    disks = {disk.name: disk for disk in items(take_in_full(opened(str(tmp_path))).disks)}

    assert isinstance(disks["nvme0n1"].health, Unknown) and "Input/output error" in disks["nvme0n1"].health.unknown
    assert isinstance(disks["nvme1n1"].health, Unknown) and "no answer" in disks["nvme1n1"].health.unknown
    assert disks["sda"].health


def test_which_firewall_is_loaded_is_recorded() -> None:
    """Its table's chains, and how much is in them: it has the same digest, or none if somebody changed it."""
    host = equipped.host()
    host.machine.nf_tables[FIREWALL_TABLE] = FakeTable(chains={"forward": ["jump g1", "drop"], "g1": ["accept"]})
    machine, _ = capture(host, "a test", KEY)
    copy = recorded(Machine.read(machine.written(), "a test"))

    assert copy.nftables.chains(FIREWALL_TABLE) == host.nftables.chains(FIREWALL_TABLE) == {"forward": 2, "g1": 2}
    assert copy.nftables.chains("inet another") == {}


def test_what_drives_can_do_to_forget_is_recorded() -> None:
    """So that a secure erase of them can be planned; who does not know a question says so again."""
    host = planted.host()
    machine, _ = capture(host, "a test", KEY)
    there, here = (abilities(one, items(take(one).disks)) for one in (recorded(machine), host))

    assert there == here and len(there) == 5 and not any(isinstance(one, Unknown) for one in here.values())


class Stuck(FakeFiles):
    """A file that nobody ever gets to the end of, and one that fails."""

    def read_bytes(self, path: str) -> bytes:
        """All others are fine."""
        if path.endswith("hwmon0/temp1_input"):
            Event().wait()
        if path.endswith("hwmon0/fan1_input"):
            raise HostError(f"reading {path}", "Connection timed out")
        return super().read_bytes(path)

    def read_text(self, path: str) -> str:
        """The same."""
        return self.read_bytes(path).decode()


def test_a_file_that_hangs_hides_no_other() -> None:
    """It is recorded as silent, the one that failed as failed, and all others with what they hold."""
    host = equipped.host()
    stuck = replace(host, files=Stuck(host.machine, host.faults))
    machine, _ = capture(stuck, "a test", KEY, limit_s=0.3)
    hwmon = "/sys/class/hwmon/hwmon0"

    assert machine.tree.entries[f"{hwmon}/temp1_input"] == Unreadable("no answer while this was recorded")
    assert machine.tree.entries[f"{hwmon}/fan1_input"] == Unreadable("Connection timed out")
    assert machine.tree.entries[f"{hwmon}/temp1_label"] == b"Package id 0\n"
    assert take_in_full(recorded(machine)).disks


def test_of_the_kernels_log_only_disks_are_kept() -> None:
    """Complaints against disks are findings on a recording, too; whatever else was logged is nobody's business."""
    host = equipped.host()
    lines = "[1.0] I/O error, dev sdb, sector 2048 op 0x0:(READ)\n[2.0] usb 1-1: SerialNumber: PRIVATE1\n"
    host.machine.programs["dmesg"] = saying(lines)
    machine, _ = capture(host, "a test", KEY)
    (said,) = machine.record.said.values()

    assert said == "I/O error, dev sdb, sector 2048 op 0x0:(READ)\n"
    assert "DISK" in json.dumps([one.code for one in diagnose(recorded(machine)).findings])

# SPDX-License-Identifier: Apache-2.0
"""What must not pass for a proof: news of a reset, one canary of many, a changed disk; nor get lost."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from agent.apply.erasing import erase
from agent.apply.erasing.sample import look, plant
from agent.errors import DeviceError, DiskChanged
from agent.host.fake import FakeDisk, FakeHost
from agent.host.fake.erasing import AtaMind, NvmeMind, Sanitizer, ScsiMind
from agent.model.erasing import Means, verdict
from agent.model.job import JobState
from agent.model.plan import DiskMustBe, EraseDisks, Wipe
from agent.model.request import EraseRequest
from agent.operations import Operations
from tests.apply.disks import machine as plain_machine
from tests.apply.erasable import drive, holds_data, machine, only, served
from tests.apply.test_erase import SIZE, fill, step


@dataclass
class NewsMind(ScsiMind):
    """It has first to say that it was reset, once a sanitize has begun."""

    news: list[bytes] = field(default_factory=lambda: [bytes([0x72, 6, 0x29, 0, 0, 0, 0, 0])] * 2)

    def answer(self, question: str) -> bytes | None:
        """To whoever asks first."""
        if question == "sense" and self.orders and self.news:
            return self.news.pop()
        return super().answer(question)


def test_news_is_no_end() -> None:
    """A disk that was reset says so when it is asked first: its sanitize is waited for all the same."""
    made = machine()
    mind = drive(made, NewsMind, takes_s=600.0)
    one = only(served(FakeHost.of(made)))

    assert (one.outcome, one.nist, mind.news) == ("erased", "purge", []) and made.uptime_s >= 600


@pytest.mark.parametrize(("kind", "facts"), [(ScsiMind, {}), (AtaMind, {"sanitizes": 0xB000})])
def test_whose_kind_is_not_known_is_less(kind: type[Sanitizer], facts: dict[str, object]) -> None:
    """A sanitize that was under way may be an overwrite, where the drive does not tell."""
    made = machine()
    drive(made, kind, takes_s=60.0, **facts).begin("somebody's")
    one = only(served(FakeHost.of(made)))

    assert (one.outcome, one.resumed, one.nist) == ("erased", True, "clear")


def test_a_disk_that_was_changed_while_it_was_waited_for() -> None:
    """Nothing was open all the while: what is looked at must be what was planned for."""
    made = machine()
    mind = drive(made, NvmeMind, takes_s=60.0, action=4)
    mind.begin("before the power cut")
    host = FakeHost.of(made)
    (planned,) = (
        Operations(host, "ramdisk", "/s").plan(EraseRequest(request_id="r", node_id="n", method="secure")).steps
    )
    assert isinstance(planned, EraseDisks) and not isinstance(planned.erasures[0], Wipe)

    def changed(_: DiskMustBe) -> None:
        raise DiskChanged("looking again", "now it is another")

    with pytest.raises(DiskChanged):
        erase(host, planned.erasures[0], lambda *_: None, changed)


def test_a_disk_that_is_there_twice() -> None:
    """By two paths of which nothing makes one: they are erased one after the other, since each would find the other's
    canaries.
    """
    made = machine()
    for _ in range(2):
        drive(made, ScsiMind)
    made.tree.put("/sys/devices/pci0000:00/host1/end_device-1/block/sds1/device/serial", b"D0\n")
    asked = EraseRequest(request_id="r", node_id="n", method="secure", at_once=2)
    (together,) = Operations(FakeHost.of(made), "ramdisk", "/s").plan(asked).steps
    made.tree.put("/sys/devices/pci0000:00/host1/end_device-1/block/sds1/device/serial", b"D1\n")
    (apart,) = Operations(FakeHost.of(made), "ramdisk", "/s").plan(asked).steps

    assert isinstance(together, EraseDisks) and isinstance(apart, EraseDisks)
    assert (len(together.erasures), together.at_once, apart.at_once) == (2, 1, 2)


@dataclass
class HalfDeafDisk(FakeDisk):
    """Takes canaries at its beginning alone."""

    def write(self, offset: int, data: bytes) -> None:
        """There."""
        if offset:
            raise DeviceError("writing", "Input/output error")
        super().write(offset, data)


def test_one_canary_is_not_enough() -> None:
    """Noise proves something where a canary of ours was before, and nowhere else."""
    disk, planned = fill(HalfDeafDisk(SIZE)), step("/dev/sda")
    made = plain_machine(SIZE)
    made.disks["/dev/sda"] = disk
    with FakeHost.of(made).block.open_exclusive("/dev/sda") as device:
        before = plant(device, planned)
        FakeDisk.write(disk, 0, b"\xaa" * SIZE)
        samples = look(device, planned, before)

    assert (samples.canaries, samples.unknown) == (1, samples.read - 1)
    assert verdict(Means.NVME_FORMAT_CRYPTO, samples, None, resumed=False)[0] == "unproven"


def test_outcomes_outlive_a_key_that_cannot_be_read() -> None:
    """Nothing can be signed then; what came of each disk is told all the same."""
    made = machine()
    mind = drive(made, NvmeMind)
    host = FakeHost.of(made)
    host.files.write("/run/agent/node-key", b"short")
    job = served(host)

    assert job.state is JobState.FAILED and "erased D0" in job.result and not holds_data(mind)
    assert job.fault is not None and "a key has 32" in job.fault.message

# SPDX-License-Identifier: Apache-2.0
"""ATA drives that show less than they were made with: what they hide is not called erased, by whatever means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.errors import DeviceError
from agent.host.device_doors import AtaAnswer
from agent.host.drives import ata_command
from agent.host.fake import FakeHost
from agent.host.fake.devices import FakeDrives
from agent.host.fake.erasing import AtaMind
from agent.model.erasing import capacity
from agent.model.job import JobState
from tests.apply.erasable import SIZE, drive, holds_data, machine, only, served

FEATURES = ["protected area", "max address", "overlay"]


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("facts", [{}, {"sanitizes": 0xB000}, {"is_frozen": True}])
def test_what_is_hidden_is_not_proven(feature: str, facts: dict[str, object]) -> None:
    """All that can be reached is erased; of the rest it is said how much it is, and what to do."""
    made = machine()
    mind = drive(made, AtaMind, feature=feature, made_with=SIZE // 512 + 2048, **facts)
    job = served(FakeHost.of(made))
    one = only(job)

    assert (job.state, one.outcome, one.nist) == (JobState.FAILED, "unproven", "none") and not holds_data(mind)
    assert f"it hides {2048 * 512} bytes behind its end" in one.evidence and "erase it again" in one.evidence


@pytest.mark.parametrize("feature", FEATURES)
def test_nothing_hidden(feature: str) -> None:
    """A drive that could hide something, and shows all that it has, is erased as any other."""
    made = machine()
    drive(made, AtaMind, feature=feature, made_with=SIZE // 512)

    assert only(served(FakeHost.of(made))).outcome == "erased"


class Deaf(FakeDrives):
    """Something between us and the drive lets that question not through."""

    def ata_capacity(self, node: str, command: int) -> AtaAnswer | None:
        """Never."""
        raise DeviceError(f"asking {node}", "no answer within 10 s")


def test_what_cannot_be_asked_is_not_proven() -> None:
    """Nobody knows whether there is more."""
    made = machine()
    mind = drive(made, AtaMind, feature="protected area", made_with=SIZE // 512)
    host = FakeHost.of(made)
    one = only(served(replace(host, drives=Deaf(made, host.faults))))

    assert one.outcome == "unproven" and "could not be asked" in one.evidence and not holds_data(mind)


def test_an_overlay_that_is_broken() -> None:
    """Whose checksum is wrong is no answer."""
    assert capacity.configured(bytes(512)) == 0 == capacity.configured(b"short")
    raw = bytearray(512)
    raw[6:14], raw[510] = (99).to_bytes(8, "little"), 0xA5
    raw[511] = -sum(raw) % 256
    assert capacity.configured(bytes(raw)) == 100
    raw[20] ^= 1
    assert capacity.configured(bytes(raw)) == 0


def test_words_that_mean_nothing() -> None:
    """Without their marks of validity words 83 and 119 are not read: nothing is asked."""
    raw = bytearray(512)
    raw[165], raw[167], raw[239], raw[173] = 0x04, 0x0C, 0x01, 0x80
    assert capacity.questions(bytes(raw)) == () and capacity.shown(bytes(raw)) == 0
    raw[167] |= 0x40
    assert capacity.questions(bytes(raw)) == (0x27, 0xB1)
    raw[239] |= 0x40
    assert capacity.questions(bytes(raw)) == (0x78, 0xB1)


def test_the_question_byte_by_byte() -> None:
    """READ NATIVE MAX ADDRESS EXT: without data, extended, by LBA, with the registers wanted (as hdparm -N has it)."""
    assert ata_command(0x27, 0, 0).hex(" ") == "85 07 20 00 00 00 00 00 00 00 00 00 00 40 27 00"

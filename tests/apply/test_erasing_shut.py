# SPDX-License-Identifier: Apache-2.0
"""Drives that a failed sanitize has shut: opened by a word where that is allowed, else by a sanitize."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from agent.errors import DeviceError
from agent.host.fake import FakeHost
from agent.host.fake.erasing import AtaMind, NvmeMind, Sanitizer, ScsiMind
from agent.model.job import JobState
from tests.apply.erasable import drive, holds_data, machine, only, served

KINDS: list[tuple[type[Sanitizer], dict[str, object], str]] = [
    (NvmeMind, {}, "nvme"),
    (AtaMind, {"sanitizes": 0xB000}, "ata"),
    (ScsiMind, {}, "scsi"),
]
KIND = pytest.mark.parametrize(("kind", "facts", "name"), KINDS, ids=[name for *_, name in KINDS])


def shut(mind: Sanitizer, *, restricted: bool) -> None:
    """As somebody else's sanitize has left it."""
    mind.failed, mind.restricted, mind.medium.shut = True, restricted, "the last sanitize failed"


@KIND
def test_a_sanitize_that_breaks_off(kind: type[Sanitizer], facts: dict[str, object], name: str) -> None:
    """The drive is told to go on without it, and forgets by the next that it has; the certificate has both."""
    made = machine()
    mind = drive(made, kind, takes_s=60.0, breaks=1, **facts)
    job = served(FakeHost.of(made))
    one = only(job)

    assert (job.state, one.outcome, one.means) == (JobState.SUCCEEDED, "erased", f"{name}_sanitize_block")
    assert not holds_data(mind) and one.samples.canaries == 3
    assert one.passed_over[0].startswith(f"{name}_sanitize_crypto: the drive says: ") and len(one.passed_over) == 2
    assert "go on without it" in one.passed_over[1] and not any("restricted" in order for order in mind.orders)


@KIND
def test_none_that_ends_well(kind: type[Sanitizer], facts: dict[str, object], name: str) -> None:
    """Where every sanitize fails the drive is left open, and erased by what else there is."""
    made = machine()
    mind = drive(made, kind, takes_s=60.0, breaks=99, **facts)
    one = only(served(FakeHost.of(made)))

    last = {"nvme": "nvme_format_crypto", "ata": "ata_secure_erase_enhanced", "scsi": "zero"}[name]
    assert (one.outcome, one.means, one.nist) == ("erased", last, "clear") and not holds_data(mind)


@KIND
@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("method", ["secure", "zero"])
def test_a_drive_that_comes_shut(
    kind: type[Sanitizer], facts: dict[str, object], name: str, restricted: bool, method: str
) -> None:
    """By whoever's sanitize: it is opened, whatever was asked for, and then erased with canaries, as any other."""
    made = machine()
    mind = drive(made, kind, takes_s=60.0, **facts)
    shut(mind, restricted=restricted)
    job = served(FakeHost.of(made), method=method)
    one = only(job)

    assert (job.state, one.outcome, one.samples.canaries) == (JobState.SUCCEEDED, "erased", 3), one
    assert one.means == ("zero" if method == "zero" else f"{name}_sanitize_crypto") and not holds_data(mind)
    assert mind.orders[0] == "leave" and any("restricted" in order for order in mind.orders) == restricted
    opening = f"{name}_sanitize_crypto opened it" if restricted else "told to go on without it"
    assert opening in one.passed_over[-1]


@KIND
def test_a_drive_that_stays_shut(kind: type[Sanitizer], facts: dict[str, object], name: str) -> None:
    """It has failed, and says what was tried: nothing of it is called erased."""
    made = machine()
    mind = drive(made, kind, takes_s=60.0, breaks=99, **facts)
    shut(mind, restricted=True)
    one = only(served(FakeHost.of(made)))

    assert (one.outcome, one.nist, one.means) == ("failed", "none", None)
    assert (
        "it takes nothing before one succeeds" in one.evidence and f"{name}_sanitize_block: the drive" in one.evidence
    )
    assert len(mind.orders) == 3  # the word, and each kind once


@KIND
def test_one_that_was_under_way_and_fails(kind: type[Sanitizer], facts: dict[str, object], name: str) -> None:
    """It is found, waited for, and its failure is not the end: another is begun, with canaries."""
    made = machine()
    mind = drive(made, kind, takes_s=60.0, breaks=1, **facts)
    mind.begin("somebody's")
    one = only(served(FakeHost.of(made)))

    assert (one.outcome, one.resumed, one.samples.canaries) == ("erased", False, 3) and not holds_data(mind)
    assert "which was under way: the drive says: " in one.passed_over[0]


def test_others_namespaces_are_not_sanitized_to_open_a_drive() -> None:
    """Where a sanitize would take what may be to stay, a drive that takes nothing else stays shut."""
    made = machine()
    mind = drive(made, NvmeMind, active=(1, 2))
    shut(mind, restricted=True)
    one = only(served(FakeHost.of(made)))

    assert (one.outcome, mind.orders) == ("failed", ["leave"]) and holds_data_inside(mind)


def holds_data_inside(mind: Sanitizer) -> bool:
    """Behind what shuts it."""
    mind.medium.shut = ""
    return holds_data(mind)


@dataclass
class Waking(ScsiMind):
    """It takes a moment to be ready once its sanitize is over."""

    naps: int = 3
    seen: list[str] = field(default_factory=list)

    def answer(self, question: str) -> bytes | None:
        """Becoming ready."""
        said = super().answer(question)
        if question == "sense" and self.succeeded and self.naps:
            self.naps -= 1
            return bytes([0x72, 2, 0x04, 0x01, 0, 0, 0, 0])
        return said


def test_a_disk_that_is_not_ready_yet() -> None:
    """That a sanitize is over is not known before the disk is ready."""
    made = machine()
    mind = drive(made, Waking, takes_s=60.0)
    one = only(served(FakeHost.of(made)))

    assert (one.outcome, one.means, mind.naps) == ("erased", "scsi_sanitize_crypto", 0)


def test_a_word_that_is_not_kept() -> None:
    """A drive that says it goes on, and does not, is not taken at its word."""

    @dataclass
    class Stubborn(NvmeMind):
        """It stays shut."""

        def leave(self) -> None:
            """Not at all."""

        def begin(self, name: str, *, restricted: bool = False) -> None:
            """Nor this."""
            raise DeviceError(name, "aborted")

    made = machine()
    mind = drive(made, Stubborn)
    shut(mind, restricted=False)
    one = only(served(FakeHost.of(made)))

    assert one.outcome == "failed" and "it was told to leave that, and has not" in one.evidence

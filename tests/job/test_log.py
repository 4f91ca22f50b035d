# SPDX-License-Identifier: Apache-2.0
"""The append-only log."""

from __future__ import annotations

import pytest

from agent.errors import DecodeError
from agent.host.fake import FakeHost, FaultPlan
from agent.job.journal import ENTRY, Accepted, Entry, Journal
from agent.job.log import Log, frame
from agent.job.outbox import Outbox

PATH = "/var/lib/bms-agent/journal.log"
THREE = [Accepted(request_id=f"r{number}", verb="disk.erase", digest="d") for number in range(3)]
BYTES = b"".join(frame(record) for record in THREE)


def opened(host: FakeHost) -> Log[Entry]:
    """The log of this host."""
    return Log(host.files, PATH, ENTRY)


def test_replays_what_was_appended() -> None:
    """Records come back in order, also in another process."""
    host = FakeHost.with_files({})
    for record in THREE:
        opened(host).append(record)

    assert opened(host.restarted()).replay() == THREE


@pytest.mark.parametrize("size", range(len(BYTES)))
def test_torn_tail_is_dropped(size: int) -> None:
    """Torn at any byte, the log gives every whole record before it, and can be appended to again."""
    host = FakeHost.with_files({PATH: BYTES[:size]})
    whole = [
        record for end, record in zip((len(frame(THREE[0])) * n for n in (1, 2, 3)), THREE, strict=True) if end <= size
    ]

    assert opened(host).replay() == whole
    opened(host).append(THREE[0])
    assert opened(host).replay() == [*whole, THREE[0]]


def test_damage_in_the_middle_is_refused() -> None:
    """A damaged line with others behind it is not a torn tail: nothing is guessed."""
    host = FakeHost.with_files({PATH: BYTES.replace(b"r1", b"rX")})
    with pytest.raises(DecodeError, match="damaged at byte"):
        opened(host).replay()


def test_a_start_with_nothing_to_compact_writes_nothing() -> None:
    """An agent starts on a disk that a tenant has filled, if nothing has to be written."""
    host = FakeHost.with_files({})
    Journal(host.files, "/var/lib/bms-agent").write(THREE[0])
    Outbox(host.files, "/var/lib/bms-agent", "stream")
    faults = FaultPlan()
    files = host.restarted(faults).files
    journal = Journal(files, "/var/lib/bms-agent")
    Outbox(files, "/var/lib/bms-agent", "stream-2")

    assert journal.job("r0") is not None
    assert [call for call in faults.calls if "write" in call] == []

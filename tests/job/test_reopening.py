# SPDX-License-Identifier: Apache-2.0
"""A journal and an outbox that cannot be read: damaged at any byte, or a later version's. The agent starts, nothing is
done twice, and the controller hears how each request ended.
"""

from __future__ import annotations

import zlib
from threading import Event

import pytest

from agent.errors import DecodeError
from agent.host.fake import FakeHost
from agent.job.executor import Executor
from agent.job.journal import Journal
from agent.job.outbox import Outbox
from agent.job.reopening import opened_journal, opened_outbox
from agent.model.job import JobState
from agent.model.request import EraseRequest, Request
from tests.job.doers import DIRECTORY, ERASE, OneDisk, process
from tests.job.test_executor import stopped

LATER = EraseRequest(request_id="erase-2", node_id="node-1")
JOURNAL, OUTBOX = f"{DIRECTORY}/journal.log", f"{DIRECTORY}/outbox.log"


def erased(doer: OneDisk) -> FakeHost:
    """A machine that has served two requests."""
    host = FakeHost.with_files({})
    for request in (ERASE, LATER):
        executor, _ = process(host, doer)
        executor.serve(request, stopped())
    return host


def again(host: FakeHost, doer: OneDisk, request: Request) -> tuple[Executor, Outbox]:
    """The next process, whose ledger holds the request."""
    journal = opened_journal(host.files, DIRECTORY, request, "boot-2")
    outbox = opened_outbox(host.files, DIRECTORY, "stream-2")
    return Executor(doer, journal, outbox, host.clock, "boot-2"), outbox


def is_readable(host: FakeHost) -> bool:
    """Whether an agent that refuses would start."""
    try:
        Journal(host.files, DIRECTORY)
    except DecodeError:
        return False
    return True


@pytest.mark.parametrize("byte", [b"\0", b"\n", b"\xff"])
def test_damage_anywhere(byte: bytes) -> None:
    """What ended and can be read is known; of what cannot be, the one that is wanted has failed. Neither is done again,
    however often it is served, and over restarts.
    """
    doer = OneDisk()
    host = erased(doer)
    done = doer.erased
    whole = host.files.read_bytes(JOURNAL)
    last = whole.rindex(b"\n", 0, -1)
    for at in range(0, last, 7):
        host.files.write(JOURNAL, whole[:at] + byte + whole[at + 1 :])
        if is_readable(host):
            continue
        for _ in range(2):
            executor, outbox = again(host, doer, LATER)
            job = executor.serve(LATER, stopped())
            assert job.state.final and doer.erased == done, at
            assert job.state is JobState.SUCCEEDED or (job.fault is not None and job.fault.code == "JOB.LOST"), at
            assert outbox.reported(LATER.request_id), at
        assert host.files.read_bytes(f"{JOURNAL}.unreadable") != b""


def test_a_later_versions() -> None:
    """An agent that was put back to an earlier release starts; what it can read, it knows, and tells once more."""
    doer = OneDisk()
    host = erased(doer)
    body = b'{"kind":"not known here","request_id":"erase-2"}'
    for path in (JOURNAL, OUTBOX):
        host.files.append(path, b"%08x %s\n" % (zlib.crc32(body), body))

    executor, outbox = again(host, doer, LATER)
    job = executor.serve(LATER, stopped())

    assert job.state is JobState.SUCCEEDED and doer.erased == 4
    assert outbox.stream_id == "stream-2" and [one.report.state for one in outbox.pending()] == [JobState.SUCCEEDED]


def test_what_was_under_way_has_failed() -> None:
    """A request that was begun is not begun again: who can say how far it came?"""
    doer = OneDisk(holds=3)
    host = FakeHost.with_files({})
    executor, _ = process(host, doer)
    executor.serve(ERASE, Event())
    whole = host.files.read_bytes(JOURNAL)
    lines = whole.splitlines(keepends=True)
    host.files.write(JOURNAL, b"".join(lines[:2]) + b"damaged\n" + lines[2])
    before = doer.erased

    executor, outbox = again(host, doer, ERASE)
    job = executor.serve(ERASE, stopped())

    assert job.state is JobState.FAILED and job.fault is not None and job.fault.code == "JOB.LOST"
    assert doer.erased == before and outbox.reported(ERASE.request_id)

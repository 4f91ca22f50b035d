# SPDX-License-Identifier: Apache-2.0
"""The executor: states, idempotency, and every fault at every door call."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from threading import Event

import pytest

from agent.errors import AgentError, HostError, InputError
from agent.host.fake import Died, Effect, FakeHost, FaultPlan
from agent.job.journal import Accepted, Ended, Journal, digest, former_digest
from agent.job.table import MOVES, move
from agent.model import frozen
from agent.model.job import JobState
from agent.model.plan import Epilogue
from agent.model.request import EraseRequest, PowerOffRequest, RebootRequest, Request
from tests.hardware import SSD
from tests.job.doers import DIRECTORY, ERASE, OneDisk, process

REBOOT = RebootRequest(request_id="reboot-1", node_id="node-1")
STATES = list(JobState)
LEGAL = {
    (JobState.ACCEPTED, JobState.RUNNING), (JobState.ACCEPTED, JobState.FAILED),
    (JobState.RUNNING, JobState.RUNNING), (JobState.RUNNING, JobState.SUCCEEDED), (JobState.RUNNING, JobState.FAILED),
}  # fmt: skip


def stopped() -> Event:
    """Nobody waits for confirmations."""
    stop = Event()
    stop.set()
    return stop


@pytest.mark.parametrize(("now", "to"), list(product(STATES, STATES)))
def test_state_table(now: JobState, to: JobState) -> None:
    """Exactly the legal moves are allowed."""
    if (now, to) in LEGAL:
        assert move(now, to) is to
    else:
        with pytest.raises(AgentError):
            move(now, to)
    assert set(MOVES) == set(STATES)


def test_success_is_journalled_and_reported() -> None:
    """A request runs its steps once, and its reports tell each step and the end."""
    host, doer = FakeHost.with_files({}), OneDisk()
    executor, outbox = process(host, doer)
    job = executor.serve(ERASE, stopped())

    assert (job.state, job.result, doer.erased) == (JobState.SUCCEEDED, {"erased": 2}, 2)
    assert [one.report.state for one in outbox.pending()] == ["running", "running", "succeeded"]
    assert executor.progress is None


def test_preconditions_hold_before_every_step() -> None:
    """A disk that another took the place of between two steps is not touched by the second."""
    host, doer = FakeHost.with_files({}), OneDisk(holds=1)
    executor, _ = process(host, doer)
    job = executor.serve(ERASE, stopped())

    assert (job.state, doer.erased) == (JobState.FAILED, 1)
    assert job.result == {"erased": 1}  # what the first one found is not lost with the second


def test_served_again_is_answered_from_the_journal() -> None:
    """The same request, again or in a later process, acts no second time and is not reported twice."""
    host, doer = FakeHost.with_files({}), OneDisk()
    executor, _ = process(host, doer)
    executor.serve(ERASE, stopped())
    executor.serve(ERASE, stopped())
    later, outbox = process(host.restarted(), doer, "boot-2")
    job = later.serve(ERASE, stopped())

    assert job.result == {"erased": 2} and doer.erased == 2
    assert [one.report.state for one in outbox.pending()].count(JobState.SUCCEEDED) == 1


def test_a_failed_request_is_not_begun_again() -> None:
    """Served again, in this process or the next, it is answered with its fault, and touches nothing."""
    host, doer = FakeHost.with_files({}), OneDisk(fails=True)
    executor, _ = process(host, doer)
    executor.serve(ERASE, stopped())
    doer.fails, before = False, doer.erased
    executor.serve(ERASE, stopped())
    later, outbox = process(host.restarted(), doer, "boot-2")
    job = later.serve(ERASE, stopped())

    assert (job.state, doer.erased) == (JobState.FAILED, before) and job.fault is not None
    assert [one.report.state for one in outbox.pending()].count(JobState.FAILED) == 1


def test_same_id_with_other_content_is_refused() -> None:
    """A request id belongs to one request for ever."""
    host, doer = FakeHost.with_files({}), OneDisk()
    executor, _ = process(host, doer)
    executor.serve(ERASE, stopped())
    with pytest.raises(InputError, match="used for another"):
        executor.serve(EraseRequest(request_id="erase-1", node_id="node-1", serials=("S1",)), stopped())

    assert doer.erased == 2


@pytest.mark.parametrize("digest_of", [digest, former_digest])
def test_an_agent_that_was_brought_up_to_date(digest_of: Callable[[Request], str]) -> None:
    """A request that an earlier release's journal knows is that one, and is answered from there."""
    host, doer = FakeHost.with_files({}), OneDisk()
    journal = Journal(host.files, DIRECTORY)
    journal.write(Accepted(request_id=ERASE.request_id, verb=ERASE.verb, digest=digest_of(ERASE)))
    journal.write(Ended(request_id=ERASE.request_id, state=JobState.FAILED, boot_id="boot-1"))
    executor, _ = process(host.restarted(), doer)

    assert executor.serve(ERASE, stopped()).state is JobState.FAILED and doer.erased == 0


def test_defaults_are_no_content() -> None:
    """A field that came later, and is not used, leaves a request what it was; verbs and what is set do not."""
    same = EraseRequest(**{**ERASE.model_dump(), "method": "zero"})
    others = (REBOOT, PowerOffRequest(request_id="reboot-1", node_id="node-1"), ERASE,
              ERASE.model_copy(update={"strict": True}))  # fmt: skip

    assert digest(same) == digest(ERASE) and len({digest(one) for one in others}) == len(others)
    assert "method" not in frozen.said(same)


def test_failure_is_a_fault_with_its_code() -> None:
    """A step that fails ends the job with the error's code and hint; later steps do not run."""
    host, doer = FakeHost.with_files({}), OneDisk(fails=True)
    executor, outbox = process(host, doer)
    job = executor.serve(ERASE, stopped())
    last = outbox.pending()[-1].report

    assert job.state is JobState.FAILED and last.fault is not None
    assert (last.fault.code, last.fault.message) == ("HOST.DEVICE_ERROR", "erasing /dev/sda: medium error")
    assert [one.report.step for one in outbox.pending()] == ["erase_disks", "erase_disks"]


def test_reboot_waits_for_the_controller() -> None:
    """The boot ends only after the report was confirmed, and only in the boot in which the job ran."""
    host, doer = FakeHost.with_files({}), OneDisk()
    executor, outbox = process(host, doer)
    executor.serve(REBOOT, stopped())
    assert doer.ended == []
    outbox.confirm(outbox.pending()[-1].sequence)
    executor.serve(REBOOT, stopped())
    assert doer.ended == [Epilogue.REBOOT]
    after, _ = process(host.restarted(), doer, "boot-2")
    after.serve(REBOOT, stopped())

    assert doer.ended == [Epilogue.REBOOT]


def test_recalled_between_and_within_steps() -> None:
    """A request that is not wanted any more fails with its own code, and no further step acts."""
    for said, erased in (([False], 0), ([True, True, False], 1)):
        host, doer = FakeHost.with_files({}), OneDisk()
        executor, outbox = process(host, doer)
        answers = iter(said)
        job = executor.serve(ERASE, stopped(), lambda answers=answers: next(answers))  # type: ignore[misc]

        assert doer.erased == erased and job.fault is not None and job.fault.code == "JOB.RECALLED"
        assert outbox.pending()[-1].report.state is JobState.FAILED


def calls_of_one_run() -> int:
    """How many door calls one undisturbed run makes."""
    faults = FaultPlan()
    executor, _ = process(FakeHost.with_files({}).restarted(faults), OneDisk())
    executor.serve(ERASE, stopped())
    return len(faults.calls)


@pytest.mark.parametrize(("at", "effect"), list(product(range(1, calls_of_one_run() + 1), Effect)))
def test_every_fault(at: int, effect: Effect) -> None:
    """Failing or dying at any door call, then started again: one end, one final report, and bound to the same disk."""
    host, doer = FakeHost.with_files({}), OneDisk()
    try:
        executor, _ = process(host.restarted(FaultPlan(at=at, effect=effect)), doer)
        executor.serve(ERASE, stopped())
    except (Died, HostError):
        pass
    executor, outbox = process(host.restarted(), doer)
    job = executor.serve(ERASE, stopped())
    finals = [one.report for one in outbox.pending() if one.report.state.final]

    assert job.state.final and [final.state for final in finals] == [job.state]
    assert doer.erased == 2 or job.state is JobState.FAILED or doer.begun[-1] == (SSD.identity,)

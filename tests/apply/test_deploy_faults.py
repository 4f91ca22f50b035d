# SPDX-License-Identifier: Apache-2.0
"""`image.deploy` as a whole on a fake machine: bad links, and every fault at every door call."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from threading import Event

import pytest

from agent.errors import HostError, LinkError
from agent.host.fake import Died, Effect, FakeHost, FaultPlan, Machine, Page
from agent.host.fake.doors import FakeClock
from agent.model.config_drive import ConfigDrive
from agent.model.image import ImageFormat
from agent.model.job import JobState
from tests.apply.deploying import DISK, IMAGE, deployed, executor_of, holds_the_image, outcome
from tests.apply.disks import URL, boots, disk_of, machine, request, serve
from tests.hardware import DRIVE as DRIVE_FILES

EFFECTS = (Effect.FAIL, Effect.DIE_AFTER)  # dying before a call is dying after the one before it


def test_link_that_breaks() -> None:
    """Breaks, refusals and a server without ranges cost nothing but time; each byte arrives once."""
    made = machine(DISK)
    image = serve(made, IMAGE, ImageFormat.RAW_ZST)
    body = made.web[URL].body
    places = [len(body) // 3, len(body) // 2]
    made.web[URL] = Page(body, refusals=3, breaks_at=list(places))
    assert outcome(made, request(image)) == (JobState.SUCCEEDED, "")
    assert made.web[URL].opened_at == [0, *places]

    made = machine(DISK)
    serve(made, IMAGE, ImageFormat.RAW_ZST)
    made.web[URL] = Page(body, breaks_at=list(places), does_ranges=False)
    assert outcome(made, request(image)) == (JobState.SUCCEEDED, "")
    assert holds_the_image(disk_of(made))


def test_server_that_never_comes_back() -> None:
    """After half an hour without a byte it is given up, honestly: retryable, and unbootable."""
    made = machine(DISK)
    image = serve(made, IMAGE)
    made.web[URL] = Page(IMAGE, refusals=10**6)
    job, _ = deployed(FakeHost.of(made), request(image))

    assert job.fault is not None and (job.fault.code, job.fault.retryable) == (LinkError.code, True)
    assert made.uptime_s > 1800 and not boots(disk_of(made))


class Waiting(FakeClock):
    """Time flies until `until_s`; then it passes as it does."""

    def __init__(self, made: Machine, until_s: float) -> None:
        super().__init__(made)
        self._until_s = until_s

    def wait(self, stop: Event, timeout_s: float) -> bool:
        """At once, or for a while."""
        return super().wait(stop, timeout_s) or (self.monotonic_s() >= self._until_s and stop.wait(30))


def test_recalled_while_the_server_is_away() -> None:
    """A deploy that waits for its image server ends as soon as nobody wants it, and long before patience does."""
    made = machine(DISK)
    wanted = request(serve(made, IMAGE))
    made.web[URL] = Page(IMAGE, refusals=10**6)
    stop = Event()
    stop.set()
    executor, _ = executor_of(replace(FakeHost.of(made), clock=Waiting(made, 300)))
    job = executor.serve(wanted, stop, lambda: made.uptime_s < 300)

    assert job.fault is not None and job.fault.code == "JOB.RECALLED"
    assert made.uptime_s < 400 and not boots(disk_of(made))


def calls_of_one_run(drive: ConfigDrive | None, image_format: ImageFormat) -> list[str]:
    """The door calls of an undisturbed deploy. Threads make them, so their order and number may vary a little."""
    made, faults = machine(DISK), FaultPlan()
    deployed(FakeHost.of(made, faults), request(serve(made, IMAGE, image_format), drive=drive))
    return faults.calls


def from_call(calls: list[str], name: str) -> int:
    """The number of the first call with that in its name."""
    return next(number for number, call in enumerate(calls, 1) if name in call)


def places(image_format: ImageFormat, drive: ConfigDrive | None) -> range:
    """Of a format that begins anew, all; of those that go on, while the image is written; then the config drive's."""
    calls = calls_of_one_run(drive, image_format)
    if drive is not None:
        return range(from_call(calls, "mkfs") - 1, len(calls) + 1)
    if image_format is ImageFormat.RAW_ZST:
        return range(1, len(calls) + 1)
    return range(from_call(calls, "block."), from_call(calls, ".head") + 1)


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize(
    ("image_format", "drive"),
    [
        (ImageFormat.RAW_ZST, None),
        (ImageFormat.RAW, None),
        (ImageFormat.QCOW2, None),
        (ImageFormat.RAW_ZST, DRIVE_FILES),
    ],
)
def test_every_fault(image_format: ImageFormat, drive: ConfigDrive | None, effect: Effect) -> None:
    """Failing or dying at any call, then started again: one final report; and the disk boots only if it is whole."""
    for at in places(image_format, drive):
        tried(image_format, drive, effect, at)


def tried(image_format: ImageFormat, drive: ConfigDrive | None, effect: Effect, at: int) -> None:
    """That call. After death the power goes too: only what was flushed counts, and of the rest every second write."""
    made = machine(DISK)
    wanted = request(serve(made, IMAGE, image_format), drive=drive)
    with contextlib.suppress(Died, HostError):
        deployed(FakeHost.of(made, FaultPlan(at=at, effect=effect)), wanted)
    medium = made.disks.get("/dev/sda")
    if medium is not None and effect is not Effect.FAIL:
        medium.cut_power(lambda number: number % 2 == 0)
    assert medium is None or not boots(medium) or holds_the_image(medium, drive), at
    job, outbox = deployed(FakeHost.of(made), wanted)
    finals = [one.report.state for one in outbox.pending() if one.report.state.final]

    assert finals == [job.state], at
    assert holds_the_image(disk_of(made), drive) if job.state is JobState.SUCCEEDED else not boots(disk_of(made)), at

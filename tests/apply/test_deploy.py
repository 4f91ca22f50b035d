# SPDX-License-Identifier: Apache-2.0
"""`image.deploy` as a whole on a fake machine: good images, bad ones, bad links, and every fault at every door call."""

from __future__ import annotations

import contextlib
import hashlib
from itertools import product
from threading import Event
from typing import Any

import pytest

from agent.errors import HostError, LinkError
from agent.host.fake import Died, Effect, FakeHost, FaultPlan, Machine, Page
from agent.host.fake.disk import FakeDisk
from agent.job.executor import Executor
from agent.job.journal import Job, Journal
from agent.job.outbox import Outbox
from agent.model.config_drive import ConfigDrive
from agent.model.image import ImageFormat
from agent.model.job import JobState
from agent.model.partition_table import fit, partitions
from agent.model.plan import Partition
from agent.model.request import DeployRequest
from agent.operations import Operations
from tests.apply.disks import MIB, URL, boots, disk_of, gpt_image, machine, request, serve
from tests.hardware import DRIVE as DRIVE_FILES

DISK = 96 * MIB
DRIVE = Partition(label="config-2", offset_bytes=31 * MIB, size_bytes=64 * MIB)
IMAGE = gpt_image()
RUN = "/run/bms-agent"
EFFECTS = (Effect.FAIL, Effect.DIE_AFTER)  # dying before a call is dying after the one before it


def deployed(host: FakeHost, wanted: DeployRequest) -> tuple[Job, Outbox]:
    """One process of the agent serves the request; nobody confirms its reports."""
    stop = Event()
    stop.set()
    outbox = Outbox(host.files, RUN, "stream")
    doer = Operations(host, "ramdisk", f"{RUN}/spool")
    return Executor(doer, Journal(host.files, RUN), outbox, host.clock, "boot-1").serve(wanted, stop), outbox


def outcome(made: Machine, wanted: DeployRequest) -> tuple[JobState, str]:
    """How it ended: state and fault's code."""
    job, _ = deployed(FakeHost.of(made), wanted)
    return job.state, job.fault.code if job.fault else ""


def holds_the_image(disk: FakeDisk, drive: ConfigDrive | None = DRIVE_FILES) -> bool:
    """Head fitted to the disk, data as in the image."""
    fitted = fit(IMAGE[:MIB], disk.size_bytes, disk.logical_sector_bytes, (DRIVE,) if drive else ())
    return (
        disk.durable.read(0, MIB) == fitted.head
        and disk.durable.read(MIB, len(IMAGE) - MIB) == IMAGE[MIB:]
        and disk.durable.read(disk.size_bytes - len(fitted.tail), len(fitted.tail)) == fitted.tail
    )


@pytest.mark.parametrize("image_format", list(ImageFormat))
def test_deploy(image_format: ImageFormat) -> None:
    """The image, its table fitted to the disk, and the config drive are on the medium; the secret is on it alone."""
    made = machine(DISK, DISK)
    job, outbox = deployed(FakeHost.of(made), request(serve(made, IMAGE, image_format)))
    disk = disk_of(made)

    assert job.fault is None and holds_the_image(disk)
    assert partitions(disk.durable.read(0, MIB), 512)[1] == (2, DRIVE.offset_bytes, DRIVE.size_bytes)
    assert b"hunter2" in disk.durable.read(DRIVE.offset_bytes, 4096)
    assert disk_of(made, "/dev/sdb").durable.blank
    assert [one.report.step for one in outbox.pending()] == [
        "write_image",
        "place_config_drive",
        "seal_disk",
        "seal_disk",
    ]
    everything = b"".join(entry for entry in made.tree.entries.values() if isinstance(entry, bytes))
    assert b"hunter2" not in everything and "hunter2" not in repr(made.commands)


def test_several_frames() -> None:
    """A zstd file of several frames is one image."""
    made = machine(DISK)
    image = serve(made, IMAGE[:MIB], ImageFormat.RAW_ZST)
    body = made.web[URL].body
    serve(made, IMAGE[MIB:], ImageFormat.RAW_ZST)
    made.web[URL] = Page(body + made.web[URL].body)
    whole = {"sha256": hashlib.sha256(made.web[URL].body).hexdigest(), "file_bytes": None, "size_bytes": len(IMAGE)}

    assert outcome(made, request(image.model_copy(update=whole))) == (JobState.SUCCEEDED, "")
    assert holds_the_image(disk_of(made))


def test_old_data_in_holes_is_gone() -> None:
    """A hole of the image reads as zeroes on a disk that was full, and no old table is left at its end."""
    made = machine(DISK)
    disk = disk_of(made)
    disk.write(0, b"\xff" * DISK)
    disk.flush()

    assert outcome(made, request(serve(made, IMAGE)))[0] is JobState.SUCCEEDED
    assert holds_the_image(disk)
    assert disk.durable.read(len(IMAGE), MIB) == bytes(MIB)


def wrong_body(change: int) -> bytes:
    """The image with its length changed by that much; 0 changes one byte."""
    if change == 0:
        return IMAGE[: 3 * MIB] + b"X" + IMAGE[3 * MIB + 1 :]
    return IMAGE[:change] if change < 0 else IMAGE + bytes(change)


@pytest.mark.parametrize(
    ("change", "told", "code"),
    [
        (0, {}, "IMAGE.DIGEST_MISMATCH"),
        (-512, {}, "IMAGE.TRUNCATED"),
        (512, {}, "IMAGE.OVERRUN"),
        (-512, {"file_bytes": None}, "IMAGE.DIGEST_MISMATCH"),
        (512, {"file_bytes": None}, "IMAGE.DIGEST_MISMATCH"),
    ],
)
def test_file_that_is_not_the_image(change: int, told: dict[str, Any], code: str) -> None:
    """Another byte, a cut body, a longer one: each has its code, and the disk cannot boot."""
    made = machine(DISK)
    image = serve(made, IMAGE, **told)
    made.web[URL] = Page(wrong_body(change))

    assert outcome(made, request(image)) == (JobState.FAILED, code)
    assert not boots(disk_of(made))


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"size_bytes": len(IMAGE) - 512}, "IMAGE.OVERRUN"),
        ({"size_bytes": len(IMAGE) + 512}, "IMAGE.TRUNCATED"),
        ({"format": "raw.zst"}, "IMAGE.ERROR"),
        ({"size_bytes": DISK}, "IMAGE.TOO_LARGE"),
        ({"url": "http://images.example/gone"}, "IMAGE.UNAVAILABLE"),
    ],
)
def test_image_that_is_not_as_told(told: dict[str, Any], code: str) -> None:
    """A wrong size, format or address is an error with its own code, and the disk cannot boot."""
    made = machine(DISK)
    assert outcome(made, request(serve(made, IMAGE, **told))) == (JobState.FAILED, code)
    assert not boots(disk_of(made))


@pytest.mark.parametrize(
    ("image", "told"), [(gpt_image(34 * MIB), {}), (IMAGE + bytes(30 * MIB), {"size_bytes": None})]
)
def test_image_larger_than_the_disk(image: bytes, told: dict[str, Any]) -> None:
    """Too large an image is refused before the first write if its size is told, and stopped at the limit if not."""
    made = machine(DISK)
    assert outcome(made, request(serve(made, image, **told))) == (JobState.FAILED, "IMAGE.TOO_LARGE")
    assert not boots(disk_of(made))


def full(made: Machine) -> FakeDisk:
    """The disk, with data on it that must survive a refusal."""
    disk = disk_of(made)
    disk.write(0, b"precious")
    disk.flush()
    return disk


@pytest.mark.parametrize(
    ("image", "sector_bytes", "code"),
    [
        (gpt_image(sector_bytes=4096), 512, "IMAGE.SECTOR_SIZE"),
        (gpt_image(), 4096, "IMAGE.SECTOR_SIZE"),
        (bytes(6 * MIB), 512, "IMAGE.PARTITION_TABLE"),
        (gpt_image()[:600] + b"X" + gpt_image()[601:], 512, "IMAGE.TRUNCATED"),
        (b"x" * 1000, 512, "IMAGE.TRUNCATED"),
    ],
)
def test_refusals_come_before_the_first_write(image: bytes, sector_bytes: int, code: str) -> None:
    """An image that this disk cannot take is refused from its head, with the disk's data untouched."""
    made = machine(DISK, sector_bytes=sector_bytes)
    disk = full(made)
    state, found = outcome(made, request(serve(made, image)))

    assert state is JobState.FAILED and (found == code or image[600:601] == b"X")
    assert disk.durable.read(0, 8) == b"precious"


def test_mounted_disk() -> None:
    """A disk that is mounted is refused, whatever the request allows, and is untouched."""
    made = machine(DISK)
    made.record = made.record.model_copy(
        update={"counts": made.record.counts.model_copy(update={"mounts": (("/dev/sda", "/srv"),)})}
    )
    disk = full(made)
    allowed = request(serve(made, IMAGE)).model_copy(update={"overwrite": True})

    assert outcome(made, allowed) == (JobState.FAILED, "DISK.IN_USE")
    assert disk.durable.read(0, 8) == b"precious"


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


def test_recalled_while_the_server_is_away() -> None:
    """A deploy that waits for its image server ends as soon as nobody wants it, and long before patience does."""
    made = machine(DISK)
    wanted = request(serve(made, IMAGE))
    made.web[URL] = Page(IMAGE, refusals=10**6)
    host, stop = FakeHost.of(made), Event()
    stop.set()
    doer = Operations(host, "ramdisk", f"{RUN}/spool")
    executor = Executor(doer, Journal(host.files, RUN), Outbox(host.files, RUN, "stream"), host.clock, "boot-1")
    job = executor.serve(wanted, stop, lambda: made.uptime_s < 300)

    assert job.fault is not None and job.fault.code == "JOB.RECALLED"
    assert made.uptime_s < 400 and not boots(disk_of(made))


def calls_of_one_run(drive: ConfigDrive | None) -> list[str]:
    """The door calls of an undisturbed deploy."""
    made, faults = machine(DISK), FaultPlan()
    deployed(FakeHost.of(made, faults), request(serve(made, IMAGE, ImageFormat.RAW_ZST), drive=drive))
    return faults.calls


WITH_DRIVE = calls_of_one_run(DRIVE_FILES)
DRIVE_BEGINS = next(number for number, call in enumerate(WITH_DRIVE) if "mkfs" in call)
EVERY_FAULT = [
    *((None, at, effect) for at, effect in product(range(1, len(calls_of_one_run(None)) + 1), EFFECTS)),
    *((DRIVE_FILES, at, effect) for at, effect in product(range(DRIVE_BEGINS, len(WITH_DRIVE) + 1), EFFECTS)),
]


@pytest.mark.parametrize(("drive", "at", "effect"), EVERY_FAULT)
def test_every_fault(drive: ConfigDrive | None, at: int, effect: Effect) -> None:
    """Failing or dying at any call, then started again: one final report; and the disk boots only if it is whole.

    After the death the power goes too: only what was flushed counts, and of the rest every second write.
    """
    made = machine(DISK)
    wanted = request(serve(made, IMAGE, ImageFormat.RAW_ZST), drive=drive)
    with contextlib.suppress(Died, HostError):
        deployed(FakeHost.of(made, FaultPlan(at=at, effect=effect)), wanted)
    medium = made.disks.get("/dev/sda")
    if medium is not None and effect is not Effect.FAIL:
        medium.cut_power(lambda number: number % 2 == 0)
    assert medium is None or not boots(medium) or holds_the_image(medium, drive)
    job, outbox = deployed(FakeHost.of(made), wanted)
    finals = [one.report.state for one in outbox.pending() if one.report.state.final]

    assert finals == [job.state]
    assert holds_the_image(disk_of(made), drive) if job.state is JobState.SUCCEEDED else not boots(disk_of(made))

# SPDX-License-Identifier: Apache-2.0
"""`image.deploy` as a whole on a fake machine, through the executor; and what must be on the disk then."""

from __future__ import annotations

from threading import Event

from agent.host.fake import FakeDisk, FakeHost, Machine
from agent.job.executor import Executor
from agent.job.journal import Job, Journal
from agent.job.outbox import Outbox
from agent.model.config_drive import ConfigDrive
from agent.model.job import JobState
from agent.model.partition_table import fit
from agent.model.plan import Partition
from agent.model.request import DeployRequest
from agent.operations import Operations
from tests.apply.disks import MIB, disk_of, gpt_image
from tests.hardware import DRIVE as DRIVE_FILES

DISK = 96 * MIB
DRIVE = Partition(label="config-2", offset_bytes=31 * MIB, size_bytes=64 * MIB)
IMAGE = gpt_image()
RUN = "/run/bms-agent"


def executor_of(host: FakeHost, writer: str | None = None) -> tuple[Executor, Outbox]:
    """One process of the agent."""
    outbox = Outbox(host.files, RUN, "stream")
    doer = Operations(host, "ramdisk", f"{RUN}/spool", writer=writer)
    return Executor(doer, Journal(host.files, RUN), outbox, host.clock, "boot-1"), outbox


def deployed(host: FakeHost, wanted: DeployRequest, writer: str | None = None) -> tuple[Job, Outbox]:
    """It serves the request; nobody confirms its reports."""
    stop = Event()
    stop.set()
    executor, outbox = executor_of(host, writer)
    return executor.serve(wanted, stop), outbox


def outcome(made: Machine, wanted: DeployRequest) -> tuple[JobState, str]:
    """How it ended: state and fault's code."""
    job, _ = deployed(FakeHost.of(made), wanted)
    return job.state, job.fault.code if job.fault else ""


def holds_the_image(disk: FakeDisk, drive: ConfigDrive | None = DRIVE_FILES, image: bytes = IMAGE) -> bool:
    """Head fitted to the disk, data as in the image."""
    fitted = fit(image[:MIB], disk.size_bytes, disk.logical_sector_bytes, (DRIVE,) if drive else ())
    return (
        disk.durable.read(0, MIB) == fitted.head
        and disk.durable.read(MIB, len(image) - MIB) == image[MIB:]
        and disk.durable.read(disk.size_bytes - len(fitted.tail), len(fitted.tail)) == fitted.tail
    )


def full(made: Machine) -> FakeDisk:
    """The disk, with data on it that must survive a refusal."""
    disk = disk_of(made)
    disk.write(0, b"precious")
    disk.flush()
    return disk

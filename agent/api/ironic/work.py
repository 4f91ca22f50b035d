# SPDX-License-Identifier: Apache-2.0
"""What Ironic's commands are carried out with: the executor, and the few acts that are no operation.

A command's result is its report, so nothing waits in an outbox; requests have the id of their command, by which the
journal knows them after a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from agent.api.ironic.commands import Failed
from agent.api.ironic.record import Record
from agent.api.ironic.translate import root_hints, skipped
from agent.apply.raid import allow_writing, assemble
from agent.errors import NoDiskMatches
from agent.host.doors import Clock, Host
from agent.inventory.array import arrays
from agent.inventory.disk import disks
from agent.inventory.partitions import layout_uuids, partition_uuids
from agent.job.executor import Executor
from agent.job.journal import Journal
from agent.model.device_hints import SkipList
from agent.model.fault import Fault
from agent.model.image import ImagePolicy
from agent.model.job import JobReport, JobState, Progress, Result
from agent.model.request import Request
from agent.operations import Operations
from agent.plan.assemble import assemblies, writable
from agent.plan.disk import select

SYNC_TIMEOUT_S = 50.0


class Answered:
    """`job.executor.Reports` where whoever asked reads the result by itself."""

    def put(self, report: JobReport) -> None:
        """Nobody waits for it."""

    def reported(self, request_id: str) -> bool:
        """It will be read."""
        return True

    def wait_empty(self, clock: Clock, stop: Event) -> bool:
        """The answer to the order to end this boot has been given before."""
        return True


@dataclass(frozen=True)
class Site:
    """What of the process the commands need.

    record   what Ironic said in this boot
    logs     everything about this machine, as a tar.gz
    rescue   opens the rescue account with this password hash
    needs_no_boot_entry   a firmware that takes none still boots (`ipa-ignore-bootloader-failure`)
    disk_attempts, disk_pause_s   how often a root disk that is not there yet is looked for (`ipa-disk-wait-attempts`)
    inject_priority   at which a deployment injects files by itself; 0: not at all (`ipa-inject-files-priority`)
    guards_shared     filesystems of several machines are not written to (`ipa-guard-special-filesystems`)
    image_login   user and password for images with which Ironic sends none (`image_server_user` …)
    writer   socket of the process that fetches and writes images
    over     the API ends, once the answer is sent; `isolated` takes the NICs down, too
    """

    host: Host
    record: Record
    logs: Callable[[], bytes]
    rescue: Callable[[str], None]
    over: Callable[[bool], None]
    needs_no_boot_entry: bool = False
    inject_priority: int = 0
    guards_shared: bool = True
    image_login: tuple[str, str] | None = field(default=None, repr=False)
    writer: str | None = None
    disk_attempts: int = 1
    disk_pause_s: float = 0.0


class Work:
    """One at a time."""

    def __init__(self, site: Site, directory: str, boot_id: str, images: ImagePolicy) -> None:
        self.site = site
        operations = Operations(site.host, "ramdisk", f"{directory}/spool", images, writer=site.writer)
        self._executor = Executor(operations, Journal(site.host.files, directory), Answered(), site.host.clock, boot_id)

    @property
    def progress(self) -> Progress | None:
        """Of what is under way."""
        return self._executor.progress

    def carry_out(self, request: Request) -> Result:
        """Bring it to its end. Raises `Failed`."""
        job = self._executor.serve(request, Event())
        if job.state is JobState.SUCCEEDED:
            return job.result
        raise Failed(job.fault or Fault(code="AGENT.ERROR", message="it failed, and nothing says why"))

    def partition_uuids(self) -> dict[str, Any]:
        """Of the disk that is meant. Raises `AgentError`."""
        host, node = self.site.host, self.site.record.node
        is_layout = node.driver_internal_info.get("is_whole_disk_image") is False
        told = layout_uuids if is_layout else partition_uuids
        return told(host, select(disks(host), root_hints(node), skipped(node), arrays(host)))

    def await_root_disk(self) -> None:
        """Some disks turn up late. Whether it is there then, is the planner's to say."""
        site, node = self.site, self.site.record.node
        for _ in range(site.disk_attempts - 1):
            try:
                select(disks(site.host), root_hints(node), skipped(node), arrays(site.host))
                return
            except NoDiskMatches:
                site.host.clock.wait(Event(), site.disk_pause_s)

    def assemble(self, skip: SkipList) -> None:
        """The arrays that Ironic has made run from here on: nobody else starts them. Where any are to be skipped none
        may be written to before it was looked at. Raises `HostError`.
        """
        host = self.site.host
        host.udev.settle()
        assemble(host, assemblies(disks(host), arrays(host), skip))
        allow_writing(host, writable(disks(host), arrays(host), skip))

    def flush(self) -> None:
        """What we write is on the medium before we say so; here goes whatever else."""
        self.site.host.run(["sync"], timeout_s=SYNC_TIMEOUT_S)

# SPDX-License-Identifier: Apache-2.0
"""Two orders for one disk: the second is refused until the first has ended, between its steps too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from agent.apply.alone import PLACE, alone
from agent.errors import DiskInUse
from agent.host.fake import FakeHost, Machine
from agent.host.real import host
from agent.job.executor import Executor
from agent.job.journal import Job, Journal
from agent.job.outbox import Outbox
from agent.model.job import JobState
from agent.model.request import Request
from agent.operations import Operations
from tests.operations.disks import creating_raid, erasing, is_erased
from tests.operations.faults import Controller, served
from tests.operations.images import capturing, deploying

RUN = "/run/bms-agent"
WAITING = """
import sys
from agent.apply.alone import alone
from agent.host.real import host
with alone(host(sys.argv[1]), ["/dev/sda", "/dev/sdb"]):
    print("taken", flush=True)
    sys.stdin.read()
"""


def ordered(made: Machine, request: Request, *, taken: str) -> Job:
    """What a process makes of it while another one has that disk."""
    here, lock = FakeHost.of(made), f"{PLACE}/{taken}.lock"
    made.locks.add(lock)
    doer = Operations(here, None, f"{RUN}/spool")
    outbox = Outbox(here.files, RUN, "stream")
    job = Executor(doer, Journal(here.files, RUN), outbox, here.clock, "boot-1").serve(request, Event())
    assert made.locks == {lock}
    return job


def on_disks(made: Machine) -> dict[str, bytes]:
    """What is on them."""
    return {path: disk.durable.read(0, disk.size_bytes) for path, disk in made.disks.items()}


@pytest.mark.parametrize("begin", [deploying, erasing, capturing])
def test_refused_at_once(begin: Callable[[], tuple[Machine, Request]]) -> None:
    """What another order has is neither written to nor read."""
    made, request = begin()
    before = on_disks(made)
    job = ordered(made, request.model_copy(update={"reboot": False}), taken="sda")

    assert job.fault is not None and (job.fault.code, job.state) == ("DISK.IN_USE", JobState.FAILED)
    assert "has not ended yet" in job.fault.message
    assert on_disks(made) == before


def test_another_disk() -> None:
    """An order for another disk is nobody's hindrance; its own is free again after it."""
    made, request = erasing()
    assert ordered(made, request, taken="sdb").fault is None
    assert is_erased(made)


def test_an_array() -> None:
    """Whoever has an array has its disks."""
    made, request = creating_raid()
    assert served(made, request, Controller()).fault is None
    with alone(FakeHost.of(made), ["/dev/md0"]):
        assert made.locks == {f"{PLACE}/sda.lock", f"{PLACE}/sdb.lock"}
    assert made.locks == set()


@pytest.mark.root
def test_another_process(tmp_path: Path) -> None:
    """The kernel's locks: one that is killed has nothing any more, and of two disks nobody keeps one."""
    here = host(str(tmp_path))
    argv = [sys.executable, "-c", WAITING, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == "taken\n"
            with (
                pytest.raises(DiskInUse, match="taking /dev/sdb for this order"),
                alone(here, ["/dev/sdb", "/dev/sdc"]),
            ):
                pass
            with alone(here, ["/dev/sdc"]):
                pass
        finally:
            other.kill()
    with alone(here, ["/dev/sda", "/dev/sdb"]):
        pass

# SPDX-License-Identifier: Apache-2.0
"""Making arrays on a fake machine: what the tools are told, and that only a whole array counts."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from threading import Event

import pytest

from agent.errors import HostError, NotAsObserved
from agent.host.fake import Died, Effect, FakeHost, FaultPlan, Machine, Output
from agent.job.outbox import Outbox
from agent.model.disk import MIB
from agent.model.job import JobState
from agent.model.plan import BuildRaid
from agent.model.raid import LogicalDisk
from agent.model.request import CreateRaidRequest
from agent.operations import Operations
from tests.apply.arrays import mdadm, sfdisk, two_disks
from tests.apply.deploying import executor_of

MIRROR = LogicalDisk(size_gb=1, raid_level="1", volume_name="root")
STRIPE = LogicalDisk(size_gb="MAX", raid_level="0")
WANTED = CreateRaidRequest(request_id="r", node_id="n", logical_disks=(MIRROR, STRIPE))
SCRIPT = """\
label: gpt
start=2048, size=1136640, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=esp
start=1138688, size=2359296, type=A19D880F-05FC-4D3B-A006-743F0F84911E, name=md0
start=3497984, size=4888576, type=A19D880F-05FC-4D3B-A006-743F0F84911E, name=md1
"""


def served(made: Machine, faults: FaultPlan | None = None) -> tuple[JobState, Outbox]:
    """What a process of the agent makes of it; nobody waits for the report."""
    stop = Event()
    stop.set()
    executor, outbox = executor_of(FakeHost.of(made, faults))
    return executor.serve(WANTED, stop).state, outbox


def step_of(made: Machine) -> BuildRaid:
    """What is planned."""
    plan = Operations(FakeHost.of(made), None, "/spool").plan(WANTED)
    return next(step for step in plan.steps if isinstance(step, BuildRaid))


def test_what_the_tools_are_told() -> None:
    """Tables first, from scripts in sectors; then each array by its partitions, with a bitmap where one can be."""
    made, scripts = two_disks(), []

    def kept(machine_: Machine, argv: Sequence[str], stdin: str | None) -> Output:
        scripts.append((argv[-1], stdin))
        return sfdisk(machine_, argv, stdin)

    made.programs["sfdisk"] = kept
    state, outbox = served(made)

    assert state is JobState.SUCCEEDED
    assert scripts == [("/dev/sda", SCRIPT), ("/dev/sdb", SCRIPT)]
    assert [" ".join(one[3:]) for one in made.commands if one[0] == "mdadm"] == [
        "--run --force --metadata=1.2 --level=1 --raid-devices=2 --name=root --bitmap=internal /dev/sda2 /dev/sdb2",
        "--run --force --metadata=1.2 --level=0 --raid-devices=2 --name=md1 /dev/sda3 /dev/sdb3",
        "--run --force --metadata=1.0 --level=1 --raid-devices=2 --name=esp /dev/sda1 /dev/sdb1",
    ]
    assert list(outbox.pending())[-1].report.result == {
        "array /dev/md0": "raid1 of /dev/sda2, /dev/sdb2",
        "array /dev/md1": "raid0 of /dev/sda3, /dev/sdb3",
        "array /dev/md2": "raid1 of /dev/sda1, /dev/sdb1",
    }


@pytest.mark.parametrize(
    ("fact", "content", "evidence"),
    [
        ("md/degraded", b"1\n", "degraded raid1"),
        ("md/level", b"raid5\n", "it is raid5"),
        ("slaves/sdz1", b"", "/dev/sdz1"),
    ],
)
def test_array_that_is_not_as_planned(fact: str, content: bytes, evidence: str) -> None:
    """An array without a member, of another level, or with a stranger in it, is a failure whatever mdadm says."""
    made = two_disks()

    def wrong(machine_: Machine, argv: Sequence[str], stdin: str | None) -> Output:
        done = mdadm(machine_, argv, stdin)
        machine_.tree.put(f"/sys/block/md0/{fact}", content)
        return done

    made.programs["mdadm"] = wrong
    with pytest.raises(NotAsObserved, match=evidence):
        Operations(FakeHost.of(made), None, "/spool").do(step_of(made), lambda *_: None)


def test_every_fault() -> None:
    """Failing or dying at any call, then started again: one final report; success means that both arrays are there."""
    faults = FaultPlan()
    served(two_disks(), faults)
    for at in range(1, len(faults.calls) + 1):
        for effect in (Effect.FAIL, Effect.DIE_AFTER):
            made = two_disks()
            with contextlib.suppress(Died, HostError):
                served(made, FaultPlan(at=at, effect=effect))
            state, outbox = served(made)

            assert [one.report.state for one in outbox.pending() if one.report.state.final] == [state]
            if state is JobState.SUCCEEDED:
                assert {"md0", "md1", "md2"} <= made.tree.directories["/sys/block"], faults.calls[at - 1]


def test_sizes_in_large_sectors() -> None:
    """On a 4Kn disk the script counts its sectors."""
    first = step_of(two_disks(sector_bytes=4096)).tables[0]

    assert first.disk.logical_sector_bytes == 4096
    assert all(part.offset_bytes % MIB == 0 and part.size_bytes % MIB == 0 for part in first.partitions)

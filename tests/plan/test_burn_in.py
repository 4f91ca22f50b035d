# SPDX-License-Identifier: Apache-2.0
"""Which disks a load may destroy: local ones that nobody skips, uses or shares; all other loads touch none."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from agent.errors import AgentError, DiskChanged, DiskInUse, DiskReadOnly
from agent.model.burn_in import BurnIn, CpuLoad, DiskLoad, Load, MemoryLoad
from agent.model.device_hints import OperatorHints
from agent.model.disk import Content, Disk, Holder
from agent.model.plan import LeaveDisk, StopHolder
from agent.model.request import BurnInRequest
from agent.plan.burn_in import plan_burn_in
from agent.plan.check import check
from agent.plan.text import text
from tests.hardware import FULL, HDD, NVME, SSD, machine


def asked(*loads: Load, **more: object) -> BurnInRequest:
    """These loads."""
    return BurnInRequest.model_validate({"request_id": "r:1", "node_id": "n", "loads": loads, **more})


def test_what_touches_nothing() -> None:
    """Processors and memory are loaded whatever the disks hold, and whoever uses them."""
    plan = check(
        plan_burn_in(machine(FULL.model_copy(update={"users": ("in use",)})), asked(CpuLoad(), MemoryLoad()), "/s")
    )
    (step,) = plan.steps

    assert isinstance(step, BurnIn) and step.disks == () and plan.preconditions == ()
    assert step.record_path == "/s/r-1.burn-in"


def test_disks() -> None:
    """Local ones, less those to be skipped; what is left is told, and the plan says DESTROY."""
    stick = HDD.model_copy(update={"name": "sdc", "path": "/dev/sdc", "serial": "U1", "wwn": None, "removable": True})
    skip = (OperatorHints(specs={"serial": "H1"}),)
    plan = check(plan_burn_in(machine(FULL, HDD, NVME, stick), asked(DiskLoad(), skip=skip), "/s"))
    left = {step.disk.path: step.why for step in plan.steps if isinstance(step, LeaveDisk)}
    (step,) = (one for one in plan.steps if isinstance(one, BurnIn))

    assert [one.path for one in step.disks] == ["/dev/sda", "/dev/nvme0n1"]
    assert set(left) == {"/dev/sdb", "/dev/sdc"} and left["/dev/sdc"] == "removable or remote"
    assert {one.disk for one in plan.preconditions} == set(step.disks)
    assert "DESTROY what is on /dev/sda" in text(plan) and "DESTROY what is on /dev/sdb" not in text(plan)


def test_what_stands_on_them_is_taken_down() -> None:
    """As for erasing: cleaning destroys by design."""
    volume = Holder(name="dm-0", kind="dm", label="vg-x", on=("sda",))
    held = SSD.model_copy(update={"holders": (volume,), "users": volume.claims})
    plan = check(plan_burn_in(machine(held), asked(DiskLoad()), "/s"))

    assert [type(step) for step in plan.steps] == [StopHolder, BurnIn]


def test_arrays_are_not_burnt_in() -> None:
    """Neither one that runs, whoever made it, nor one that Ironic keeps and nobody has assembled. What is left of
    others is blank to a test.
    """
    array = Holder(name="md127", kind="md", label="data", on=("sda1",))
    running = SSD.model_copy(update={"holders": (array,), "users": array.claims})
    with pytest.raises(DiskInUse, match=r"the array md127 .data. stands on it"):
        plan_burn_in(machine(running), asked(DiskLoad()), "/s")

    part = Content(node="/dev/sda1", kind="linux_raid_member", label="ramdisk:root")
    asleep = SSD.model_copy(update={"contents": (part,)})
    with pytest.raises(DiskInUse, match="a part of the array root") as caught:
        plan_burn_in(machine(asleep), asked(DiskLoad(), keep_arrays=("root",)), "/s")
    assert "delete_configuration" in str(caught.value.hint)
    assert plan_burn_in(machine(asleep), asked(DiskLoad(), keep_arrays=("other",)), "/s").steps


@pytest.mark.parametrize(
    ("disks", "error"),
    [
        ((SSD.model_copy(update={"users": ("/dev/sda is mounted on /srv",)}),), DiskInUse),
        ((SSD.model_copy(update={"read_only": True}),), DiskReadOnly),
        ((HDD,), DiskChanged),
    ],
)
def test_what_is_refused(disks: tuple[Disk, ...], error: type[AgentError]) -> None:
    """In use, not writable, or not the disk that an interrupted run began on."""
    begun = (SSD.identity,) if error is DiskChanged else ()
    with pytest.raises(error):
        plan_burn_in(machine(*disks), asked(DiskLoad()), "/s", begun)


@pytest.mark.parametrize(
    "path", ["/dev/sda", "//dev/sda", "/./sys/x", "/proc/1/mem", "/tmp/../dev/sda", "/", "relative"]
)
def test_findings_go_to_a_file(path: str) -> None:
    """And to nothing that stands for a device or the kernel."""
    with pytest.raises(ValidationError, match="output"):
        asked(CpuLoad(), output=path)
    assert asked(CpuLoad(), output="/var/log/burn-in.json").output == "/var/log/burn-in.json"

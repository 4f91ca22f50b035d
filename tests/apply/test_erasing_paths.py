# SPDX-License-Identifier: Apache-2.0
"""One disk by two paths, of which nothing made one, is erased once; two disks of one name are both erased, in turn."""

from __future__ import annotations

import pytest

from agent.errors import DeviceError, SeveralDisksMatch
from agent.host.fake import FakeHost, Machine
from agent.host.fake.erasing import AtaMind, NvmeMind, Sanitizer, ScsiMind
from agent.model.job import JobState
from agent.model.plan import EraseDisks
from agent.model.request import EraseRequest
from agent.operations import Operations
from agent.plan.erase import plan_erase
from tests.apply.erasable import PLACES, certified, drive, holds_data, machine, served
from tests.controller.machine import disk
from tests.hardware import machine as hardware

KINDS = [ScsiMind, AtaMind, NvmeMind]


def twins(kind: type[Sanitizer], *, one_disk: bool, **facts: object) -> tuple[Machine, tuple[Sanitizer, Sanitizer]]:
    """Two nodes with one serial."""
    made = machine()
    first, second = (drive(made, kind, **facts) for _ in range(2))
    name, place = (text.replace("{}", "1") for text in PLACES[kind])
    made.tree.put(f"{place}/{name}/device/serial", b"D0\n")
    if one_disk:
        node = f"/dev/{name}"
        made.disks[node], made.minds[node] = first.medium, first
    made.booted_tree = made.tree.copy()
    return made, (first, second)


@pytest.mark.parametrize("kind", KINDS)
def test_one_disk_is_erased_once(kind: type[Sanitizer]) -> None:
    """The certificate has both paths, and says of the second whose erasure it is."""
    alone = machine()
    drive(alone, kind)
    served(FakeHost.of(alone))
    made, (mind, _) = twins(kind, one_disk=True)
    job = served(FakeHost.of(made), at_once=4)
    one, other = certified(job).disks

    assert job.state is JobState.SUCCEEDED and not holds_data(mind)
    assert mind.orders == alone.minds["/dev/" + PLACES[kind][0].replace("{}", "0")].orders  # type: ignore[attr-defined]
    assert (one.outcome, other.outcome, one.means) == ("erased", "erased", other.means)
    assert one.path != other.path and f"is another path to the disk that was erased by {one.path}" in other.evidence


@pytest.mark.parametrize("kind", KINDS)
def test_two_disks_of_one_serial_are_two(kind: type[Sanitizer]) -> None:
    """A maker's mistake: what is written to one is not seen on the other, and both forget."""
    made, minds = twins(kind, one_disk=False)
    job = served(FakeHost.of(made), at_once=4)

    assert job.state is JobState.SUCCEEDED and not any(map(holds_data, minds))
    assert all("another path" not in one.evidence for one in certified(job).disks)


def test_one_disk_that_lies_by_both_paths() -> None:
    """What it kept is told of each."""
    made, (mind, _) = twins(ScsiMind, one_disk=True, keeps=True)
    job = served(FakeHost.of(made))

    assert job.state is JobState.FAILED and [one.outcome for one in certified(job).disks] == ["failed", "failed"]
    assert mind.orders == ["sanitize 3"]


def test_a_path_that_cannot_be_written_proves_nothing() -> None:
    """Then nobody knows whether it is the same disk: each is tried by itself."""
    made, (first, second) = twins(ScsiMind, one_disk=False, actions=())

    class Deaf(type(first.medium)):  # type: ignore[misc]
        """Takes nothing."""

        def write(self, offset: int, data: bytes) -> None:
            raise DeviceError("writing", "Input/output error")

    first.medium.__class__ = Deaf
    job = served(FakeHost.of(made))

    assert job.state is JobState.FAILED and not holds_data(second)
    assert all("another path" not in one.evidence for one in certified(job).disks)


def test_by_hand_one_name_means_all_its_paths() -> None:
    """By WWN and serial they are one disk. By the serial alone they may be two, and nobody knows which is meant."""
    one = disk("sda", serial="S", wwn="0x5000c500a")
    other = disk("sdb", serial="S", wwn="0x5000c500a")
    asked = EraseRequest(request_id="r", node_id="n", serials=("S",))
    (step,) = plan_erase(hardware(one, other), asked).steps

    assert isinstance(step, EraseDisks) and [each.disk.path for each in step.erasures] == ["/dev/sda", "/dev/sdb"]
    for wwn in (None, "0x5000c500b"):
        with pytest.raises(SeveralDisksMatch):
            plan_erase(hardware(one.model_copy(update={"wwn": wwn}), other), asked)


def test_others_are_erased_beside_it() -> None:
    """Two paths of one disk cost one place of those that work side by side."""
    made, _ = twins(ScsiMind, one_disk=True)
    for _ in range(2):
        drive(made, ScsiMind)
    (step,) = (
        Operations(FakeHost.of(made), "ramdisk", "/s")
        .plan(EraseRequest(request_id="r", node_id="n", method="secure", at_once=4))
        .steps
    )

    assert (len(step.erasures), step.at_once) == (4, 3)  # type: ignore[union-attr]

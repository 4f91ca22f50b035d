# SPDX-License-Identifier: Apache-2.0
"""Which tests, with what settings, on which disks: what is written is named, free and local, and nothing else is."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from agent.errors import AgentError, DiskInUse, DiskReadOnly, InputError, NoDiskMatches
from agent.model.disk import Disk, Holder
from agent.model.request import ValidateRequest
from agent.model.validation import PROFILES, Validate, codes
from agent.model.validation.catalogue import BY_NAME, CATALOGUE
from agent.plan.check import check
from agent.plan.text import text
from agent.plan.validate import plan_validate
from tests.hardware import FULL, HDD, NVME, SSD, machine

STICK = HDD.model_copy(update={"name": "sdz", "path": "/dev/sdz", "serial": "U1", "transport": "usb"})


def asked(**more: object) -> ValidateRequest:
    """A request."""
    return ValidateRequest.model_validate({"request_id": "r:1", "node_id": "n", **more})


def planned(*disks: Disk, **more: object) -> Validate:
    """The only step, of a plan that the checker lets through."""
    plan = check(plan_validate(machine(*disks), asked(**more), "/spool"))
    (step,) = plan.steps
    assert isinstance(step, Validate) and {pin.disk for pin in plan.preconditions} == set(step.wiped)
    return step


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_reads_only(profile: str) -> None:
    """Whatever holds data is tested, and no profile writes to anything by itself."""
    step = planned(FULL, HDD, NVME, STICK, profile=profile)

    assert [one.test for one in step.trials] == [
        one.name for one in CATALOGUE if profile in one.profiles and not one.destroys
    ]
    assert [disk.path for disk in step.disks] == ["/dev/sda", "/dev/sdb", "/dev/nvme0n1"] and step.wiped == ()


def test_longer_profiles_are_longer() -> None:
    """No setting of a longer profile asks less of the hardware's time."""
    lengths = [sum(one.seconds for one in planned(SSD, profile=profile).trials) for profile in PROFILES]

    assert lengths == sorted(lengths) and lengths[0] < 60 and lengths[2] > 3600


def test_settings_by_test_and_by_name() -> None:
    """The one that names the test counts before the one that does not."""
    step = planned(SSD, parts=("memory",), settings={"seconds": 7, "memory.patterns.seconds": 9, "percent": 20})
    settings = {one.test: one.settings for one in step.trials}

    assert settings["memory.patterns"] == {"seconds": 9, "percent": 20}
    assert settings["memory.bandwidth"]["seconds"] == 7
    assert next(one for one in step.trials if one.test == "memory.patterns").limit_s > 9


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"tests": ("disk.burn",)}, "no test is called disk.burn; there is cpu.answers, cpu.load"),
        ({"settings": {"rounds": 0}}, "cpu.answers.rounds is 0; it may be from 1 to 100000 rounds"),
        ({"settings": {"disk.read.least": 101}}, "may be from 1 to 100 %"),
        ({"settings": {"loops": 2}}, "nothing that is chosen has a parameter loops"),
        ({"tests": ("cpu.load",), "parts": ("disk",)}, "none is left"),
        ({"tests": ("disk.write",), "disks": ("S1",)}, "disk.write destroys what is on a disk"),
        ({"tests": ("cpu.load",), "disks": ("S1",), "wipe": True}, "no test that is chosen does that"),
    ],
)
def test_what_cannot_be_meant(more: dict[str, object], said: str) -> None:
    """It is refused, and the answer says what there is."""
    with pytest.raises(InputError) as caught:
        planned(SSD, **more)
    assert said in str(caught.value)


def test_wiping_is_said_of_named_disks() -> None:
    """There is no "all"."""
    with pytest.raises(ValidationError, match="named, one by one"):
        asked(wipe=True)


def test_what_is_written() -> None:
    """The disk that is named, data and all; every other one is not even read."""
    step = planned(FULL, HDD, wipe=True, disks=("S1",))

    assert step.disks == step.wiped == (FULL.identity,)
    assert "disk.write" in {one.test for one in step.trials}


HELD = SSD.model_copy(
    update={"users": ("/dev/sda is held by md0",), "holders": (Holder(name="md0", kind="md", on=("sda",)),)}
)


@pytest.mark.parametrize(
    ("disk", "name", "kind"),
    [
        (HELD, "S1", DiskInUse),
        (SSD.model_copy(update={"users": ("/dev/sda1 on /",)}), "S1", DiskInUse),
        (SSD.model_copy(update={"read_only": True}), "S1", DiskReadOnly),
        (STICK, "U1", NoDiskMatches),
        (SSD, "S9", NoDiskMatches),
    ],
)
def test_what_is_not_written(disk: Disk, name: str, kind: type[AgentError]) -> None:
    """What is in use, read-only, remote or not there: nothing is taken down for a test."""
    with pytest.raises(kind):
        planned(disk, wipe=True, disks=(name,))


def test_a_used_disk_is_read_by_name() -> None:
    """A mounted disk, or a stick, is read where somebody names it."""
    assert planned(HELD, STICK, disks=("U1",), parts=("disk",)).disks == (STICK.identity,)
    assert planned(HELD, disks=("S1",)).disks == (HELD.identity,)


def test_a_plan_says_what_is_lost() -> None:
    """In a word that nobody overlooks."""
    plan = plan_validate(
        machine(SSD), asked(wipe=True, disks=("S1",), tests=("disk.write",), time_limit_s=60), "/spool"
    )

    assert text(plan).splitlines() == [
        f"must hold: {SSD.identity} is there, writable, and not in use",
        f"1. test: disk.write (loops 1, stall 30000), for at most 60 s; read {SSD.identity}; "
        f"DESTROY what is on {SSD.identity}",
    ]


def test_every_test_says_what_it_proves() -> None:
    """The catalogue is whole: names by part, settings within their bounds, and every code says what to do."""
    for test in CATALOGUE:
        assert test.name.startswith(f"{test.part}.") and test.proves and test.limit_s > 0
        for each in test.parameters:
            assert all(each.least <= value <= each.most for value in each.values), f"{test.name}.{each.name}"
    assert len(BY_NAME) == len(CATALOGUE)
    named = {value for name, value in vars(codes).items() if name.isupper() and isinstance(value, str)}
    assert named == set(codes.CODES)

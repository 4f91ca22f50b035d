# SPDX-License-Identifier: Apache-2.0
"""On which partition of the selected disk a file belongs; never on another disk."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from agent.errors import (
    AgentError,
    DiskInUse,
    DiskShared,
    HostError,
    InputError,
    NoDiskMatches,
    PlanRefused,
    PreconditionError,
)
from agent.model.device_hints import OperatorHints
from agent.model.disk import Content, Disk, DiskPartition
from agent.model.fact import Unknown
from agent.model.inject import Candidate, FileToInject, InjectFiles
from agent.model.inventory import Inventory
from agent.model.request import InjectRequest
from agent.plan.check import check
from agent.plan.inject import plan_inject
from agent.plan.text import text
from tests.hardware import HDD, NVME, SSD, machine

MIB = 1024 * 1024
KINDS = {"sda1": "vfat", "sda2": "ext4", "sda3": "xfs", "sda4": "swap", "sda15": "crypto_LUKS"}
PARTS = tuple(
    DiskPartition(name=name, offset_bytes=(place + 1) * MIB, size_bytes=MIB)
    for place, name in enumerate(("sda15", "sda1", "sda2", "sda3", "sda4"))
)
DISK = SSD.model_copy(
    update={
        "partitions": PARTS,
        "contents": (
            Content(node="/dev/sda", kind="gpt"),
            *(Content(node=f"/dev/{name}", kind=kind) for name, kind in KINDS.items()),
        ),
    }
)
TAGS = {
    "sda1": {"UUID": "12AB-34CD", "LABEL": "EFI"},
    "sda2": {"UUID": "aaaa", "LABEL": "cloudimg rootfs", "PARTUUID": "BBBB"},
    "sda3": {"LABEL": "twin", "PARTLABEL": "data"},
    "sda4": {"LABEL": "twin"},
    "sdb1": {"LABEL": "elsewhere"},
}


def asked(*files: FileToInject, serial: str = "S1") -> InjectRequest:
    """Into the disk with that serial."""
    hints = OperatorHints(specs={"serial": serial})
    return InjectRequest(request_id="r", node_id="n", root_device=hints, files=files)


def file(partition: int | str | None = None, path: str = "/etc/motd") -> FileToInject:
    """A file for that partition."""
    return FileToInject(path=path, partition=partition, content=SecretStr("aGk="))


def nodes(partition: int | str | None, disk: Disk = DISK) -> list[str]:
    """Where it may belong, by a plan that the checker lets through."""
    (step,) = check(plan_inject(machine(disk, HDD), asked(file(partition)), TAGS)).steps
    assert isinstance(step, InjectFiles)
    return [one.node for one in step.placed[0].candidates]


def test_where_none_is_named() -> None:
    """Every partition that can be mounted, in the order in which they lie on the disk."""
    assert nodes(None) == ["/dev/sda1", "/dev/sda2", "/dev/sda3"]


@pytest.mark.parametrize(
    ("partition", "node"),
    [
        (2, "/dev/sda2"),
        ("2", "/dev/sda2"),
        ("/dev/sda3", "/dev/sda3"),
        ("LABEL=cloudimg rootfs", "/dev/sda2"),
        ('LABEL="EFI"', "/dev/sda1"),
        ("UUID=12ab-34cd", "/dev/sda1"),
        ("PARTUUID=bbbb", "/dev/sda2"),
        ("PARTLABEL=data", "/dev/sda3"),
        ("/dev/disk/by-label/EFI", "/dev/sda1"),
        ("/dev/disk/by-partuuid/bbbb", "/dev/sda2"),
    ],
)
def test_by_every_name(partition: int | str, node: str) -> None:
    """As IPA takes them, and mount."""
    assert nodes(partition) == [node]


def test_numbers_of_nvme() -> None:
    """Behind a p."""
    disk = NVME.model_copy(
        update={
            "partitions": (DiskPartition(name="nvme0n1p12", offset_bytes=MIB, size_bytes=MIB),),
            "contents": (Content(node="/dev/nvme0n1p12", kind="btrfs"),),
        }
    )
    (step,) = plan_inject(machine(disk), asked(file(12), serial="N1"), {}).steps
    assert isinstance(step, InjectFiles) and step.placed[0].candidates[0].filesystem == "btrfs"


@pytest.mark.parametrize(
    ("partition", "error", "evidence"),
    [
        (9, InputError, "9 is none of /dev/sda"),
        ("LABEL=elsewhere", InputError, "is none of /dev/sda"),
        ("/dev/sdb1", InputError, "is none of /dev/sda"),
        ("/dev/../etc", InputError, "is none of"),
        ("LABEL=efi", InputError, "is none of"),
        ("LABEL=twin", InputError, "is each of sda3, sda4"),
        (4, PreconditionError, "no filesystem that is mounted"),
        (15, PreconditionError, "crypto_LUKS on /dev/sda15"),
    ],
)
def test_what_is_not_meant(partition: int | str, error: type[AgentError], evidence: str) -> None:
    """Another disk's partition, two at once, and what is no filesystem."""
    with pytest.raises(error, match=evidence):
        nodes(partition)


@pytest.mark.parametrize(
    ("inventory", "error"),
    [
        (machine(HDD), NoDiskMatches),
        (machine(DISK.model_copy(update={"users": ("/dev/sda2 is mounted on /",)})), DiskInUse),
        (machine(DISK.model_copy(update={"contents": Unknown(unknown="udev is late")})), DiskShared),
        (machine(SSD), PreconditionError),
    ],
)
def test_disks_that_are_not_touched(inventory: Inventory, error: type[AgentError]) -> None:
    """Not there, in use, not known, and blank."""
    with pytest.raises(error):
        plan_inject(inventory, asked(file()), TAGS)


@pytest.mark.parametrize("node", ["/dev/sdb1", "/dev/sda", "/dev/sdaa1", "/dev/dm-0"])
def test_another_disk_is_refused_by_the_checker(node: str) -> None:
    """Whatever planned it."""
    plan = plan_inject(machine(DISK, HDD), asked(file(2)), TAGS)
    step = plan.steps[0]
    assert isinstance(step, InjectFiles)
    astray = step.placed[0].model_copy(update={"candidates": (Candidate(node=node, filesystem="ext4"),)})
    with pytest.raises(PlanRefused, match="is no partition of"):
        check(plan.model_copy(update={"steps": (step.model_copy(update={"placed": (astray,)}),)}))


def test_nothing_to_do() -> None:
    """Ironic's step without a file succeeds, on any machine."""
    assert plan_inject(machine(), asked(), {}).steps == ()


def test_the_plan_in_words() -> None:
    """It tells what becomes of which file, and nothing of its content."""
    gone = FileToInject(path="/etc/issue", partition=2, deleted=True)
    told = text(plan_inject(machine(DISK), asked(file(2), gone), TAGS))

    assert "write /etc/motd (/dev/sda2), remove /etc/issue (/dev/sda2)" in told and "aGk" not in told


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "/etc/../../x", "content": "aGk="},
        {"path": "/", "content": "aGk="},
        {"path": "/etc/", "content": "aGk="},
        {"path": "/motd", "content": "aGk="},
        {"path": "/etc/motd"},
        {"path": "/etc/motd", "content": "aGk=", "deleted": True},
        {"path": "/etc/motd", "content": "aGk=", "url": "http://x/y"},
        {"path": "/etc/motd", "content": "aGk=", "mode": 0o4755},
        {"path": "/etc/motd", "content": "aGk=", "owner": "../x"},
        {"path": "/etc/motd", "content": "aGk=", "owner": -1},
        {"path": "/etc/motd\0", "content": "aGk="},
    ],
)
def test_files_that_are_none(wrong: dict[str, object]) -> None:
    """Paths that lead out, two contents or none, bits that make programs of other users."""
    with pytest.raises(ValueError, match=r"path|content|mode|owner|needs|bit"):
        FileToInject.model_validate(wrong)


def test_unknown_content_of_another_disk() -> None:
    """Only the selected disk matters."""
    dark = HDD.model_copy(update={"contents": Unknown(unknown="udev is late")})
    assert len(plan_inject(machine(DISK, dark), asked(file(2)), TAGS).steps) == 1
    with pytest.raises(HostError, match="EIO"):
        plan_inject(machine(DISK).model_copy(update={"arrays": Unknown(unknown="EIO")}), asked(file(2)), TAGS)


def test_a_shared_filesystem_beside() -> None:
    """A disk with one is not written to, unless its loss is allowed: then the file goes where it belongs."""
    shared = DISK.model_copy(update={"contents": (*DISK.contents, Content(node="/dev/sda3", kind="VMFS"))})
    with pytest.raises(DiskShared):
        plan_inject(machine(shared), asked(file(2)), TAGS)
    allowed = asked(file(2)).model_copy(update={"shared_too": True})

    assert plan_inject(machine(shared), allowed, TAGS).steps

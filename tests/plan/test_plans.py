# SPDX-License-Identifier: Apache-2.0
"""Golden plans: machine × request → the text that an operator reads. And: the checker accepts each of them."""

from __future__ import annotations

import pytest

from agent.errors import DiskChanged, DiskHoldsData, DiskReadOnly, ImageTooLarge, SeveralDisksMatch
from agent.model.disk import Disk
from agent.model.image import ImageRef
from agent.model.plan import EraseDisks, Plan
from agent.model.request import EraseRequest, PowerOffRequest, RebootRequest
from agent.plan.check import check
from agent.plan.erase import plan_erase
from agent.plan.erasing import sample_offsets
from agent.plan.image import plan_deploy
from agent.plan.power import plan_power
from agent.plan.text import text
from tests.hardware import FULL, HDD, IMAGE, SSD, deploy, machine

DEPLOY = """\
must hold: /dev/sda (WWN 0x5002538f00000001, serial S1, 480.0 GB) is there, writable, and not in use
1. write http://images.example/debian.raw.zst (raw.zst, sha256 abababababab…) to \
/dev/sda (WWN 0x5002538f00000001, serial S1, 480.0 GB), at most 479.93 GB, all its present data is lost; \
the first 1 MiB are held back
2. place the config drive 'config-2' (64 MiB: openstack/latest/meta_data.json) at offset 479931138048 of /dev/sda
3. fit the partition table to /dev/sda, add config-2; write the first MiB last
then, once reported: reboot"""


def golden(plan: Plan) -> str:
    """The text of a plan that the checker accepts."""
    return text(check(plan))


def test_deploy() -> None:
    """Deploying writes the image, the config drive at the end, and the head last; the text holds no secret."""
    plan = plan_deploy(machine(SSD, HDD), deploy(serial="S1"), "/spool")

    assert golden(plan) == DEPLOY
    assert "hunter2" not in text(plan) + repr(plan)


def test_deploy_without_config_drive() -> None:
    """Without a config drive there is nothing between the image and the seal."""
    plan = plan_deploy(machine(SSD), deploy(drive=None), "/spool")

    assert [step.kind for step in check(plan).steps] == ["write_image", "seal_disk"]


def test_deploy_refuses_what_does_not_fit() -> None:
    """An image that would reach the config drive is refused before anything is written, with both sizes."""
    small = Disk.model_validate(SSD.model_dump() | {"size_bytes": 2 * 1024**3})
    with pytest.raises(ImageTooLarge, match=r"2147483648 bytes and may have 2079326208"):
        plan_deploy(machine(small), deploy(), "/spool")
    unsized = ImageRef(url=IMAGE.url, format=IMAGE.format, sha256=IMAGE.sha256)
    tiny = Disk.model_validate(SSD.model_dump() | {"size_bytes": 60 * 1024**2})
    with pytest.raises(ImageTooLarge):
        plan_deploy(machine(tiny), deploy(image=unsized), "/spool")


def test_deploy_resumes_over_its_own_data() -> None:
    """What an interrupted run of the same request left behind needs no new word; other data does."""
    with pytest.raises(DiskHoldsData):
        plan_deploy(machine(FULL), deploy(), "/spool")

    check(plan_deploy(machine(FULL), deploy(), "/spool", begun=(SSD.identity,)))


def test_erase() -> None:
    """Erasing names each local disk with its samples; what is plugged in from outside stays as it is."""
    stick = Disk.model_validate(HDD.model_dump() | {"path": "/dev/sdc", "removable": True})
    lun = Disk.model_validate(HDD.model_dump() | {"path": "/dev/sdd", "transport": "iscsi"})

    assert golden(plan_erase(machine(SSD, HDD, stick, lun), EraseRequest(request_id="r", node_id="n"))) == (
        "must hold: /dev/sda (WWN 0x5002538f00000001, serial S1, 480.0 GB) is there, writable, and not in use\n"
        "must hold: /dev/sdb (WWN 0x5000c50000000001, serial H1, 4000.0 GB) is there, writable, and not in use\n"
        "1. 2 at once: erase all of /dev/sda (WWN 0x5002538f00000001, serial S1, 480.0 GB); read 65 samples back; "
        "erase all of /dev/sdb (WWN 0x5000c50000000001, serial H1, 4000.0 GB); read 65 samples back"
    )


def test_erase_passes_over_no_local_disk() -> None:
    """A disk that cannot be erased, or is gone since the erasing began, is an error: "erased" means every one."""
    locked = Disk.model_validate(HDD.model_dump() | {"read_only": True})
    everything = EraseRequest(request_id="r", node_id="n")
    with pytest.raises(DiskReadOnly, match="serial H1"):
        plan_erase(machine(SSD, locked), everything)
    with pytest.raises(DiskChanged, match="serial H1"):
        plan_erase(machine(SSD), everything, begun=(SSD.identity, HDD.identity))

    moved = Disk.model_validate(HDD.model_dump() | {"name": "sdf", "path": "/dev/sdf"})
    (step,) = plan_erase(machine(SSD, moved), everything, begun=(SSD.identity, HDD.identity)).steps
    assert isinstance(step, EraseDisks) and {one.disk.path for one in step.erasures} == {"/dev/sda", "/dev/sdf"}


def test_erase_of_a_name_that_two_disks_have() -> None:
    """A serial that two disks bear names neither of them: the error lists both."""
    twin = Disk.model_validate(SSD.model_dump() | {"name": "sdc", "path": "/dev/sdc", "wwn": None})
    with pytest.raises(SeveralDisksMatch, match=r"S1.*/dev/sda.*/dev/sdc"):
        plan_erase(machine(SSD, twin), EraseRequest(request_id="r", node_id="n", serials=("S1",)))


@pytest.mark.parametrize("size_bytes", [1024**2, 3 * 1024**2 + 512, 480 * 10**9])
def test_samples_lie_inside(size_bytes: int) -> None:
    """Samples include both ends and never pass the disk's end."""
    offsets = sample_offsets(size_bytes)

    assert offsets[0] == 0 and offsets[-1] == size_bytes - 1024**2
    assert all(0 <= offset <= size_bytes - 1024**2 for offset in offsets)


def test_power() -> None:
    """A reboot or power-off is nothing but its epilogue, after the report."""
    assert golden(plan_power(RebootRequest(request_id="r", node_id="n"))) == "then, once reported: reboot"
    assert golden(plan_power(PowerOffRequest(request_id="r", node_id="n"))) == "then, once reported: power off"

# SPDX-License-Identifier: Apache-2.0
"""Planned partitions: the text that an operator reads, what is refused, and what the checker catches of wrong plans."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ImageTooLarge, InputError, NothingToBoot, PartitionTableError, PlanRefused
from agent.model.disk import MIB, Disk
from agent.model.image import ImageFormat, ImageRef
from agent.model.layout import Layout
from agent.model.plan import Partition, Plan, Step
from agent.model.request import DeployRequest
from agent.plan.check import check
from agent.plan.layout import Seen, plan_layout
from agent.plan.text import text
from tests.hardware import IMAGE, SSD, deploy

UEFI = Seen(architecture="x86_64")
LAYOUT = Layout(root_mib=20480, swap_mib=512, ephemeral_mib=1024, ephemeral_format="ext3")
EPHEMERAL = (551 * MIB, 1024 * MIB)
PLAN = """\
must hold: /dev/sda (WWN 0x5002538f00000001, serial S1, 480.0 GB) is there, writable, and not in use
1. write http://images.example/debian.raw.zst (raw.zst, sha256 abababababab…) to \
/dev/sda (WWN 0x5002538f00000001, serial S1, 480.0 GB), into 'root' (20480 MiB at offset 2255486976); \
lost is all its present data
2. fill 'efi-part' (550 MiB at offset 1048576) on /dev/sda with the loader for x86_64 that 'root' carries; \
nothing of the image is run
3. make swap 'swap1' (512 MiB at offset 1651507200) on /dev/sda
4. make ext3 'ephemeral0' (1024 MiB at offset 577765376) on /dev/sda
5. place the config drive 'config-2' (64 MiB: openstack/latest/meta_data.json) at offset 2188378112 of /dev/sda
6. fit the partition table to /dev/sda, add efi-part, ephemeral0, swap1, config-2, root; write the first MiB last
then, once reported: reboot"""


def request(layout: Layout = LAYOUT, **changes: Any) -> DeployRequest:
    """For the solid-state drive."""
    return deploy(**changes).model_copy(update={"layout": layout})


def plan(layout: Layout = LAYOUT, seen: Seen = UEFI, disk: Disk = SSD, **changes: Any) -> Plan:
    """What the checker accepts."""
    return check(plan_layout(disk, seen, request(layout, **changes), "/spool"))


def test_a_partition_image() -> None:
    """Every partition has its place and is filled once; the text holds no secret."""
    made = plan()

    assert text(made) == PLAN
    assert "hunter2" not in text(made) + repr(made)


def test_the_least() -> None:
    """Without ephemeral partition, swap and config drive, root follows the EFI system partition."""
    made = plan(Layout(root_mib=4096), drive=None)

    assert [step.kind for step in made.steps] == ["write_image", "install_loader", "seal_disk"]
    assert "into 'root' (4096 MiB at offset 577765376)" in text(made)


def test_names_are_neither_random_nor_shared() -> None:
    """The same request gives the same identifiers, another request others: what is begun anew is made the same."""
    assert plan() == plan()
    first, second = (plan(request_id=name).model_dump_json() for name in ("one", "two"))
    assert first.replace("one.head", "two.head") != second


def test_what_is_preserved() -> None:
    """A partition of that place and size is left out of everything; any other, and none, is refused by its size."""
    keep = LAYOUT.model_copy(update={"preserve_ephemeral": True})
    made = plan(keep, Seen(architecture="x86_64", partitions=((MIB, 550 * MIB), EPHEMERAL)))

    assert "lost is all its present data but 'ephemeral0' (1024 MiB at offset 577765376)" in text(made)
    assert "make ext3" not in text(made)
    for there in ((), ((EPHEMERAL[0], EPHEMERAL[1] + MIB),), ((EPHEMERAL[0] + MIB, EPHEMERAL[1]),)):
        with pytest.raises(PartitionTableError, match="should be 1024 MiB at byte 577765376; partitions on the disk: "):
            plan(keep, Seen(architecture="x86_64", partitions=there))


def test_what_is_refused() -> None:
    """A BIOS, partitions larger than the disk, an image larger than root, a chunked one, no layout at all."""
    with pytest.raises(NothingToBoot, match="a BIOS booted this machine"):
        plan(seen=Seen(architecture=None))
    small = SSD.model_copy(update={"size_bytes": 22 * 1024 * MIB})
    with pytest.raises(ImageTooLarge, match=r"they need 22632 MiB .*root 20480.*, the disk has 22528"):
        plan(disk=small)
    with pytest.raises(ImageTooLarge, match="the image has 2147483648 bytes and root 1073741824"):
        plan(Layout(root_mib=1024))
    chunked = ImageRef(url=IMAGE.url, format=ImageFormat.CHUNKED, sha256=IMAGE.sha256)
    with pytest.raises(InputError, match="a chunked image is one of a whole disk"):
        plan(image=chunked)
    with pytest.raises(InputError, match="no layout"):
        plan_layout(SSD, UEFI, deploy(), "/spool")
    with pytest.raises(ValueError, match="preserves nothing"):
        Layout(root_mib=1, preserve_ephemeral=True)


@given(
    layout=st.builds(
        Layout,
        root_mib=st.integers(2048, 400_000),
        swap_mib=st.integers(0, 9000),
        ephemeral_mib=st.integers(0, 50_000),
    ),
    with_drive=st.booleans(),
    sector=st.sampled_from([512, 4096]),
)
def test_partitions_never_overlap(layout: Layout, with_drive: bool, sector: int) -> None:
    """Whatever fits, fits: in order, apart, of the sizes that were asked for; and what does not, is refused."""
    disk = SSD.model_copy(update={"logical_sector_bytes": sector})
    sizes = [550, layout.ephemeral_mib, layout.swap_mib, 64 * with_drive, layout.root_mib]
    wanted = request(layout) if with_drive else request(layout, drive=None)
    if 1 + sum(sizes) > disk.size_bytes // MIB - 1:
        with pytest.raises(ImageTooLarge):
            plan_layout(disk, UEFI, wanted, "/spool")
        return
    seal = check(plan_layout(disk, UEFI, wanted, "/spool")).steps[-1]

    assert seal.kind == "seal_disk"
    assert [part.size_bytes // MIB for part in seal.add] == [size for size in sizes if size]
    assert all(after.offset_bytes == before.end_bytes for before, after in zip(seal.add, seal.add[1:], strict=False))


def changed(made: Plan, place: int, **changes: Any) -> Plan:
    """The plan with another step there."""
    steps: list[Step] = list(made.steps)
    steps[place] = steps[place].model_copy(update=changes)
    return made.model_copy(update={"steps": tuple(steps)})


def test_the_checker_reads_plans_by_itself() -> None:
    """A step over another's partition, or twice, or missing, over the preserved one, or without a table is refused."""
    keep = LAYOUT.model_copy(update={"preserve_ephemeral": True})
    kept = plan(keep, Seen(architecture="x86_64", partitions=(EPHEMERAL,)))
    made = plan()
    write, _, swap, ephemeral, _, seal = made.steps
    assert write.kind == "write_image" and write.table is not None and seal.kind == "seal_disk"
    assert swap.kind == ephemeral.kind == "make_filesystem"

    def beginning_at(offset: int) -> Partition:
        return seal.add[0].model_copy(update={"offset_bytes": offset})

    over = (*seal.add[:3], seal.add[3].model_copy(update={"offset_bytes": seal.add[2].offset_bytes}), seal.add[4])
    wrong = {
        "'swap1' would be filled 0 times": changed(made, 2, partition=ephemeral.partition),
        "'ephemeral0' would be filled 2 times": changed(made, 2, partition=ephemeral.partition),
        "'ephemeral0' would be filled 1 times": kept.model_copy(
            update={"steps": (*kept.steps[:2], ephemeral, *kept.steps[2:])}
        ),
        "'config-2' overlaps 'swap1'": changed(made, 5, add=over),
        "may reach past its partition": changed(made, 0, limit_bytes=write.limit_bytes + 1),
        "which gets no table of ours": changed(made, 0, table=None),
        "would not get the loader": made.model_copy(update={"steps": (write, *made.steps[2:])}),
        "is not the one that would be written": changed(made, 0, add=()),
        "which is in no partition": changed(
            made, 2, partition=swap.partition.model_copy(update={"offset_bytes": swap.partition.offset_bytes + MIB})
        ),
        "is not of whole sectors": changed(made, 5, add=(beginning_at(MIB + 1), *seal.add[1:])),
        "reach into an end": changed(made, 5, add=(beginning_at(512), *seal.add[1:])),
        "a chunked image": changed(made, 0, image=write.image.model_copy(update={"format": ImageFormat.CHUNKED})),
        "would be kept, and is in no table": changed(
            made, 0, table=write.table.model_copy(update={"kept": swap.partition.model_copy(update={"label": "x"})})
        ),
    }
    for told, one in wrong.items():
        with pytest.raises(PlanRefused, match=told):
            check(one)

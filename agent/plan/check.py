# SPDX-License-Identifier: Apache-2.0
"""The checker: invariants derived again from any plan, independently of the planners.

A plan that breaks one is refused. It runs before every execution, and inside the tests of every planner.
"""

from __future__ import annotations

import re
from itertools import pairwise

from agent.errors import PlanRefused
from agent.model.burn_in import BurnIn
from agent.model.disk import MIB, DiskIdentity, Holder
from agent.model.generalise.table import NAMES
from agent.model.inject import InjectFiles
from agent.model.plan import (
    BuildRaid,
    CaptureDisk,
    DiskMustBe,
    DiskMustBeIdle,
    EraseDisk,
    EraseDisks,
    ForgetBoot,
    InstallLoader,
    LeaveDisk,
    MakeFilesystem,
    MirrorLoader,
    PlaceConfigDrive,
    Plan,
    SealDisk,
    SelectBoot,
    Step,
    StopHolder,
    Wipe,
    WipeMetadata,
    WriteImage,
)
from agent.model.validation import Validate
from agent.plan.check_layout import layouts_are_whole
from agent.plan.check_raid import arrays_of_new_partitions, loaders_are_mirrored_last

DiskStep = WriteImage | PlaceConfigDrive | MakeFilesystem | InstallLoader | SealDisk


def written(step: Step) -> tuple[DiskIdentity, ...]:
    """The disks that a step writes to."""
    if isinstance(step, WipeMetadata):
        return tuple(wipe.disk for wipe in step.wipes)
    if isinstance(step, EraseDisks):
        return tuple(one.disk for one in step.erasures)
    if isinstance(step, BurnIn):
        return step.disks
    if isinstance(step, Validate):
        return step.wiped
    if isinstance(step, InjectFiles):
        return (step.disk,)
    if isinstance(step, BuildRaid):
        return tuple(table.disk for table in step.tables)
    if isinstance(step, MirrorLoader):
        return (step.disk, step.to)
    return (step.disk,) if isinstance(step, DiskStep) else ()


def wipes(plan: Plan) -> list[Wipe]:
    """Of all steps."""
    alone = [one for step in plan.steps if isinstance(step, WipeMetadata) for one in step.wipes]
    beside = [one for step in plan.steps if isinstance(step, EraseDisks) for one in step.erasures]
    return [*alone, *(one for one in beside if isinstance(one, Wipe))]


def erasures(plan: Plan) -> list[EraseDisk]:
    """Of all steps."""
    beside = [one for step in plan.steps if isinstance(step, EraseDisks) for one in step.erasures]
    return [one for one in beside if isinstance(one, EraseDisk)]


def check(plan: Plan) -> Plan:
    """The same plan, if it breaks nothing. Raises `PlanRefused` with all that it breaks."""
    broken = [
        *only_pinned_disks(plan),
        *captured_disks_are_read_only(plan),
        *left_disks_are_left(plan),
        *held_disks_are_freed_first(plan),
        *whole_ends_are_wiped(plan),
        *arrays_of_new_partitions(plan),
        *loaders_are_mirrored_last(plan),
        *boot_sector_last(plan),
        *layouts_are_whole(plan),
        *files_stay_on_their_disk(plan),
        *boot_entries_stay(plan),
        *areas_apart(plan),
        *inside_the_disk(plan),
    ]
    if broken:
        raise PlanRefused("checking the plan", "; ".join(broken))
    return plan


def only_pinned_disks(plan: Plan) -> list[str]:
    """Every disk that is written is pinned by a precondition, identity and all."""
    pinned = {one.disk for one in plan.preconditions if isinstance(one, DiskMustBe)}
    return [
        f"{step.kind} writes {disk}, which no precondition pins"
        for step in plan.steps
        for disk in written(step)
        if disk not in pinned
    ]


def captured_disks_are_read_only(plan: Plan) -> list[str]:
    """A disk that is captured is pinned, written by no step, and what it forgets has a name."""
    idle = {one.disk for one in plan.preconditions if isinstance(one, DiskMustBeIdle)}
    paths = {disk.path for step in plan.steps for disk in written(step)}
    broken = []
    for step in (step for step in plan.steps if isinstance(step, CaptureDisk)):
        if step.disk not in idle:
            broken.append(f"{step.disk} is captured, and no precondition pins it")
        if step.disk.path in paths:
            broken.append(f"{step.disk} is captured and written")
        broken += [f"nothing is called {name}" for name in step.forget if name not in NAMES]
    return broken


def left_disks_are_left(plan: Plan) -> list[str]:
    """No step writes to a disk that is said to be left as it is."""
    paths = {disk.path for step in plan.steps for disk in written(step)}
    left = [step.disk for step in plan.steps if isinstance(step, LeaveDisk)]
    return [f"{disk} is written and left as it is" for disk in left if disk.path in paths]


def held_disks_are_freed_first(plan: Plan) -> list[str]:
    """What holds a disk is stopped before the disk is written, each before what it stands on, and nothing else is."""
    expected = {one for pin in plan.preconditions if isinstance(pin, DiskMustBe) for one in pin.holders}
    pins = {pin.disk: pin.holders for pin in plan.preconditions if isinstance(pin, DiskMustBe)}
    stopped: list[Holder] = []
    broken = []
    for step in plan.steps:
        if isinstance(step, StopHolder):
            stopped.append(step.holder)
            if step.holder not in expected:
                broken.append(f"{step.holder} would be taken down, and holds no disk that is written")
            broken += [
                f"{step.holder} would be taken down before {above}, which stands on it"
                for above in expected
                if step.holder.name in above.on and above not in stopped
            ]
        for disk in written(step):
            held = [one for one in pins.get(disk, ()) if one not in stopped]
            broken += [f"{disk} would be written while {one} holds it" for one in held]
    return broken


def whole_ends_are_wiped(plan: Plan) -> list[str]:
    """A disk whose metadata is wiped loses its first and its last MiB, in whole sectors, apart from each other."""
    broken = []
    for wipe in wipes(plan):
        ends = [(area.offset_bytes, area.offset_bytes + area.length_bytes) for area in wipe.areas]
        least = min(MIB, wipe.disk.size_bytes)
        if wipe.disk.size_bytes and not (
            ends
            and ends[0][0] == 0
            and min(ends[0][1], ends[-1][1] - ends[-1][0]) >= least
            and ends[-1][1] == wipe.disk.size_bytes
        ):
            broken.append(f"an end of {wipe.disk} would not be wiped")
        if any(before[1] >= after[0] for before, after in pairwise(ends)):
            broken.append(f"the areas of {wipe.disk} are in no order")
        if any(place % wipe.disk.logical_sector_bytes for area in ends for place in area):
            broken.append(f"an area of {wipe.disk} is not of whole sectors")
    return broken


def boot_sector_last(plan: Plan) -> list[str]:
    """An image is sealed once, on its own disk, after all else on that disk, with the head that it held back."""
    broken = []
    for image in (step for step in plan.steps if isinstance(step, WriteImage)):
        on_disk = [step for step in plan.steps if isinstance(step, DiskStep) and step.disk.path == image.disk.path]
        seals = [step for step in on_disk if isinstance(step, SealDisk)]
        if len(seals) != 1 or on_disk[-1] is not seals[0] or on_disk[0] is not image:
            broken.append(f"the steps on {image.disk} do not begin with the image and end with its only seal")
        elif seals[0].head_path != image.head_path:
            broken.append("the seal would write another head than the one held back")
        if image.hold_back_bytes < MIB:
            broken.append(f"only {image.hold_back_bytes} bytes of the head are held back")
    return broken


def boot_entries_stay(plan: Plan) -> list[str]:
    """Of the firmware's boot order nothing is lost but what is forgotten, and nothing trades places; what is to be
    booted comes first, and its disk is pinned.
    """
    pinned = {one.disk for one in plan.preconditions}
    broken = []
    for step in plan.steps:
        match step:
            case SelectBoot():
                others = tuple(number for number in step.before if number != step.entry.number)
                kept = step.order == (step.entry.number, *others)
                if step.disk not in pinned:
                    broken.append(f"{step.disk} is to be booted, and no precondition pins it")
            case ForgetBoot():
                gone = {entry.number for entry in step.entries}
                kept = step.order == tuple(number for number in step.before if number not in gone)
            case _:
                continue
        if not kept:
            broken.append(f"{step.kind} would change more of the boot order than its entries")
    return broken


def files_stay_on_their_disk(plan: Plan) -> list[str]:
    """Files are put on partitions of the disk that is pinned for them."""
    broken = []
    for step in (step for step in plan.steps if isinstance(step, InjectFiles)):
        start = re.escape(step.disk.path) + ("p" if step.disk.path[-1].isdigit() else "")
        nodes = dict.fromkeys(one.node for placed in step.placed for one in placed.candidates)
        strange = [node for node in nodes if not re.fullmatch(rf"{start}[0-9]+", node)]
        broken += [f"a file would be put on {node}, which is no partition of {step.disk}" for node in strange]
    return broken


def areas_apart(plan: Plan) -> list[str]:
    """The config drive lies behind a whole disk's image's limit, and where the seal's partition says."""
    images = [step for step in plan.steps if isinstance(step, WriteImage) and step.table is None]
    limits = {step.disk.path: step.limit_bytes for step in images}
    added = {
        (step.disk.path, part.offset_bytes, part.size_bytes)
        for step in plan.steps
        if isinstance(step, SealDisk)
        for part in step.add
    }
    broken = []
    for step in (step for step in plan.steps if isinstance(step, PlaceConfigDrive)):
        if step.offset_bytes < limits.get(step.disk.path, 0):
            broken.append("the config drive overlaps the image")
        if (step.disk.path, step.offset_bytes, step.size_bytes) not in added:
            broken.append("the config drive has no partition")
    return broken


def inside_the_disk(plan: Plan) -> list[str]:
    """Nothing reaches past a disk's end, nor into the last MiB, which is the backup GPT's."""
    broken = []
    for step in plan.steps:
        match step:
            case WriteImage():
                broken += outside(step.disk, 0, step.limit_bytes, MIB, "the image's limit")
            case PlaceConfigDrive():
                broken += outside(step.disk, step.offset_bytes, step.size_bytes, MIB, "the config drive")
            case MakeFilesystem(partition=part) | InstallLoader(esp=part):
                broken += outside(step.disk, part.offset_bytes, part.size_bytes, MIB, f"'{part.label}'")
            case _:
                pass
    for erasure in erasures(plan):
        for offset in erasure.sample_offsets:
            length = min(erasure.sample_bytes, erasure.disk.size_bytes)
            broken += outside(erasure.disk, offset, length, 0, "a sample")
    for wipe in wipes(plan):
        for area in wipe.areas:
            broken += outside(wipe.disk, area.offset_bytes, area.length_bytes, 0, "an area to be wiped")
    return broken


def outside(disk: DiskIdentity, offset: int, length: int, spare: int, what: str) -> list[str]:
    """What lies outside, in words."""
    fits = offset >= 0 and offset + length <= disk.size_bytes - spare
    return [] if fits else [f"{what} lies outside {disk}"]

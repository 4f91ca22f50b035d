# SPDX-License-Identifier: Apache-2.0
"""The checker's part for layouts: partitions apart and inside the disk, each filled once, the preserved one never."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from agent.model.disk import MIB
from agent.model.image import ImageFormat
from agent.model.plan import InstallLoader, MakeFilesystem, Partition, PlaceConfigDrive, Plan, SealDisk, WriteImage


def layouts_are_whole(plan: Plan) -> list[str]:
    """What is broken, in words."""
    broken = []
    for image in (step for step in plan.steps if isinstance(step, WriteImage)):
        steps = [step for step in plan.steps if getattr(step, "disk", None) == image.disk]
        filled = [place for step in steps if (place := place_of(step))]
        if image.table is None:
            loose = [step for step in steps if isinstance(step, MakeFilesystem | InstallLoader)]
            broken += [f"{step.kind} on {image.disk}, which gets no table of ours" for step in loose]
            continue
        for seal in (step for step in steps if isinstance(step, SealDisk)):
            broken += of_table(image, seal)
            broken += of_contents(image, seal.add, filled)
        broken += of_loader(image, steps)
        if image.image.format is ImageFormat.CHUNKED:
            broken.append("a chunked image is written to a whole disk, partitions or not")
    return broken


def place_of(step: object) -> tuple[int, int] | None:
    """(offset, size) of what a step fills."""
    match step:
        case WriteImage(table=table) if table is not None:
            return table.root.offset_bytes, table.root.size_bytes
        case MakeFilesystem():
            return step.partition.offset_bytes, step.partition.size_bytes
        case InstallLoader():
            return step.esp.offset_bytes, step.esp.size_bytes
        case PlaceConfigDrive():
            return step.offset_bytes, step.size_bytes
    return None


def of_table(image: WriteImage, seal: SealDisk) -> list[str]:
    """The partitions themselves."""
    sector, parts = image.disk.logical_sector_bytes, seal.add
    broken = [] if parts == image.add else ["the table that was tried is not the one that would be written"]
    broken += [f"'{one.label}' is not of whole sectors" for one in parts if one.offset_bytes % sector]
    broken += [f"'{one.label}' is not of whole sectors" for one in parts if one.size_bytes % sector]
    for before, after in pairwise(parts):
        if after.offset_bytes < before.end_bytes:
            broken.append(f"'{after.label}' overlaps '{before.label}'")
    if parts and (parts[0].offset_bytes < MIB or parts[-1].end_bytes > image.disk.size_bytes - MIB):
        broken.append(f"the partitions reach into an end of {image.disk}")
    return broken


def of_contents(image: WriteImage, parts: tuple[Partition, ...], filled: list[tuple[int, int]]) -> list[str]:
    """Each partition is filled once; what is kept is there, and no step comes near it."""
    assert image.table is not None
    kept, broken = image.table.kept, []
    if kept is not None and kept not in parts:
        broken.append(f"'{kept.label}' would be kept, and is in no table")
    for one in parts:
        times = filled.count((one.offset_bytes, one.size_bytes))
        if times != (0 if one == kept else 1):
            broken.append(f"'{one.label}' would be filled {times} times")
    places = {(one.offset_bytes, one.size_bytes) for one in parts}
    broken += [
        f"byte {at} would be written, which is in no partition" for at, size in filled if (at, size) not in places
    ]
    if image.limit_bytes != image.table.root.end_bytes:
        broken.append("the image may reach past its partition")
    return broken


def of_loader(image: WriteImage, steps: Sequence[object]) -> list[str]:
    """The loader is taken from the root that was written, once."""
    assert image.table is not None
    loaders = [step for step in steps if isinstance(step, InstallLoader)]
    if len(loaders) != 1 or loaders[0].root != image.table.root or loaders[0].esp.kind != "esp":
        return [f"{image.disk} would not get the loader of its own root"]
    return []

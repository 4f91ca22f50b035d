# SPDX-License-Identifier: Apache-2.0
"""A plan as an operator reads it (`--plan`), one line a step, without any secret."""

from __future__ import annotations

from typing import assert_never

from agent.model.burn_in import BurnIn
from agent.model.config_drive import DriveImage
from agent.model.disk import GB, MIB
from agent.model.erasing import Means
from agent.model.inject import InjectFiles
from agent.model.leftovers import ResetPlatform
from agent.model.plan import (
    BuildRaid,
    CaptureDisk,
    DiskMustBe,
    DiskMustBeIdle,
    Epilogue,
    EraseDisk,
    EraseDisks,
    ErasePstore,
    ForgetBoot,
    InstallLoader,
    LeaveDisk,
    MakeFilesystem,
    MirrorLoader,
    Partition,
    PlaceConfigDrive,
    Plan,
    Precondition,
    SealDisk,
    SelectBoot,
    Step,
    StopHolder,
    Wipe,
    WipeMetadata,
    WriteImage,
)
from agent.model.url import named
from agent.model.validation import Validate


def text(plan: Plan) -> str:
    """All of it; "nothing to do" for an empty plan."""
    lines = [f"must hold: {condition(one)}" for one in plan.preconditions]
    lines += [f"{place}. {line(step)}" for place, step in enumerate(plan.steps, start=1)]
    match plan.epilogue:
        case None:
            pass
        case Epilogue.REBOOT:
            lines.append("then, once reported: reboot")
        case Epilogue.POWER_OFF:
            lines.append("then, once reported: power off")
    return "\n".join(lines) or "nothing to do"


def condition(one: Precondition) -> str:
    """A precondition in words."""
    match one:
        case DiskMustBe():
            but = f" but by {', '.join(map(str, one.holders))}" if one.holders else ""
            return f"{one.disk} is there, writable, and not in use{but}"
        case DiskMustBeIdle():
            return f"{one.disk} is there, and not in use"
    assert_never(one)


def line(step: Step) -> str:
    """A step in words."""
    match step:
        case WriteImage() | PlaceConfigDrive() | MakeFilesystem() | InstallLoader() | SealDisk() | MirrorLoader():
            return deploying(step)
        case EraseDisks():
            beside = f"{step.at_once} at once: " if len(step.erasures) > 1 else ""
            dead = (
                f"; quarantine what cannot be written: {', '.join(map(str, step.unwritable))}"
                if step.unwritable
                else ""
            )
            return f"{beside}{'; '.join(map(erased, step.erasures))}{dead}"
        case LeaveDisk():
            return f"leave {step.disk} as it is: {step.why}"
        case WipeMetadata():
            return f"wipe what says what is on them, and read it back: {'; '.join(map(wiped, step.wipes))}"
        case StopHolder():
            return f"take down {step.holder}, which stands on {', '.join(step.holder.on)}"
        case BuildRaid():
            made = "; ".join(
                f"{one.node} ({one.name}), RAID {one.level} of {', '.join(one.members)}" for one in step.arrays
            )
            return f"partition {', '.join(str(table.disk) for table in step.tables)} anew; make {made}"
        case CaptureDisk():
            forgetting = f"on a copy in memory, forget {', '.join(step.forget)}; then " if step.forget else ""
            what = "what is allocated" + ("" if step.keep_drive else ", but for the config drive")
            return (
                f"{forgetting}read {step.disk} ({what}) into a chunked image at {named(step.to)}; it is not written to"
            )
        case SelectBoot():
            then = ",".join(f"{number:04X}" for number in step.order)
            return f"let the firmware boot {step.disk} by {step.entry}; its boot order becomes {then}"
        case ForgetBoot():
            return f"remove the boot entries {'; '.join(map(str, step.entries))}"
        case ErasePstore() | InjectFiles() | BurnIn() | Validate() | ResetPlatform():
            return maintaining(step)
    assert_never(step)


def deploying(
    step: WriteImage | PlaceConfigDrive | MakeFilesystem | InstallLoader | SealDisk | MirrorLoader,
) -> str:
    """A step of a deploy, in words."""
    match step:
        case WriteImage(table=table) if table is not None:
            return (
                f"write {named(step.image.url)} ({step.image.format}, {step.image.digest_text}) to {step.disk}, "
                f"into '{table.root.label}' ({where(table.root)}); lost is all its present data"
                + (f" but '{table.kept.label}' ({where(table.kept)})" if table.kept else "")
            )
        case WriteImage():
            return (
                f"write {named(step.image.url)} ({step.image.format}, {step.image.digest_text}) to {step.disk}, "
                f"at most {step.limit_bytes / GB:.2f} GB, all its present data is lost; "
                f"the first {step.hold_back_bytes // MIB} MiB are held back"
            )
        case PlaceConfigDrive():
            what = "as it was given" if isinstance(step.drive, DriveImage) else ", ".join(sorted(step.drive.files))
            return (
                f"place the config drive '{step.label}' ({step.size_bytes // MIB} MiB: {what}) "
                f"at offset {step.offset_bytes} of {step.disk.path}"
            )
        case MakeFilesystem():
            return f"make {step.filesystem} '{step.partition.label}' ({where(step.partition)}) on {step.disk.path}"
        case InstallLoader():
            return (
                f"fill '{step.esp.label}' ({where(step.esp)}) on {step.disk.path} with the loader for "
                f"{step.architecture} that '{step.root.label}' carries; nothing of the image is run"
            )
        case SealDisk():
            added = f", add {', '.join(part.label for part in step.add)}" if step.add else ""
            return f"fit the partition table to {step.disk.path}{added}; write the first MiB last"
        case MirrorLoader():
            return f"copy the EFI system partition of {step.disk.path} to {step.to}, and empty it there"
    assert_never(step)


def where(partition: Partition) -> str:
    """How large, and where."""
    return f"{partition.size_bytes // MIB} MiB at offset {partition.offset_bytes}"


def maintaining(step: ErasePstore | InjectFiles | BurnIn | Validate | ResetPlatform) -> str:
    """A step beside deploying and erasing, in words."""
    match step:
        case ErasePstore():
            return "remove what crashed kernels left in the platform's memory"
        case ResetPlatform():
            words = (
                *(["forget the boot that was ordered (BootNext)"] if step.boot_next else []),
                *(["clear the TPM, in which an owner has left something"] if step.clear_tpm else []),
                *(f"remove the virtual functions of {link}" for link in step.functions),
                *(f"tell that {note}" for note in step.notes),
            )
            return "; ".join(words)
        case InjectFiles():
            changes = ", ".join(
                f"{'remove' if one.file.deleted else 'write'} {one.file.path} "
                f"({' or '.join(each.node for each in one.candidates)})"
                for one in step.placed
            )
            return f"in the system on {step.disk}: {changes}"
        case BurnIn():
            lost = f", and DESTROY what is on {', '.join(map(str, step.disks))}" if step.disks else ""
            return f"put under load: {', '.join(load.part for load in step.loads)}{lost}"
        case Validate():
            read = f"; read {', '.join(map(str, step.disks))}" if step.disks else ""
            lost = f"; DESTROY what is on {', '.join(map(str, step.wiped))}" if step.wiped else ""
            limit = f", for at most {step.time_limit_s} s" if step.time_limit_s else ""
            return f"test: {'; '.join(map(str, step.trials))}{limit}{read}{lost}"
    assert_never(step)


def erased(one: EraseDisk | Wipe) -> str:
    """One disk."""
    if isinstance(one, Wipe):
        return f"wipe what says what is on it: {wiped(one)}"
    by = "" if one.means == (Means.ZERO,) else f" by {', or else '.join(one.means)}"
    notes = f" ({'; '.join(one.notes)})" if one.notes else ""
    shown = f" and the {one.hidden_bytes} bytes that it hides, which it is to show first," if one.shown_offsets else ""
    return f"erase all of {one.disk}{shown}{by}{notes}; read {len(one.sample_offsets)} samples back"


def wiped(wipe: Wipe) -> str:
    """How much of a disk that is."""
    return f"{sum(area.length_bytes for area in wipe.areas) / MIB:.0f} MiB of {wipe.disk}"

# SPDX-License-Identifier: Apache-2.0
"""A plan as an operator reads it (`--plan`), one line a step, without any secret."""

from __future__ import annotations

from typing import assert_never

from agent.model.config_drive import DriveImage
from agent.model.disk import GB, MIB
from agent.model.plan import (
    BuildRaid,
    CaptureDisk,
    DiskMustBe,
    DiskMustBeIdle,
    Epilogue,
    EraseDisk,
    ForgetBoot,
    LeaveDisk,
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
        case SealDisk():
            added = f", add {', '.join(part.label for part in step.add)}" if step.add else ""
            return f"fit the partition table to {step.disk.path}{added}; write the first MiB last"
        case EraseDisk():
            return f"erase all of {step.disk}; read {len(step.sample_offsets)} samples back"
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
    assert_never(step)


def wiped(wipe: Wipe) -> str:
    """How much of a disk that is."""
    return f"{sum(area.length_bytes for area in wipe.areas) / MIB:.0f} MiB of {wipe.disk}"

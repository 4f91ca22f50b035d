# SPDX-License-Identifier: Apache-2.0
"""Doing `EraseDisk`: one disk forgets, and is looked at. Whatever a command says, the samples decide.

In: the step. Out: an `Erasure`, also where it failed; only what is not the drive's fault is raised (it is in use, the
request was recalled). `sample.py` plants and looks, `means.py` gives the orders, `watch.py` waits for what goes on in a
drive by itself, `passwords.py` sees to it that none is left with a password.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from agent.apply.erasing.boot_partitions import in_boot_partitions
from agent.apply.erasing.means import begin
from agent.apply.erasing.opening import opened
from agent.apply.erasing.passwords import freed
from agent.apply.erasing.sample import NOTHING, Before, look, plant
from agent.apply.erasing.show import shown
from agent.apply.erasing.watch import running, watched
from agent.errors import AgentError, DecodeError, DeviceError, HostError
from agent.host.doors import BlockDevice, Host
from agent.model.erasing import Erasure, Level, Means, Outcome, Samples, Shut, nvme, verdict
from agent.model.job import Advance
from agent.model.plan import DiskMustBe, EraseDisk

Hold = Callable[[DiskMustBe], None]
TO_SHOW = "Let it show them (hdparm -N p…, --dco-restore), switch it off and on, and erase it again."
NO_SIZE = "the kernel gives it no size: perhaps its sectors have 520 or 528 bytes"


@dataclass
class Attempt:
    """How far it came."""

    means: Means | None = None
    passed_over: list[str] = field(default_factory=list)
    drive_log: str | None = None
    resumed: bool = False
    before: Before = NOTHING
    samples: Samples = field(default_factory=Samples)


def erase(host: Host, step: EraseDisk, advance: Advance, hold: Hold = lambda _: None) -> Erasure:
    """`hold` is to look again at the disk that was only waited for. Raises `PreconditionError`, and what `advance`
    raises.
    """
    began_at, one = host.clock.now(), Attempt(passed_over=list(step.notes))
    try:
        if step.has_password:
            freed(host, step.disk)
        if step.shown_offsets and running(host, step) is None:
            step = all_of_it(host, step, one, hold)
        outcome, evidence = attempted(host, step, one, advance, hold)
    except (DeviceError, DecodeError) as error:
        outcome, evidence = "failed", told(error)
    return Erasure(
        path=step.disk.path,
        serial=step.disk.serial,
        wwn=step.disk.wwn,
        model=step.model,
        firmware=step.firmware,
        size_bytes=step.disk.size_bytes,
        means=one.means,
        nist=level(one) if outcome == "erased" else "none",
        outcome=outcome,
        evidence=evidence,
        samples=one.samples,
        drive_log=one.drive_log,
        passed_over=tuple(one.passed_over),
        resumed=one.resumed,
        began_at=began_at,
        ended_at=host.clock.now(),
    )


def level(one: Attempt) -> Level:
    """Of what was found under way NVMe drives alone tell the kind: with the others it may be an overwrite."""
    if one.means is None:
        return "none"
    return "clear" if one.resumed and one.means not in nvme.ACTIONS else one.means.nist


def attempted(host: Host, step: EraseDisk, one: Attempt, advance: Advance, hold: Hold) -> tuple[Outcome, str]:
    """What came of it, as far as the samples prove. Raises `DeviceError` for what the drive failed of."""
    waited_for = running(host, step)
    shut = step.shut
    if waited_for is not None:
        ended = watched(host, step, waited_for, advance)
        if ended.succeeded:
            one.means, one.drive_log, one.resumed = waited_for, ended.text, True
        else:
            one.passed_over.append(f"{waited_for}, which was under way: the drive says: {ended.text}")
            shut = shut_by(step, waited_for)
    if not step.disk.size_bytes:
        raise DeviceError(f"erasing {step.disk}", looked_at_again(host, step) if waited_for is not None else NO_SIZE)
    with host.block.open_exclusive(step.disk.path) as device:
        if waited_for is not None:
            hold(DiskMustBe(disk=step.disk))  # nothing was open all the while: another may be in its place
        if one.means is None:
            if shut is not None:
                one.passed_over += opened(host, step, shut, advance)
            forgotten(host, device, step, one, advance)
        assert one.means is not None, "it was under way, or begun"
        found = seen(device, step, one)
        if one.resumed and found[0] == "unproven":
            one.passed_over.append(f"{one.means}, which was under way: {found[1]}")
            one.resumed = False
            forgotten(host, device, step, one, advance)
            found = seen(device, step, one)
        if found[0] == "erased":
            device.reread_table()
    if found[0] != "erased":
        return found
    left = in_boot_partitions(host, step)
    return ("unproven", f"{left}; of the others: {found[1]}") if left else capped(step, one.means, found)


def all_of_it(host: Host, step: EraseDisk, one: Attempt, hold: Hold) -> EraseDisk:
    """With what it hides, if that can be shown; what can be reached goes in any case. Raises `PreconditionError`."""
    try:
        whole = shown(host, step)
    except (DeviceError, DecodeError) as error:
        one.passed_over.append(f"showing what it hides: {told(error)}. {error.hint}")
        return step
    hold(DiskMustBe(disk=whole.disk))
    one.passed_over.append(f"it hid {step.hidden_bytes} bytes behind its end, and shows them now: they are erased, too")
    return whole


def seen(device: BlockDevice, step: EraseDisk, one: Attempt) -> tuple[Outcome, str]:
    """What the samples show."""
    assert one.means is not None, "it was under way, or begun"
    one.samples = look(device, step, one.before)
    return verdict(one.means, one.samples, one.drive_log, resumed=one.resumed)


def capped(step: EraseDisk, means: Means, found: tuple[Outcome, str]) -> tuple[Outcome, str]:
    """What is attached to nobody today is attached again tomorrow, with all that it holds: only a sanitize takes it.
    And what a drive hides can be shown again; whatever erased it there, nothing proves that.
    """
    if step.hidden_bytes is None:
        return "unproven", f"whether it hides a part of itself could not be asked; of what it shows: {found[1]}"
    if step.hidden_bytes:
        told = f"it hides {step.hidden_bytes} bytes behind its end; of the others: {found[1]}. {TO_SHOW}"
        return "unproven", told
    if not step.unseen or means.is_sanitize:
        return found
    names = ", ".join(map(str, step.unseen))
    return "unproven", f"namespace {names} is attached to nobody and was not erased; of the others: {found[1]}"


def looked_at_again(host: Host, step: EraseDisk) -> str:
    """A SCSI disk has no size while it sanitizes itself. Now it has, and is another one than what was planned for."""
    with suppress(HostError):
        host.files.tell(f"/sys/block/{step.disk.path.removeprefix('/dev/')}/device/rescan", "1")
    return "its sanitize is over, and it has a size again: erase it once more, for the proof"


def forgotten(host: Host, device: BlockDevice, step: EraseDisk, one: Attempt, advance: Advance) -> None:
    """By the first means that the drive begins with, and comes to an end of. Canaries are planted anew for each: one
    that failed may have erased them. Raises `DeviceError`, with what became of each.
    """
    for means in step.means:
        one.before = plant(device, step)
        try:
            begin(host, device, step, means, advance)
        except DeviceError as error:
            one.passed_over.append(f"{means}: {told(error)}")
            continue
        if means.is_sanitize:
            ended = watched(host, step, means, advance)
            if not ended.succeeded:
                one.passed_over.append(f"{means}: the drive says: {ended.text}")
                one.passed_over += opened(host, step, shut_by(step, means), advance)
                continue
            one.drive_log = ended.text
        one.means = means
        device.flush()
        return
    raise DeviceError("nothing that it was told worked", "; ".join(one.passed_over))


def shut_by(step: EraseDisk, means: Means) -> Shut:
    """What a drive may be opened by after that sanitize."""
    return Shut(by=means, opening=tuple(one for one in step.means if one.is_sanitize))


def told(error: AgentError) -> str:
    """With what is behind it."""
    causes = error.causes()
    return f"{error}; caused by {causes}" if causes else str(error)

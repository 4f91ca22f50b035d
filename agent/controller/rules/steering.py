# SPDX-License-Identifier: Apache-2.0
"""What a job needs when nothing happens by itself: patience, its BMC, a person, or an end.

Looked at every second or so, from what is known at that moment; nothing is remembered between two looks, so a
controller that was away for an hour goes on as if it had not been.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from agent.controller.records.job import AssignmentState, Job, Operation, Reset, Stage
from agent.controller.records.node import Power
from agent.model.fault import Fault
from agent.model.protocol import Mode

ALIVE_S = 180.0
"""Three missed minutes of heartbeats, and an agent counts as gone."""
STRANDED_S = 75.0
"""An agent is heard of every 60 s ± 10 %: one that was not, and whose firmware asks what to boot, has ended."""
NEVER = float("inf")
QUIET_S = 20.0
"""A machine that said it switches itself off, and was not heard of since, is off."""
ERASING_S = 12 * 3600.0
"""Out of touch in the middle of an erasure: a drive whose power is cut then may be left locked, or of no use at all."""


class Waiting(StrEnum):
    """Phases in which the controller waits."""

    FOR_AGENT = "waiting for the agent"
    TO_RAMDISK = "rebooting into the ramdisk"
    BY_BMC = "restarting by BMC into the ramdisk"
    ERASING = "erasing"
    OUT_OF_TOUCH = "erasing, and not heard of: left alone for hours"
    FOR_SOMEONE_RAMDISK = "waiting for someone to boot the machine into the ramdisk"
    FOR_SOMEONE_ON = "waiting for someone to power the machine on"
    POWERING_ON = "powering on"
    REBOOTING = "rebooting"
    BOOTING = "booting the installed OS"
    ASKING_OS = "asking the OS"
    POWERING_OFF = "powering off"


@dataclass(frozen=True)
class Limits:
    """How long to wait for what."""

    patience_s: float
    boot_timeout_s: float
    silence_timeout_s: float


@dataclass(frozen=True)
class Sight:
    """What is seen of the machine. Times are ages; infinite where it never happened."""

    mode: Mode | None
    request: AssignmentState | None
    bmc: bool
    power: Power
    silent_s: float
    """since it was heard of; at most since this controller was started, which could hear nothing before"""
    phase_s: float
    power_s: float
    up_s: float
    """since this controller was started: nobody is blamed for its own absence"""
    erasing: bool = False
    """the ramdisk that was last heard of has taken up to erase, and has not said what came of it"""
    stranded: bool = False
    """its firmware asks what to boot, and is to wait: the machine has started, and nobody had ordered that"""

    @property
    def alive(self) -> bool:
        """Its agent was heard of lately."""
        return self.silent_s < ALIVE_S


@dataclass(frozen=True)
class Course:
    """What follows: another phase, a word to the BMC, the end. Nothing set: go on waiting."""

    phase: Waiting | None = None
    power: Reset | None = None
    fault: Fault | None = None
    done: bool = False


def steer(job: Job, sight: Sight, limits: Limits) -> Course:
    """What this job needs now."""
    match job.stage:
        case Stage.RAMDISK:
            return _to_ramdisk(job, sight, limits)
        case Stage.BOOT:
            return _to_disk(job, sight, limits)
        case Stage.OS:
            return _leave_os(job, sight, limits)
        case Stage.OFF:
            return _off(job, sight, limits)
    assert_never(job.stage)


def _to_ramdisk(job: Job, sight: Sight, limits: Limits) -> Course:
    stranded = sight.bmc and sight.stranded and sight.silent_s > STRANDED_S
    if sight.mode == "ramdisk" and sight.silent_s < limits.patience_s and not stranded:
        return Course(phase=Waiting.ERASING) if job.phase == Waiting.OUT_OF_TOUCH else Course()
    erases = sight.mode == "ramdisk" and sight.erasing and not stranded
    if erases and sight.silent_s < max(ERASING_S, limits.patience_s):
        return Course(phase=Waiting.OUT_OF_TOUCH)
    if sight.bmc:
        due = sight.power_s > (STRANDED_S if stranded else limits.boot_timeout_s)
        return Course(phase=Waiting.BY_BMC, power=Reset.FORCE_RESTART if due else None)
    if _os_may_obey(job, sight, limits):
        return Course(phase=Waiting.TO_RAMDISK)
    waited_s = min(sight.silent_s, sight.phase_s, sight.up_s)
    if job.operation.deploys and waited_s > limits.silence_timeout_s:
        return Course(fault=silent(waited_s))
    return Course(phase=Waiting.FOR_SOMEONE_RAMDISK)


def _os_may_obey(job: Job, sight: Sight, limits: Limits) -> bool:
    """The OS was asked to reboot. It has a while to answer, and when it has answered, a machine takes long to start."""
    if sight.mode != "service" or sight.power is Power.OFF or sight.power_s < NEVER:
        return False
    if job.phase == Waiting.FOR_SOMEONE_RAMDISK:
        return False
    if sight.request is AssignmentState.SUCCEEDED:
        return sight.phase_s < limits.boot_timeout_s
    return sight.alive and sight.phase_s < limits.patience_s


def _to_disk(job: Job, sight: Sight, limits: Limits) -> Course:
    if sight.bmc and sight.power_s == NEVER:
        if job.operation is Operation.START:
            return Course(phase=Waiting.POWERING_ON, power=Reset.ON)
        if (job.operation is Operation.REBOOT and job.hard) or _hangs(job, sight, limits):
            return Course(phase=Waiting.REBOOTING, power=Reset.FORCE_RESTART)
    if job.phase != Waiting.FOR_SOMEONE_ON and min(sight.phase_s, sight.up_s) > limits.boot_timeout_s:
        return Course(fault=unconfirmed(limits.boot_timeout_s))
    return Course()


def _hangs(job: Job, sight: Sight, limits: Limits) -> bool:
    """The ramdisk has done its work and is still there: it cannot reboot by itself."""
    waited_long = sight.phase_s > limits.patience_s and job.phase == Waiting.REBOOTING
    return job.operation.deploys and waited_long and sight.mode == "ramdisk" and sight.alive


def _leave_os(job: Job, sight: Sight, limits: Limits) -> Course:
    if min(sight.phase_s, sight.up_s) < limits.patience_s:
        return Course()
    if not sight.bmc:
        return Course(fault=no_answer(limits.patience_s))
    return Course(power=Reset.FORCE_OFF if job.operation is Operation.STOP else Reset.FORCE_RESTART)


def _off(job: Job, sight: Sight, limits: Limits) -> Course:
    if not sight.bmc:
        return Course(done=min(sight.silent_s, sight.phase_s) > QUIET_S)
    if sight.power is Power.OFF:
        return Course(done=True)
    due = sight.power_s > limits.patience_s and (job.hard or sight.phase_s > limits.patience_s)
    return Course(power=Reset.FORCE_OFF if due else None)


def unconfirmed(waited_s: float) -> Fault:
    """The OS was written, and nothing was heard of it."""
    return Fault(
        code="BMS.BOOT_UNCONFIRMED",
        message=f"waiting for the installed OS to return its boot nonce: nothing in {waited_s / 60:.0f} minutes",
        hint="Look at the machine's console: boot order, boot loader, network. A late answer still makes it ACTIVE.",
    )


def silent(waited_s: float) -> Fault:
    """The node was lost in the middle of a deploy."""
    return Fault(
        code="BMS.NODE_SILENT",
        message=f"waiting for the node to carry out the deploy: nothing heard in {waited_s / 60:.0f} minutes",
        hint="Is the machine switched on, and does it boot over the network? Then reinstall or delete the server.",
    )


def no_answer(waited_s: float) -> Fault:
    """The OS does not react, and there is no other way to reach the machine."""
    return Fault(
        code="BMS.NO_ANSWER",
        message=f"asking the OS: no answer in {waited_s / 60:.0f} minutes, and the node has no BMC",
        hint="Switch the machine by hand, or give the node a BMC: bmsctl node bmc.",
    )

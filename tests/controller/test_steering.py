# SPDX-License-Identifier: Apache-2.0
"""What a job needs when nothing happens: patience, a BMC, a person, an end. By itself, for every stage."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agent.controller.records.job import AssignmentState, Job, Operation, Reset, Stage
from agent.controller.records.node import Power
from agent.controller.rules.steering import NEVER, Course, Limits, Sight, Waiting, steer

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LIMITS = Limits(patience_s=300, boot_timeout_s=1800, silence_timeout_s=3600)
LIVING = Sight(
    mode="service",
    request=AssignmentState.OPEN,
    bmc=False,
    power=Power.ON,
    silent_s=5,
    phase_s=10,
    power_s=NEVER,
    up_s=NEVER,
)
DEAD = replace(LIVING, silent_s=9000, phase_s=9000)
ERASING = replace(LIVING, mode="ramdisk", erasing=True, bmc=True)


def job(operation: Operation, stage: Stage, phase: str = "", *, hard: bool = False) -> Job:
    """A job at that stage."""
    return Job(
        id="j", operation=operation, node_id="n", stage=stage, phase=phase, phase_at=NOW, begun_at=NOW, hard=hard
    )


DELETE = job(Operation.DELETE, Stage.RAMDISK)
CREATE = job(Operation.CREATE, Stage.RAMDISK)
BOOT = job(Operation.CREATE, Stage.BOOT, Waiting.REBOOTING)
START = job(Operation.START, Stage.BOOT)
SOFT_STOP = job(Operation.STOP, Stage.OS)
SOFT_REBOOT = job(Operation.REBOOT, Stage.OS)
OFF = job(Operation.STOP, Stage.OFF)


@pytest.mark.parametrize(
    ("what", "sight", "course"),
    [
        # Into the ramdisk: by its BMC; where there is none the OS is asked, or a person waited for.
        (DELETE, LIVING, Course(phase=Waiting.TO_RAMDISK)),
        (DELETE, replace(LIVING, phase_s=301), Course(phase=Waiting.FOR_SOMEONE_RAMDISK)),
        (DELETE, replace(LIVING, bmc=True), Course(phase=Waiting.BY_BMC, power=Reset.FORCE_RESTART)),
        (CREATE, replace(LIVING, mode=None, bmc=True), Course(phase=Waiting.BY_BMC, power=Reset.FORCE_RESTART)),
        (DELETE, DEAD, Course(phase=Waiting.FOR_SOMEONE_RAMDISK)),
        (DELETE, replace(DEAD, bmc=True), Course(phase=Waiting.BY_BMC, power=Reset.FORCE_RESTART)),
        (DELETE, replace(DEAD, bmc=True, power_s=60), Course(phase=Waiting.BY_BMC)),
        (DELETE, replace(DEAD, bmc=True, power_s=1801), Course(phase=Waiting.BY_BMC, power=Reset.FORCE_RESTART)),
        # It has started by itself, and waits: its BMC is told sooner, but not twice in one start.
        (DELETE, replace(DEAD, bmc=True, power_s=74, stranded=True), Course(phase=Waiting.BY_BMC)),
        (
            DELETE,
            replace(ERASING, silent_s=76, power_s=76, stranded=True),
            Course(phase=Waiting.BY_BMC, power=Reset.FORCE_RESTART),
        ),
        (DELETE, replace(ERASING, silent_s=74, power_s=301, stranded=True), Course()),
        (DELETE, replace(ERASING, silent_s=76, power_s=301, stranded=True, bmc=False), Course()),
        # It said that it reboots: a machine may take half an hour to start.
        (DELETE, replace(DEAD, request=AssignmentState.SUCCEEDED, phase_s=1700), Course(phase=Waiting.TO_RAMDISK)),
        (DELETE, replace(LIVING, power=Power.OFF, bmc=True), Course(phase=Waiting.BY_BMC, power=Reset.FORCE_RESTART)),
        # In the ramdisk: it works, or it has fallen silent.
        (CREATE, replace(LIVING, mode="ramdisk", phase_s=9000), Course()),
        (CREATE, replace(DEAD, mode="ramdisk", silent_s=299, bmc=True), Course()),
        (CREATE, replace(DEAD, mode="ramdisk", silent_s=301, phase_s=301), Course(phase=Waiting.FOR_SOMEONE_RAMDISK)),
        # A drive whose power is cut while it erases itself may be locked afterwards: hours, before the BMC is told.
        (DELETE, replace(ERASING, silent_s=299), Course()),
        (DELETE, replace(ERASING, silent_s=301), Course(phase=Waiting.OUT_OF_TOUCH)),
        (DELETE, replace(ERASING, silent_s=11 * 3600), Course(phase=Waiting.OUT_OF_TOUCH)),
        (DELETE, replace(ERASING, silent_s=301, bmc=False), Course(phase=Waiting.OUT_OF_TOUCH)),
        (
            DELETE,
            replace(ERASING, silent_s=13 * 3600),
            Course(phase=Waiting.BY_BMC, power=Reset.FORCE_RESTART),
        ),
        (job(Operation.DELETE, Stage.RAMDISK, Waiting.OUT_OF_TOUCH), ERASING, Course(phase=Waiting.ERASING)),
        (CREATE, replace(DEAD, mode=None, up_s=60), Course(phase=Waiting.FOR_SOMEONE_RAMDISK)),
        # To the disk: nothing but the nonce ends it well.
        (BOOT, replace(LIVING, mode="ramdisk", phase_s=1799), Course()),
        (BOOT, replace(DEAD, up_s=60), Course()),
        (BOOT, replace(LIVING, mode="ramdisk", phase_s=290, bmc=True), Course()),
        (
            BOOT,
            replace(LIVING, mode="ramdisk", phase_s=310, bmc=True),
            Course(phase=Waiting.REBOOTING, power=Reset.FORCE_RESTART),
        ),
        (BOOT, replace(LIVING, mode="ramdisk", phase_s=310, silent_s=190, bmc=True), Course()),
        (START, replace(LIVING, bmc=True), Course(phase=Waiting.POWERING_ON, power=Reset.ON)),
        (START, replace(LIVING, bmc=True, power_s=5), Course()),
        (job(Operation.START, Stage.BOOT, Waiting.FOR_SOMEONE_ON), DEAD, Course()),
        # The OS is to go: asked first, switched off by force if it hangs.
        (SOFT_STOP, LIVING, Course()),
        (SOFT_STOP, replace(DEAD, bmc=True), Course(power=Reset.FORCE_OFF)),
        (SOFT_REBOOT, replace(DEAD, bmc=True), Course(power=Reset.FORCE_RESTART)),
        (SOFT_STOP, replace(DEAD, up_s=60), Course()),
        # Off: by the BMC's word where there is one, by silence where there is none.
        (OFF, replace(LIVING, silent_s=10, phase_s=30), Course()),
        (OFF, replace(LIVING, silent_s=30, phase_s=10), Course()),
        (OFF, replace(LIVING, silent_s=30, phase_s=30), Course(done=True)),
        (OFF, replace(DEAD, bmc=True, power=Power.OFF), Course(done=True)),
        (OFF, replace(DEAD, bmc=True, phase_s=60), Course()),
        (OFF, replace(DEAD, bmc=True), Course(power=Reset.FORCE_OFF)),
        (job(Operation.STOP, Stage.OFF, hard=True), replace(LIVING, bmc=True), Course(power=Reset.FORCE_OFF)),
        (job(Operation.STOP, Stage.OFF, hard=True), replace(LIVING, bmc=True, power_s=60), Course()),
    ],
)
def test_course(what: Job, sight: Sight, course: Course) -> None:
    """What follows from this sight."""
    assert steer(what, sight, LIMITS) == course


@pytest.mark.parametrize(
    ("what", "sight", "code"),
    [
        (CREATE, DEAD, "BMS.NODE_SILENT"),
        (BOOT, DEAD, "BMS.BOOT_UNCONFIRMED"),
        (SOFT_STOP, DEAD, "BMS.NO_ANSWER"),
        (SOFT_REBOOT, DEAD, "BMS.NO_ANSWER"),
    ],
)
def test_what_ends_in_a_fault(what: Job, sight: Sight, code: str) -> None:
    """Waiting that is over has its own code and says what to do."""
    fault = steer(what, sight, LIMITS).fault

    assert fault is not None
    assert fault.code == code
    assert fault.hint


def test_waiting_for_a_person_does_not_flap() -> None:
    """An OS that answers heartbeats and never reboots is waited for once: the phase does not go back and forth."""
    waiting = job(Operation.DELETE, Stage.RAMDISK, Waiting.FOR_SOMEONE_RAMDISK)

    assert steer(waiting, LIVING, LIMITS) == Course(phase=Waiting.FOR_SOMEONE_RAMDISK)

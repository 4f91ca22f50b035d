# SPDX-License-Identifier: Apache-2.0
"""The checker: each invariant, broken on purpose, is refused."""

from __future__ import annotations

import pytest

from agent.errors import PlanRefused
from agent.model.plan import Step
from agent.plan.check import check
from agent.plan.image import plan_deploy
from tests.hardware import HDD, SSD, deploy, machine

GOOD = plan_deploy(machine(SSD, HDD), deploy(serial="S1"), "/spool")
WRITE, PLACE, SEAL = GOOD.steps


def changed(step: Step, **fields: object) -> Step:
    """The step with other fields."""
    return step.model_copy(update=fields)


@pytest.mark.parametrize(
    ("steps", "evidence"),
    [
        ((changed(WRITE, disk=HDD.identity), PLACE, SEAL), "which no precondition pins"),
        ((WRITE, PLACE), "end with its only seal"),
        ((WRITE, SEAL, PLACE), "end with its only seal"),
        ((SEAL, WRITE, PLACE, SEAL), "end with its only seal"),
        ((WRITE, PLACE, changed(SEAL, head_path="/else")), "another head"),
        ((changed(WRITE, hold_back_bytes=0), PLACE, SEAL), "0 bytes of the head are held back"),
        ((WRITE, changed(PLACE, offset_bytes=4096), SEAL), "overlaps the image"),
        ((WRITE, PLACE, changed(SEAL, add=())), "has no partition"),
        ((changed(WRITE, limit_bytes=SSD.size_bytes), PLACE, SEAL), "the image's limit lies outside"),
        ((WRITE, changed(PLACE, offset_bytes=SSD.size_bytes), SEAL), "the config drive lies outside"),
    ],
)
def test_broken_disk_plans_are_refused(steps: tuple[Step, ...], evidence: str) -> None:
    """A plan that would write elsewhere, overlap, or boot before it is verified does not pass."""
    with pytest.raises(PlanRefused, match=evidence):
        check(GOOD.model_copy(update={"steps": steps}))


def test_good_plan_passes() -> None:
    """The checker accepts what breaks nothing."""
    assert check(GOOD) is GOOD

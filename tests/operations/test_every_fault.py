# SPDX-License-Identifier: Apache-2.0
"""Every operation of the table, with every fault: each door call fails once, and is once the last before death."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import pytest

from agent.operations import VERBS
from tests.operations import disks, firmware, hardware, images
from tests.operations.faults import Scenario, calls_of, tried, tries_of

SCENARIOS: Mapping[str, tuple[Scenario, ...]] = {
    **images.SCENARIOS,
    **disks.SCENARIOS,
    **hardware.SCENARIOS,
    **firmware.SCENARIOS,
}
ALL = [pytest.param(one, id=f"{verb}: {one.name}") for verb, scenarios in SCENARIOS.items() for one in scenarios]


def test_every_verb_is_tried() -> None:
    """A row that is added to the table is tried with every fault, or this fails."""
    assert set(SCENARIOS) == set(VERBS)
    for verb, scenarios in SCENARIOS.items():
        assert [one.begin()[1].verb for one in scenarios] == [verb] * len(scenarios) != []


@pytest.mark.parametrize("scenario", ALL)
def test_every_fault(scenario: Scenario, lot: Random) -> None:
    """Failing or dying at any call, with the power or without it, then begun again: done or refused, never half and
    called done; one final report; and nothing is ever as it must not be.
    """
    must_bear(scenario, lot)


@pytest.mark.long
@pytest.mark.parametrize("scenario", [one for one in ALL if one.values[0].tries is not None])  # type: ignore[union-attr]
def test_all_of_them(scenario: Scenario) -> None:
    """Where the ordinary run draws a lot, this leaves none out."""
    must_bear(scenario, None)


def must_bear(scenario: Scenario, lot: Random | None) -> None:
    """Says at which fault it does not."""
    calls = calls_of(scenario)
    for at, effect, power in tries_of(scenario, len(calls), lot):
        try:
            tried(scenario, at, effect, power=power)
        except AssertionError as error:
            raise AssertionError(f"{effect.name} at call {at}, {calls[at - 1]}; power lost: {power}") from error

# SPDX-License-Identifier: Apache-2.0
"""Every operation of the table, with every fault: each door call fails once, and is once the last before death; and
with many of the ways in which faults come together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random

import pytest

from agent.host.fake import Effect
from agent.host.fake.faults import DEADLY
from agent.operations import VERBS
from tests.operations import disks, firmware, hardware, images
from tests.operations.faults import SENT, Life, Scenario, calls_of, lived, tries_of

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
    for life in tries_of(scenario, len(calls), lot):
        must_stand(scenario, calls, life)


def must_stand(scenario: Scenario, calls: list[str], *lives: Life) -> None:
    """As above."""
    try:
        lived(scenario, *lives)
    except (AssertionError, ValueError) as error:
        told = "; ".join(f"{life}: {calls[life.at - 1]}" for life in lives)
        raise AssertionError(f"{error} ({told})") from error


SOME, MANY = 16, 500
"""Of lives that are drawn by lot for each row: there are too many of them to try all."""


def drawn(lot: Random, calls: int) -> list[Life]:
    """One, two or three processes with any fault each: a call that did what it says it did not, a door that is broken
    from then on, a death in the middle of what is made of a failure, or of the sending of a report.
    """
    found = []
    for _ in range(lot.choice((1, 1, 2, 2, 3))):
        effect = lot.choice(tuple(Effect))
        then_after = lot.choice((None, 1, 1, 2, 3, lot.randint(1, 12))) if effect not in DEADLY else None
        life = Life(lot.randint(1, calls), effect, then_after)
        found.append(replace(life, power=life.dies and lot.random() < 0.3))
    return found


def must_survive(scenario: Scenario, lot: Random, times: int) -> None:
    """So many draws."""
    calls = calls_of(scenario)
    for _ in range(times):
        must_stand(scenario, calls, *drawn(lot, len(calls)))


@pytest.mark.parametrize("scenario", ALL)
def test_faults_that_come_together(scenario: Scenario, lot: Random) -> None:
    """Several faults, or one that stays: the same must hold."""
    must_survive(scenario, lot, min(scenario.tries or SOME, SOME))


@pytest.mark.long
@pytest.mark.parametrize("scenario", ALL)
def test_many_that_come_together(scenario: Scenario, lot: Random) -> None:
    """The same, more often."""
    must_survive(scenario, lot, MANY)


def test_the_controller_hears_once(lot: Random) -> None:
    """Whatever becomes of the sending: each report that arrives counts once, also where the answer to it was lost, or
    the process died before it learnt of it.
    """
    (scenario,) = SCENARIOS["power.reboot"]
    calls = calls_of(scenario)
    sending = [number for number, call in enumerate(calls, 1) if call == SENT]
    assert len(sending) == 1
    for effect in Effect:
        for then_after in (None, 1, 2):
            must_stand(scenario, calls, Life(sending[0], effect, then_after))

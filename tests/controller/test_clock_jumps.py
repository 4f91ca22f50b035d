# SPDX-License-Identifier: Apache-2.0
"""Clocks that are years off, or are set by years while work goes on: the controller's, and the machines' own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.controller.clock import JUMP_S, SystemClock
from agent.controller.flow.power import serve_power
from agent.controller.flow.tick import tick
from tests.controller.machine import Machine, deploying
from tests.controller.world import World

YEARS_S = 30 * 365 * 86400.0
JUMPS = pytest.mark.parametrize("jump_s", [YEARS_S, -YEARS_S, 3600.0, -3600.0])


@JUMPS
def test_work_goes_on(tmp_path: Path, jump_s: float) -> None:
    """Nobody is taken for silent, and no machine is reset, because the clock was set; the deploy ends as it would."""
    world, machine = deploying(tmp_path)
    world.clock.jump(jump_s)
    tick(world.controller)
    serve_power(world.controller)
    assert world.power.told == [] and world.node()["state"] == "deploying"
    machine.beat()
    machine.serve()

    assert world.server()["status"] == "ACTIVE"


@JUMPS
def test_who_is_lost_is_missed(tmp_path: Path, jump_s: float) -> None:
    """A machine that is heard no more after the clock was set, back by years too, is seen to in its time."""
    world, _ = deploying(tmp_path)
    world.clock.jump(jump_s)
    for _ in range(10):
        world.clock.move(600)
        tick(world.controller)
        serve_power(world.controller)

    assert world.power.told != []


@pytest.mark.parametrize("at", [datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)])
def test_a_machine_in_another_century(world: World, machine: Machine, at: datetime) -> None:
    """What day a machine believes it is changes nothing: it is heard when it is heard."""
    seen = world.clock.now()
    assert machine.beat(at=at).current
    with world.controller.read() as tx:
        assert [session.seen_at for session in tx.sessions.all()] == [seen]
    machine.beat()
    assert world.node()["state"] == "available"


def test_what_is_a_jump() -> None:
    """Time that passes is none, nor a correction; a clock that is set is, each time, and says since when."""
    passed = [1000.0, 0.0]
    clock = SystemClock(lambda: passed[0], lambda: passed[1])
    for step_s in (1.0, 3600.0, 86400.0):
        passed[:] = [passed[0] + step_s, passed[1] + step_s]
        clock.now()
    passed[0] += JUMP_S - 1
    assert clock.now() and clock.jumped_at is None
    for jump_s in (YEARS_S, -YEARS_S):
        passed[0] += jump_s
        assert clock.now() == clock.jumped_at == datetime.fromtimestamp(passed[0], UTC)
        passed[:] = [passed[0] + 5, passed[1] + 5]
        assert clock.jumped_at is not None and clock.now() - clock.jumped_at == timedelta(seconds=5)

# SPDX-License-Identifier: Apache-2.0
"""A world to each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controller.machine import Machine
from tests.controller.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A controller with a stock of everything, and no machine yet."""
    world = World(tmp_path / "data")
    world.stock()
    yield world
    world.close()


@pytest.fixture
def machine(world: World) -> Machine:
    """A machine in its ramdisk, available."""
    return Machine(world).power_on()


@pytest.fixture
def server(world: World, machine: Machine) -> Machine:
    """A machine whose server, web, is ACTIVE."""
    world.order()
    machine.serve()
    assert world.server()["status"] == "ACTIVE"
    return machine

# SPDX-License-Identifier: Apache-2.0
"""A world to each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controller.machine import Machine
from tests.controller.world import World


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a controller with a stock of everything, made once."""
    data = tmp_path_factory.mktemp("stocked") / "data"
    world = World(data)
    world.stock()
    world.close()
    return data


@pytest.fixture
def world(stocked: Path, tmp_path: Path) -> Iterator[World]:
    """A controller with a stock of everything, and no machine yet."""
    world = World(Path(shutil.copytree(stocked, tmp_path / "data")))
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

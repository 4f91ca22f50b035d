# SPDX-License-Identifier: Apache-2.0
"""A world to each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
def made(stocked: Path, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes a controller with options of its own, on the same stock."""
    worlds: list[World] = []

    def make(**options: Any) -> World:
        worlds.append(World(Path(shutil.copytree(stocked, tmp_path / f"data-{len(worlds)}")), **options))
        return worlds[-1]

    yield make
    for world in worlds:
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

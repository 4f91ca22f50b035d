# SPDX-License-Identifier: Apache-2.0
"""A world to each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.controller.machine import Machine
from tests.controller.world import World

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def stocked() -> Iterator[Path]:
    """The data of a controller with a stock of everything, made once; in memory, because a transaction is flushed to
    the disk, and how busy that is says nothing about the code."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        data = Path(directory) / "stocked"
        world = World(data)
        world.stock()
        world.close()
        yield data


@pytest.fixture
def copy(stocked: Path) -> Iterator[Path]:
    """A copy of it for one test."""
    with TemporaryDirectory(dir=stocked.parent) as directory:
        yield Path(shutil.copytree(stocked, Path(directory) / "data"))


@pytest.fixture
def world(copy: Path) -> Iterator[World]:
    """A controller with a stock of everything, and no machine yet."""
    world = World(copy)
    yield world
    world.close()


@pytest.fixture
def made(copy: Path) -> Iterator[Callable[..., World]]:
    """Makes a controller with options of its own, on the same stock."""
    worlds: list[World] = []

    def make(**options: Any) -> World:
        worlds.append(World(copy, **options))
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

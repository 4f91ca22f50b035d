# SPDX-License-Identifier: Apache-2.0
"""A controller, a keyboard, and the world around them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bmsctl.keyboard import Keyboard
from tests.controller.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A controller with a stock of everything, and no machine yet."""
    world = World(tmp_path / "data")
    world.stock()
    yield world
    world.close()


@pytest.fixture
def bmsctl(world: World) -> Keyboard:
    """`bmsctl` with the administrator's token."""
    return Keyboard(world)

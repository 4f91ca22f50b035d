# SPDX-License-Identifier: Apache-2.0
"""A controller, a keyboard, and the world around them."""

from __future__ import annotations

import pytest

from tests.bmsctl.keyboard import Keyboard
from tests.controller.conftest import copy, stocked, world
from tests.controller.world import World

__all__ = ["bmsctl", "copy", "stocked", "world"]


@pytest.fixture
def bmsctl(world: World) -> Keyboard:
    """`bmsctl` with the administrator's token."""
    return Keyboard(world)

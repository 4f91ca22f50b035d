# SPDX-License-Identifier: Apache-2.0
"""Worlds to test in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.network.world import Server, World, world


@pytest.fixture
def two(tmp_path: Path) -> Iterator[World]:
    """A world with two servers, both with their usual network."""
    with world(tmp_path, 2) as made:
        yield made


@pytest.fixture
def server(two: World) -> Server:
    """Its first server."""
    return two.servers[0]

# SPDX-License-Identifier: Apache-2.0
"""What is booted and deployed here: built once, or found in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import artifacts
from tests.machine.wired import Wired
from tests.machine.wired import wired as running


@pytest.fixture(scope="session")
def ramdisk() -> Path:
    """The folder with kernel and initrd."""
    return artifacts.ramdisk()


@pytest.fixture(scope="session")
def image() -> Path:
    """The sample image."""
    return artifacts.sample_image()


@pytest.fixture(scope="package")
def wired(ramdisk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wired]:
    """One guest for all tests of networks: each begins with what the one before left."""
    with running(tmp_path_factory.mktemp("wired"), ramdisk) as machine:
        yield machine

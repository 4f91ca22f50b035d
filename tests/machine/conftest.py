# SPDX-License-Identifier: Apache-2.0
"""What is booted and deployed here: built once, or found in the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import artifacts


@pytest.fixture(scope="session")
def ramdisk() -> Path:
    """The folder with kernel and initrd."""
    return artifacts.ramdisk()


@pytest.fixture(scope="session")
def image() -> Path:
    """The sample image."""
    return artifacts.sample_image()

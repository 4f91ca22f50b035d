# SPDX-License-Identifier: Apache-2.0
"""Memory bounds no image: a machine of 768 MiB gets one whose file alone is larger, measured as in tests/bench."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import artifacts
from tests.bench.small import deployed, large_qcow2

pytestmark = [pytest.mark.machine, pytest.mark.root, pytest.mark.ironic_long]

LEFT_KIB = 128 << 10


def test_an_image_larger_than_the_memory_is_deployed(tmp_path: Path) -> None:
    """It ends active, and at the worst moment a good part of the memory was still there."""
    ramdisk = artifacts.ramdisk()
    outcome = deployed(ramdisk, large_qcow2(tmp_path, ramdisk / "vmlinuz"))

    assert outcome.fault == ""
    assert outcome.lowest_kib is not None
    assert outcome.lowest_kib > LEFT_KIB

# SPDX-License-Identifier: Apache-2.0
"""Names that are there after a power cut: fsync of a file says nothing of its name (fsync(2), NOTES)."""

from __future__ import annotations

import os
from pathlib import Path


def settle(directory: Path) -> None:
    """All names in it are on the medium."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

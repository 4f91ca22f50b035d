# SPDX-License-Identifier: Apache-2.0
"""The linters, as tests: what they would refuse is not to be committed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.commands
@pytest.mark.parametrize("linter", ["ruff check", "ruff format --check --diff", "mypy"])
def test_linter(linter: str) -> None:
    """The linter finds nothing, with the configuration of pyproject.toml."""
    done = subprocess.run(
        [sys.executable, "-m", *linter.split()], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )

    assert done.returncode == 0, done.stdout + done.stderr

# SPDX-License-Identifier: Apache-2.0
"""A command that runs within the test's own process sends all logs to that command's standard error, which ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """Logs go where they went before."""
    yield
    structlog.reset_defaults()

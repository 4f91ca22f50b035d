# SPDX-License-Identifier: Apache-2.0
"""Calls are made by two ways, from this process and by the one beside it: what holds for one holds for both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.link.beside import beside


@pytest.fixture(params=[False, True], ids=["itself", "beside"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str | None]:
    """The socket of the other process; None: there is none."""
    if not request.param:
        yield None
        return
    with beside(tmp_path) as path:
        yield path

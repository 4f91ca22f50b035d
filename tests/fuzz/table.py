# SPDX-License-Identifier: Apache-2.0
"""THE TABLE: every parser of foreign bytes that there is, by name."""

from __future__ import annotations

from tests.fuzz import devices, filesystems, images, tables, texts, wire
from tests.fuzz.row import Row

PARTS = (devices, wire, tables, filesystems, images, texts)
ROWS: dict[str, Row] = {name: row for part in PARTS for name, row in part.ROWS.items()}

# SPDX-License-Identifier: Apache-2.0
"""An order that destroys names the disks that are known. Those that were given before name none, and are served so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Of an order under way nobody knows any more what was there."""
    op.add_column("assignments", sa.Column("disks", sa.Text))

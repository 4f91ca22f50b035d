# SPDX-License-Identifier: Apache-2.0
"""What a server's own OS says that its node is made of, beside what the ramdisk saw."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """It begins empty."""
    op.create_table(
        "os_inventories",
        sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), primary_key=True),
        sa.Column("inventory", sa.Text, nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
    )

# SPDX-License-Identifier: Apache-2.0
"""How each ramdisk's boot came about. Nothing is known of those that were before; and tokens are found by their MAC."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """A machine with a BMC that has work to do in a ramdisk is booted anew by it."""
    op.add_column("nodes", sa.Column("boot_order", sa.Text))
    op.add_column("nodes", sa.Column("asked_at", sa.DateTime(timezone=True)))
    for table in ("tokens", "sessions", "certificates"):
        op.add_column(table, sa.Column("boot", sa.Text, nullable=False, server_default="own"))
    op.create_index("ix_tokens_mac", "tokens", ["mac"])

# SPDX-License-Identifier: Apache-2.0
"""Validations of nodes' hardware, and what was found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """It begins empty."""
    op.create_table(
        "validations",
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False, index=True),
        sa.Column("order", sa.Text, nullable=False),
        sa.Column("ordered_by", sa.Text, nullable=False),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("found", sa.Text),
    )

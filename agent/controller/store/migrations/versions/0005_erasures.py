# SPDX-License-Identifier: Apache-2.0
"""Certificates of erasure, and disks in quarantine. Of what was erased before there are none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Both begin empty."""
    op.create_table(
        "certificates",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False, index=True),
        sa.Column("signed", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "quarantined",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False, index=True),
        sa.Column("disk", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_by", sa.Text),
        sa.Column("accepted_at", sa.DateTime(timezone=True)),
    )

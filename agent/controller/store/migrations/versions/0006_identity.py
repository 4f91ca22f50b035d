# SPDX-License-Identifier: Apache-2.0
"""Nodes' own keys, and operators' enrolment tokens. Credentials that are there are bound when they are next used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Nodes that are there were taken in before, and go on."""
    op.add_column("nodes", sa.Column("fingerprint", sa.Text))
    op.add_column("nodes", sa.Column("revoked", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("nodes", sa.Column("rack", sa.Text))
    op.add_column("tokens", sa.Column("public_key", sa.Text))
    op.add_column("credentials", sa.Column("public_key", sa.Text))
    op.create_table(
        "passes",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("mac", sa.Text),
        sa.Column("rack", sa.Text),
        sa.Column("left", sa.Integer, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
    )

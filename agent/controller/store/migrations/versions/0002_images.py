# SPDX-License-Identifier: Apache-2.0
"""Images of every format, with other digests, mirrors and credentials; imports; deploys that read the medium back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """What is there already is active, open, and was not read back."""
    with op.batch_alter_table("images") as images:  # SQLite alters by copying
        images.alter_column("sha256", existing_type=sa.Text, nullable=True)
        images.add_column(sa.Column("status", sa.Text, nullable=False, server_default="active"))
        images.add_column(sa.Column("sector_bytes", sa.Integer))
        images.add_column(sa.Column("mirrors", sa.Text, nullable=False, server_default="[]"))
        images.add_column(sa.Column("sha512", sa.Text))
        images.add_column(sa.Column("checksums", sa.Text))
        images.add_column(sa.Column("access", sa.Text, nullable=False, server_default="{}"))
        images.add_column(sa.Column("fault", sa.Text))
    op.create_index("ix_images_sha256", "images", ["sha256"])
    op.add_column("jobs", sa.Column("verify", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "imports",
        sa.Column("image_id", sa.Text, sa.ForeignKey("images.id"), primary_key=True),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("access", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text),
        sa.Column("sha512", sa.Text),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("doing", sa.Text, nullable=False),
        sa.Column("done_bytes", sa.BigInteger, nullable=False),
        sa.Column("total_bytes", sa.BigInteger),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=False),
    )

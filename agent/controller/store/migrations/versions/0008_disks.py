# SPDX-License-Identifier: Apache-2.0
"""Disks in quarantine are known by their WWN, too, in whichever node. Of those that are, the name alone is known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """They stay in quarantine."""
    op.add_column("quarantined", sa.Column("wwn", sa.Text))

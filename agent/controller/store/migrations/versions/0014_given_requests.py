# SPDX-License-Identifier: Apache-2.0
"""Requests as they were given. Those that were given before this are composed anew, as they always were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Nothing is known of them."""
    op.add_column("assignments", sa.Column("given", sa.Text))

# SPDX-License-Identifier: Apache-2.0
"""Whether another disk had the name of one in quarantine: its erasure says nothing of this one. Of those from before
nobody knows; they are taken for the only ones of their names.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """They stay in quarantine."""
    op.add_column("quarantined", sa.Column("shared", sa.Boolean))

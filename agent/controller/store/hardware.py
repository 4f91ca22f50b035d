# SPDX-License-Identifier: Apache-2.0
"""The table of what was found of hardware: the rest of the schema is in `schema.py`."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Table, Text

from agent.controller.records.validation import ValidationOrder
from agent.controller.store.columns import Document, Utc
from agent.controller.store.schema import METADATA
from agent.model.validation import Validated

VALIDATIONS = Table(
    "validations",
    METADATA,
    Column("job_id", Text, ForeignKey("jobs.id"), primary_key=True),
    Column("node_id", Text, ForeignKey("nodes.id"), nullable=False, index=True),
    Column("order", Document(ValidationOrder), nullable=False),
    Column("ordered_by", Text, nullable=False),
    Column("ordered_at", Utc, nullable=False),
    Column("found", Document(Validated)),
)

# SPDX-License-Identifier: Apache-2.0
"""The tables of what was found of hardware, and of what an OS says of it: the rest of the schema is in `schema.py`."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Table, Text

from agent.controller.records.validation import ValidationOrder
from agent.controller.store.columns import Document, Utc
from agent.controller.store.schema import METADATA
from agent.model.inventory import Inventory
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

OS_INVENTORIES = Table(
    "os_inventories",
    METADATA,
    Column("node_id", Text, ForeignKey("nodes.id"), primary_key=True),
    Column("inventory", Document(Inventory), nullable=False),
    Column("taken_at", Utc, nullable=False),
)

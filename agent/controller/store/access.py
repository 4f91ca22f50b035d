# SPDX-License-Identifier: Apache-2.0
"""The tables of who may do what, and of what was done: the rest of the schema is in `schema.py`."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Integer, Table, Text

from agent.controller.records.access import Role
from agent.controller.records.approval import Decision, Destructive
from agent.controller.store.columns import Utc, Word
from agent.controller.store.schema import METADATA

USERS = Table(
    "users",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("role", Word(Role), nullable=False),
    Column("project", Text),
    Column("created_at", Utc, nullable=False),
)

API_TOKENS = Table(
    "api_tokens",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("user", Text, ForeignKey("users.name"), nullable=False, index=True),
    Column("role", Word(Role), nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False),
    Column("revoked_at", Utc),
    Column("used_at", Utc),
)

AUDIT = Table(  # the migration makes triggers, too: a row that is there is never changed nor deleted
    "audit",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("at", Utc, nullable=False),
    Column("who", Text, nullable=False),
    Column("role", Word(Role), nullable=False),
    Column("project", Text, index=True),
    Column("token_id", Text),
    Column("address", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("subject", Text),
    Column("refused", Text),
)

APPROVALS = Table(
    "approvals",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("order", Word(Destructive), nullable=False),
    Column("subject_id", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("verify", Boolean, nullable=False),
    Column("project", Text),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False),
    Column("decision", Word(Decision)),
    Column("decided_by", Text),
    Column("decided_at", Utc),
)

PASSES = Table(
    "passes",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("mac", Text),
    Column("rack", Text),
    Column("left", Integer, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False),
    Column("revoked_at", Utc),
)

# SPDX-License-Identifier: Apache-2.0
"""Alembic's entry: runs the migrations on the connection that `store/database.py` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from agent.controller.store.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()

# SPDX-License-Identifier: Apache-2.0
"""VPCs told apart by VLAN or VXLAN, routes of subnets, security groups, EIPs, bonds; deploys with their network."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
DEFAULT_RULES = {
    "default-out-4": '{"direction": "out", "version": 4}',
    "default-out-6": '{"direction": "out", "version": 6}',
    "default-in-4": '{"direction": "in", "version": 4, "remote_group": "default"}',
    "default-in-6": '{"direction": "in", "version": 6, "remote_group": "default"}',
}


def upgrade() -> None:
    """VPCs that are there are flat; ports that are there are in no group, and not filtered, as they were."""
    _vpcs()
    op.add_column("subnets", sa.Column("routes", sa.Text, nullable=False, server_default="[]"))
    op.add_column("subnets", sa.Column("routed", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("flavors", sa.Column("bond", sa.Text))
    op.add_column("servers", sa.Column("bond", sa.Text))
    op.add_column("servers", sa.Column("drift", sa.Text, nullable=False, server_default="correct"))
    op.add_column("ports", sa.Column("security_groups", sa.Text, nullable=False, server_default="[]"))
    op.add_column("assignments", sa.Column("network", sa.Text))
    _groups()
    op.create_table(
        "detached",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("server_id", sa.Text, sa.ForeignKey("servers.id"), nullable=False, index=True),
        sa.Column("subnet_id", sa.Text, sa.ForeignKey("subnets.id"), nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.UniqueConstraint("subnet_id", "address"),
    )
    op.create_table(
        "eips",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("address", sa.Text, nullable=False, unique=True),
        sa.Column("bandwidth_mbps", sa.Integer, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("port_id", sa.Text, sa.ForeignKey("ports.id"), unique=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )


def _vpcs() -> None:
    """Each is given a number of its own."""
    op.add_column("vpcs", sa.Column("segment", sa.Text, nullable=False, server_default="flat"))
    op.add_column("vpcs", sa.Column("segment_id", sa.Integer))
    op.add_column("vpcs", sa.Column("number", sa.Integer, nullable=False, server_default="0"))
    vpcs, connection = sa.table("vpcs", sa.column("id"), sa.column("number")), op.get_bind()
    for number, row in enumerate(connection.execute(sa.select(vpcs.c.id).order_by(vpcs.c.id)).all(), 1):
        connection.execute(sa.update(vpcs).where(vpcs.c.id == row.id).values(number=number))
    op.create_index("ix_vpcs_segment", "vpcs", ["segment", "segment_id"], unique=True)
    op.create_index("ix_vpcs_number", "vpcs", ["number"], unique=True)


def _groups() -> None:
    """With the default group: everything out, and in from the group itself."""
    groups = op.create_table(
        "security_groups",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    rules = op.create_table(
        "security_rules",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("group_id", sa.Text, sa.ForeignKey("security_groups.id"), nullable=False, index=True),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    now = datetime.now(UTC)
    op.bulk_insert(groups, [{"id": "default", "name": "default", "created_at": now}])
    common = {"group_id": "default", "created_at": now}
    op.bulk_insert(rules, [{"id": key, "rule": rule, **common} for key, rule in DEFAULT_RULES.items()])

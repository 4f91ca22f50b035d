# SPDX-License-Identifier: Apache-2.0
"""The first schema. A released migration is never changed: what comes later is a new file."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """From nothing."""
    _nodes()
    _agents()
    _catalogue()
    _networks()
    _servers()
    _jobs()


def _nodes() -> None:
    op.create_table(
        "nodes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("identity", sa.Text, nullable=False, unique=True),
        sa.Column("boot_mac", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("maintenance", sa.Boolean, nullable=False),
        sa.Column("clean", sa.Boolean, nullable=False),
        sa.Column("boot_target", sa.Text, nullable=False),
        sa.Column("power", sa.Text, nullable=False),
        sa.Column("bmc", sa.Text),
        sa.Column("fault", sa.Text),
        sa.Column("server_id", sa.Text, unique=True),
        sa.Column("job_id", sa.Text),
        sa.Column("session_id", sa.Text),
        sa.Column("controller_url", sa.Text, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("desired_digest", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "node_macs",
        sa.Column("mac", sa.Text, primary_key=True),
        sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False, index=True),
    )
    op.create_table(
        "inventories",
        sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), primary_key=True),
        sa.Column("inventory", sa.Text, nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
    )


def _agents() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False, index=True),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("boot_id", sa.Text, nullable=False),
        sa.Column("agent_version", sa.Text, nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True)),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("applied_generation", sa.Integer, nullable=False),
        sa.Column("network", sa.Text),
        sa.Column("progress", sa.Text),
        sa.Column("problems", sa.Text, nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("mac", sa.Text, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("boot_id", sa.Text),
        sa.Column("identity", sa.Text),
    )
    op.create_table(
        "credentials",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False, index=True),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text),
    )
    op.create_table(
        "streams",
        sa.Column("stream_id", sa.Text, primary_key=True),
        sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False),
        sa.Column("acknowledged", sa.Integer, nullable=False),
    )


def _catalogue() -> None:
    op.create_table(
        "flavors",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("cpu_arch", sa.Text, nullable=False),
        sa.Column("cores", sa.Integer, nullable=False),
        sa.Column("ram_mb", sa.Integer, nullable=False),
        sa.Column("disks", sa.Integer, nullable=False),
        sa.Column("disk_gb", sa.Integer, nullable=False),
        sa.Column("disk_media", sa.Text),
        sa.Column("nics", sa.Integer, nullable=False),
        sa.Column("nic_mbps", sa.Integer),
        sa.Column("firmware", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "images",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("min_disk_gb", sa.Integer, nullable=False),
        sa.Column("firmware", sa.Text, nullable=False),
        sa.Column("agent", sa.Boolean),
        sa.Column("url", sa.Text),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("file_bytes", sa.BigInteger),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "keypairs",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("public_key", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )


def _networks() -> None:
    op.create_table(
        "vpcs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("cidr", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "subnets",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("vpc_id", sa.Text, sa.ForeignKey("vpcs.id"), nullable=False),
        sa.Column("cidr", sa.Text, nullable=False),
        sa.Column("gateway", sa.Text, nullable=False),
        sa.Column("dns", sa.Text, nullable=False),
        sa.Column("mtu", sa.Integer),
        sa.Column("dhcp", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )


def _servers() -> None:
    op.create_table(
        "servers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("task_state", sa.Text),
        sa.Column("flavor_id", sa.Text, nullable=False),
        sa.Column("image_id", sa.Text, nullable=False),
        sa.Column("key_name", sa.Text),
        sa.Column("user_data", sa.Text),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("root_device", sa.Text),
        sa.Column("disk", sa.Text, nullable=False),
        sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id")),
        sa.Column("job_id", sa.Text),
        sa.Column("owns_disk", sa.Boolean, nullable=False),
        sa.Column("deploy_id", sa.Text),
        sa.Column("phone_home", sa.Text),
        sa.Column("boot_proof", sa.Text),
        sa.Column("machine_id", sa.Text),
        sa.Column("fault", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("launched_at", sa.DateTime(timezone=True)),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "ports",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("server_id", sa.Text, sa.ForeignKey("servers.id"), nullable=False, index=True),
        sa.Column("subnet_id", sa.Text, sa.ForeignKey("subnets.id"), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("mac", sa.Text, nullable=False),
        sa.Column("address", sa.Text),
        sa.UniqueConstraint("subnet_id", "address"),
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("hard", sa.Boolean, nullable=False),
        sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False),
        sa.Column("server_id", sa.Text, sa.ForeignKey("servers.id"), index=True),
        sa.Column("status", sa.Text, nullable=False, index=True),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("phase_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("boot_id", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("power_wanted", sa.Text),
        sa.Column("power_at", sa.DateTime(timezone=True)),
        sa.Column("fault", sa.Text),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "phases",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), nullable=False, index=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "assignments",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), nullable=False, index=True),
        sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False),
        sa.Column("verb", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("overwrite", sa.Boolean, nullable=False),
        sa.Column("boot_id", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )

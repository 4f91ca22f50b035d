# SPDX-License-Identifier: Apache-2.0
"""The tables. A column stands for the record's field of the same name; `migrations/` brings old files to this."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint

from agent.controller.records.image import ImageSpec, ImageStatus, ImportStep
from agent.controller.records.job import AssignmentState, JobStatus, Operation, Reset, Stage
from agent.controller.records.network import Segment, SubnetRoute
from agent.controller.records.node import Bmc, Boot, BootTarget, NodeState, Power
from agent.controller.records.server import PinnedBond, PinnedDisk, ServerFault, ServerStatus, TaskState
from agent.controller.store.columns import Document, Utc, Word
from agent.model.disk import DiskIdentity, RootDeviceHints
from agent.model.erasing.certificate import SignedCertificate
from agent.model.fault import Fault
from agent.model.flavor import Media
from agent.model.frozen import Secret
from agent.model.image import Access, ImageFormat
from agent.model.inventory import Inventory
from agent.model.job import Progress
from agent.model.network import DriftPolicy, EipMode, NetworkConfig, NetworkState, SecurityRule
from agent.model.system import FirmwareMode

METADATA = MetaData()

NODES = Table(
    "nodes",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("identity", Text, nullable=False, unique=True),
    Column("boot_mac", Text, nullable=False),
    Column("state", Word(NodeState), nullable=False),
    Column("maintenance", Boolean, nullable=False),
    Column("clean", Boolean, nullable=False),
    Column("boot_target", Word(BootTarget), nullable=False),
    Column("boot_order", Word(Boot)),
    Column("asked_at", Utc),
    Column("power", Word(Power), nullable=False),
    Column("bmc", Document(Bmc)),
    Column("fault", Document(Fault)),
    Column("server_id", Text, unique=True),
    Column("job_id", Text),
    Column("session_id", Text),
    Column("fingerprint", Text),
    Column("revoked", Boolean, nullable=False),
    Column("rack", Text),
    Column("controller_url", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("desired_digest", Text, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("updated_at", Utc, nullable=False),
)

NODE_MACS = Table(
    "node_macs",
    METADATA,
    Column("mac", Text, primary_key=True),
    Column("node_id", Text, ForeignKey("nodes.id"), nullable=False, index=True),
)

INVENTORIES = Table(
    "inventories",
    METADATA,
    Column("node_id", Text, ForeignKey("nodes.id"), primary_key=True),
    Column("inventory", Document(Inventory), nullable=False),
    Column("taken_at", Utc, nullable=False),
)

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("session_id", Text, primary_key=True),
    Column("node_id", Text, ForeignKey("nodes.id"), nullable=False, index=True),
    Column("mode", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("agent_version", Text, nullable=False),
    Column("boot", Word(Boot), nullable=False),
    Column("opened_at", Utc, nullable=False),
    Column("seen_at", Utc, nullable=False),
    Column("heartbeat_at", Utc),
    Column("sequence", Integer, nullable=False),
    Column("applied_generation", Integer, nullable=False),
    Column("network", Document(NetworkState)),
    Column("progress", Document(Progress)),
    Column("problems", Document(tuple[Fault, ...]), nullable=False),
)

TOKENS = Table(
    "tokens",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("mac", Text, nullable=False, index=True),
    Column("expires_at", Utc, nullable=False),
    Column("boot_id", Text),
    Column("identity", Text),
    Column("public_key", Text),
    Column("boot", Word(Boot), nullable=False),
)

CREDENTIALS = Table(
    "credentials",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("node_id", Text, ForeignKey("nodes.id"), nullable=False, index=True),
    Column("mode", Text, nullable=False),
    Column("request_id", Text),
    Column("public_key", Text),
)

STREAMS = Table(
    "streams",
    METADATA,
    Column("stream_id", Text, primary_key=True),
    Column("node_id", Text, ForeignKey("nodes.id"), nullable=False),
    Column("acknowledged", Integer, nullable=False),
)

FLAVORS = Table(
    "flavors",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("cpu_arch", Text, nullable=False),
    Column("cores", Integer, nullable=False),
    Column("ram_mb", Integer, nullable=False),
    Column("disks", Integer, nullable=False),
    Column("disk_gb", Integer, nullable=False),
    Column("disk_media", Word(Media)),
    Column("nics", Integer, nullable=False),
    Column("nic_mbps", Integer),
    Column("firmware", Word(FirmwareMode)),
    Column("bond", Text),
    Column("created_at", Utc, nullable=False),
)

IMAGES = Table(
    "images",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("format", Word(ImageFormat), nullable=False),
    Column("status", Word(ImageStatus), nullable=False),
    Column("min_disk_gb", Integer, nullable=False),
    Column("firmware", Text, nullable=False),
    Column("sector_bytes", Integer),
    Column("agent", Boolean),
    Column("url", Text),
    Column("mirrors", Document(tuple[str, ...]), nullable=False),
    Column("sha256", Text, index=True),
    Column("sha512", Text),
    Column("checksums", Text),
    Column("access", Document(Access), nullable=False),
    Column("file_bytes", BigInteger),
    Column("size_bytes", BigInteger),
    Column("fault", Document(Fault)),
    Column("project", Text, index=True),
    Column("created_at", Utc, nullable=False),
)

IMPORTS = Table(
    "imports",
    METADATA,
    Column("image_id", Text, ForeignKey("images.id"), primary_key=True),
    Column("step", Word(ImportStep), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("kind", Text),
    Column("file", Text, nullable=False),
    Column("url", Text),
    Column("access", Document(Access), nullable=False),
    Column("sha256", Text),
    Column("sha512", Text),
    Column("spec", Document(ImageSpec), nullable=False),
    Column("doing", Text, nullable=False),
    Column("done_bytes", BigInteger, nullable=False),
    Column("total_bytes", BigInteger),
    Column("ordered_at", Utc, nullable=False),
)

VPCS = Table(
    "vpcs",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("cidr", Word(IPv4Network), nullable=False),
    Column("segment", Word(Segment), nullable=False),
    Column("segment_id", Integer),
    Column("number", Integer, nullable=False),
    Column("project", Text, index=True),
    Column("created_at", Utc, nullable=False),
    Index("ix_vpcs_segment", "segment", "segment_id", unique=True),
    Index("ix_vpcs_number", "number", unique=True),
)

SUBNETS = Table(
    "subnets",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("vpc_id", Text, ForeignKey("vpcs.id"), nullable=False),
    Column("cidr", Word(IPv4Network), nullable=False),
    Column("gateway", Word(IPv4Address), nullable=False),
    Column("dns", Document(tuple[IPv4Address, ...]), nullable=False),
    Column("mtu", Integer),
    Column("dhcp", Boolean, nullable=False),
    Column("routes", Document(tuple[SubnetRoute, ...]), nullable=False),
    Column("routed", Boolean, nullable=False),
    Column("project", Text, index=True),
    Column("created_at", Utc, nullable=False),
)

SECURITY_GROUPS = Table(
    "security_groups",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("project", Text, index=True),
    Column("created_at", Utc, nullable=False),
)

SECURITY_RULES = Table(
    "security_rules",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("group_id", Text, ForeignKey("security_groups.id"), nullable=False, index=True),
    Column("rule", Document(SecurityRule), nullable=False),
    Column("created_at", Utc, nullable=False),
)

KEYPAIRS = Table(
    "keypairs",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("public_key", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("project", Text, index=True),
    Column("created_at", Utc, nullable=False),
)

SERVERS = Table(
    "servers",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("status", Word(ServerStatus), nullable=False),
    Column("task_state", Word(TaskState)),
    Column("flavor_id", Text, nullable=False),
    Column("image_id", Text, nullable=False),
    Column("key_name", Text),
    Column("user_data", Document(Secret)),
    Column("metadata", Document(dict[str, str]), nullable=False),
    Column("root_device", Document(RootDeviceHints)),
    Column("disk", Document(PinnedDisk), nullable=False),
    Column("bond", Document(PinnedBond)),
    Column("drift", Word(DriftPolicy), nullable=False),
    Column("node_id", Text, ForeignKey("nodes.id")),
    Column("job_id", Text),
    Column("owns_disk", Boolean, nullable=False),
    Column("deploy_id", Text),
    Column("phone_home", Text),
    Column("boot_proof", Text),
    Column("machine_id", Text),
    Column("fault", Document(ServerFault)),
    Column("project", Text, index=True),
    Column("created_at", Utc, nullable=False),
    Column("updated_at", Utc, nullable=False),
    Column("launched_at", Utc),
    Column("deleted_at", Utc),
)

PORTS = Table(
    "ports",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("server_id", Text, ForeignKey("servers.id"), nullable=False, index=True),
    Column("subnet_id", Text, ForeignKey("subnets.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("mac", Text, nullable=False),
    Column("address", Text),
    Column("security_groups", Document(tuple[str, ...]), nullable=False),
    UniqueConstraint("subnet_id", "address"),
)

DETACHED = Table(
    "detached",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("server_id", Text, ForeignKey("servers.id"), nullable=False, index=True),
    Column("subnet_id", Text, ForeignKey("subnets.id"), nullable=False),
    Column("address", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    UniqueConstraint("subnet_id", "address"),
)

EIPS = Table(
    "eips",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("address", Word(IPv4Address), nullable=False, unique=True),
    Column("bandwidth_mbps", Integer, nullable=False),
    Column("mode", Word(EipMode), nullable=False),
    Column("port_id", Text, ForeignKey("ports.id"), unique=True),
    Column("project", Text, index=True),
    Column("created_at", Utc, nullable=False),
)

JOBS = Table(
    "jobs",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("operation", Word(Operation), nullable=False),
    Column("hard", Boolean, nullable=False),
    Column("node_id", Text, ForeignKey("nodes.id"), nullable=False),
    Column("server_id", Text, ForeignKey("servers.id"), index=True),
    Column("status", Word(JobStatus), nullable=False, index=True),
    Column("stage", Word(Stage), nullable=False),
    Column("phase", Text, nullable=False),
    Column("phase_at", Utc, nullable=False),
    Column("verify", Boolean, nullable=False),
    Column("boot_id", Text),
    Column("request_id", Text),
    Column("power_wanted", Word(Reset)),
    Column("power_at", Utc),
    Column("fault", Document(Fault)),
    Column("begun_at", Utc, nullable=False),
    Column("ended_at", Utc),
)

PHASES = Table(
    "phases",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("began_at", Utc, nullable=False),
    Column("ended_at", Utc),
)

CERTIFICATES = Table(
    "certificates",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("node_id", Text, ForeignKey("nodes.id"), nullable=False, index=True),
    Column("signed", Document(SignedCertificate), nullable=False),
    Column("session_id", Text),
    Column("boot", Word(Boot), nullable=False),
    Column("received_at", Utc, nullable=False),
)

QUARANTINED = Table(
    "quarantined",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("node_id", Text, ForeignKey("nodes.id"), nullable=False, index=True),
    Column("disk", Text, nullable=False),
    Column("wwn", Text),
    Column("why", Text, nullable=False),
    Column("since", Utc, nullable=False),
    Column("shared", Boolean),
    Column("accepted_by", Text),
    Column("accepted_at", Utc),
)

ASSIGNMENTS = Table(
    "assignments",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.id"), nullable=False, index=True),
    Column("node_id", Text, ForeignKey("nodes.id"), nullable=False),
    Column("verb", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("overwrite", Boolean, nullable=False),
    Column("network", Document(NetworkConfig)),
    Column("disks", Document(tuple[DiskIdentity, ...])),
    Column("boot_id", Text),
    Column("given", Text),
    Column("state", Word(AssignmentState), nullable=False),
    Column("created_at", Utc, nullable=False),
)

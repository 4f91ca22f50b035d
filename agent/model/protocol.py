# SPDX-License-Identifier: Apache-2.0
"""The wire between agent and controller, version 1. The agent always calls; the controller answers.

    POST /v1/agent/enroll     Enroll       -> Enrolled         ramdisk, once a boot, with the boot's one-time token
    POST /v1/agent/boot       BootProof    -> Booted           installed OS, once a start, with the nonce
    POST /v1/agent/certificate CertificateRequest -> NodeCertificate   over TLS, again before it ends
    POST /v1/agent/inventory  Inventory    -> Acknowledged
    POST /v1/agent/heartbeat  Heartbeat    -> HeartbeatAnswer
    GET  /v1/agent/desired?generation=N&wait_s=S -> Desired    long poll: answers when it is newer than N, or after S
    POST /v1/agent/reports    ReportBatch  -> ReportsAnswer

All but `enroll` carry `Authorization: Bearer <credential>`, and all are signed: `model/signature.py`. Over TLS each
connection is opened with the node's certificate; what may do without, `controller/flow/certify.py` says. A refusal is
`{"fault": Fault}` with a 4xx status. Everything is level-triggered: a message lost, doubled or out of order does no
harm.

A *session* is one run of the agent's process. `enroll` and `boot` open it; a heartbeat of another session than the
node's newest is acknowledged and ignored (`current: false`), and so is one whose sequence is not higher than the last.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from agent.model.bounds import MOST
from agent.model.fault import Fault
from agent.model.frozen import Frozen, Reply, Secret
from agent.model.inventory import Inventory
from agent.model.job import Progress, SequencedReport
from agent.model.network import NetworkConfig, NetworkState
from agent.model.pin import Pin
from agent.model.request import Request

Mode = Literal["ramdisk", "service"]
CERTIFICATE_PATH = "/v1/agent/certificate"
CERTIFICATE_CODE = "AGENT.CERTIFICATE"
"""Of the refusal after which an agent fetches a certificate, and calls again."""


class Session(Frozen):
    """Which run of which program speaks."""

    session_id: str
    boot_id: str = Field(description="/proc/sys/kernel/random/boot_id")
    mode: Mode
    agent_version: str


class Enroll(Frozen):
    """A machine in its ramdisk asks to be taken in. Repeating it within one boot is allowed and changes nothing."""

    session: Session
    token: Secret | None = None
    boot_mac: str | None = None
    inventory: Inventory


class Enrolled(Reply):
    """Whose the machine is from now on."""

    node_id: str
    credential: Secret


class BootProof(Frozen):
    """The installed OS says that it is the one that was ordered."""

    session: Session
    nonce: Secret
    machine_id: str
    hostname: str
    root_disk_wwn: str | None = None
    root_disk_serial: str | None = None
    hardware: tuple[str, ...] = Field(default=(), description="smbios:<uuid>, mac:<mac> … of the machine it runs on")


class Booted(Reply):
    """The proof was taken."""

    server_id: str


class CertificateRequest(Frozen):
    """A certificate of this key is asked for, by which connections of the node are opened. The call is signed with the
    node's own."""

    public_key: str = Field(pattern=r"^[A-Za-z0-9+/]{43}=$", description="Ed25519, base64")


class NodeCertificate(Reply):
    """The node's, from now on."""

    certificate: str = Field(max_length=16384, description="PEM")


class Heartbeat(Frozen):
    """Alive, and what is observed. `applied_generation` is the newest desired state that holds on this machine."""

    session: Session
    sequence: int = Field(ge=1, le=MOST)
    at: datetime
    applied_generation: int = Field(default=0, ge=0, le=MOST)
    network: NetworkState | None = None
    progress: Progress | None = None
    problems: tuple[Fault, ...] = ()


class HeartbeatAnswer(Reply):
    """`current` is false for a heartbeat that is late, doubled, or of a run that is over."""

    current: bool
    generation: int = 0


class Desired(Frozen):
    """What the node shall be. `generation` rises with each change and never falls."""

    generation: int = Field(ge=0)
    node_id: str
    request: Request | None = None
    network: NetworkConfig | None = None


class ReportBatch(Frozen):
    """Reports of one outbox (`stream_id`), in order."""

    stream_id: str
    reports: tuple[SequencedReport, ...]


class ReportsAnswer(Reply):
    """Every report of the stream up to and with this sequence is stored."""

    acknowledged: int


class Acknowledged(Reply):
    """Taken."""


class ServiceIdentity(Frozen):
    """`bms-agent/service.json` on the config drive: who the installed OS is, and whom it reports to."""

    controller_url: str
    node_id: str
    server_id: str
    credential: Secret
    nonce: Secret
    network: NetworkConfig
    ca: Pin | None = None


class Admission(Reply):
    """As whom this machine's agent speaks, and to whom: kept by the ramdisk, and part of a `ServiceIdentity`."""

    controller_url: str
    node_id: str
    credential: Secret
    ca: Pin | None = None


class Refusal(Reply):
    """Body of every 4xx and 5xx answer."""

    fault: Fault

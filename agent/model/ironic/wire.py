# SPDX-License-Identifier: Apache-2.0
"""What Ironic and its agent tell each other. What Ironic says may have more fields than are named here.

Sources: ironic/api/controllers/v1/ramdisk.py (lookup, heartbeat), ironic/drivers/modules/agent_client.py (commands).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from agent.model.frozen import Frozen, Reply, Secret

MASKED = "******"
"""What Ironic says in place of a token that it has handed out before."""
MASTER = "generic_hardware_manager"
VERSION = "1.2"
"""Ironic keeps name and version of who named the steps; these are IPA's, so that a node may change its ramdisk."""


class Node(Reply):
    """A node as Ironic tells its agent of it: in a lookup only part of it, with a command all."""

    uuid: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    properties: dict[str, Any] = Field(default_factory=dict)
    instance_info: dict[str, Any] = Field(default_factory=dict)
    driver_info: dict[str, Any] = Field(default_factory=dict)
    driver_internal_info: dict[str, Any] = Field(default_factory=dict)
    raid_config: dict[str, Any] | None = None
    target_raid_config: dict[str, Any] | None = None


class LookupConfig(Reply):
    """How Ironic wants its agent to be."""

    heartbeat_timeout: float = Field(default=300.0, gt=0, description="seconds after which we count as gone")
    agent_token: Secret | None = None
    agent_skip_bmc_detect: bool = False
    tls_min_version: Literal["1.2", "1.3"] | None = None
    tls_cipher_suites: str | None = None


class Lookup(Reply):
    """The answer to a lookup."""

    node: Node
    config: LookupConfig = LookupConfig()


class Inspected(Reply):
    """The answer to an inspection."""

    uuid: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")


class FaultString(Reply):
    """What is wrong, in Ironic's words."""

    faultstring: str


class Refusal(Reply):
    """An answer that says no: mostly the text of another JSON document."""

    error_message: FaultString | str


class Beat(Frozen):
    """A heartbeat. Ironic keeps `callback_url` and `agent_verify_ca`, and refuses others within one boot."""

    callback_url: str
    agent_token: Secret
    agent_version: str
    agent_verify_ca: str
    agent_status_message: str | None = None


class Status(StrEnum):
    """Of a command."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CLEAN_VERSION_MISMATCH = "CLEAN_VERSION_MISMATCH"


class CommandError(Frozen):
    """Ironic shows `details`."""

    type: str
    code: int = 500
    message: str
    details: str


class CommandResult(Frozen):
    """A command and what it came to: these five fields, whatever happens. `command_name` is without its extension."""

    id: str
    command_name: str
    command_status: Status = Status.RUNNING
    command_error: CommandError | None = None
    command_result: dict[str, Any] | None = None


class StepAsked(Reply):
    """A step as Ironic wants it done. The same two names come back in the result: Ironic knows it by them."""

    interface: str
    step: str
    args: dict[str, Any] = Field(default_factory=dict)

# SPDX-License-Identifier: Apache-2.0
"""Jobs: what takes time. A job moves a server or a node, phase by phase, by requests that its agent is given."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from agent.model.disk import DiskIdentity
from agent.model.fault import Fault
from agent.model.frozen import Frozen
from agent.model.network import NetworkConfig


class Operation(StrEnum):
    """What a job is for."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    REBOOT = "reboot"
    REINSTALL = "reinstall"
    DELETE = "delete"
    CLEAN = "clean"
    VALIDATE = "validate"

    @property
    def deploys(self) -> bool:
        """It ends with an OS that says it has booted."""
        return self in (Operation.CREATE, Operation.REINSTALL)

    @property
    def erases(self) -> bool:
        """It ends with an erased node."""
        return self in (Operation.DELETE, Operation.CLEAN)


class JobStatus(StrEnum):
    """The cloud's words."""

    INIT = "INIT"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAIL = "FAIL"

    @property
    def final(self) -> bool:
        """Nothing more happens to it."""
        return self in (JobStatus.SUCCESS, JobStatus.FAIL)


class Stage(StrEnum):
    """What a job needs next of the machine."""

    RAMDISK = "ramdisk"
    """to be in its ramdisk and carry out the request there"""
    BOOT = "boot"
    """to boot from its disk and say so"""
    OS = "os"
    """its installed OS, to leave the way it was asked to"""
    OFF = "off"
    """to be switched off"""


class Reset(StrEnum):
    """What a BMC can be told (Redfish ResetType)."""

    ON = "On"
    FORCE_OFF = "ForceOff"
    FORCE_RESTART = "ForceRestart"


class Job(Frozen):
    """A job. `boot_id` is the boot that was running when it was ordered: a proof from that one proves nothing new."""

    id: str
    operation: Operation
    hard: bool = False
    node_id: str
    server_id: str | None = None
    status: JobStatus = JobStatus.INIT
    stage: Stage
    phase: str = ""
    phase_at: datetime
    verify: bool = Field(default=False, description="a deploy reads the medium back")
    boot_id: str | None = None
    request_id: str | None = None
    power_wanted: Reset | None = Field(default=None, description="what its BMC is to be told next")
    power_at: datetime | None = Field(default=None, description="when its BMC was last told something")
    fault: Fault | None = None
    begun_at: datetime
    ended_at: datetime | None = None


class Phase(Frozen):
    """A line of a job's timeline."""

    id: str
    job_id: str
    position: int
    name: str
    began_at: datetime
    ended_at: datetime | None = None


class AssignmentState(StrEnum):
    """What became of a request."""

    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABANDONED = "abandoned"
    """the machine was restarted in the middle, or the user wanted something else"""


class Assignment(Frozen):
    """A request as it was given to a node. `boot_id` is the boot that took it: no other may answer it."""

    request_id: str
    job_id: str
    node_id: str
    verb: str
    attempt: int
    overwrite: bool = False
    network: NetworkConfig | None = Field(
        default=None, description="of a deploy, as it was when it was given: one request is never two"
    )
    disks: tuple[DiskIdentity, ...] | None = Field(
        default=None, description="of what destroys: the machine's own, as its ramdisk has listed them; None: not known"
    )
    boot_id: str | None = None
    given: str | None = Field(
        default=None,
        repr=False,
        description="the whole request, sealed, as that boot was given it: whatever becomes of what it was made of, or "
        "of the program that made it, one id is one request; None: it was not, or its job is over",
    )
    state: AssignmentState = AssignmentState.OPEN
    created_at: datetime

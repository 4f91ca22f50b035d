# SPDX-License-Identifier: Apache-2.0
"""The state tables of servers and nodes: every legal move, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from agent.controller.records.node import NodeState
from agent.controller.records.server import ServerStatus, TaskState
from agent.controller.refusal import (
    AlreadyRunning,
    AlreadyStopped,
    Busy,
    NotAllowed,
    PoweringOff,
    PoweringOn,
    Rebooting,
    Refused,
)


class ServerEvent(StrEnum):
    """What can happen to a server."""

    START_ORDERED = "start"
    STOP_ORDERED = "stop"
    REBOOT_ORDERED = "reboot"
    HARD_REBOOT_ORDERED = "reboot (hard)"
    REINSTALL_ORDERED = "reinstall"
    DELETE_ORDERED = "delete"
    BOOT_PROVEN = "boot proven"
    STOPPED = "stopped"
    FAILED = "failed"
    ERASED = "erased"


_S = ServerStatus
_LIVING = tuple(status for status in ServerStatus if status is not ServerStatus.DELETED)

SERVER_MOVES: Mapping[tuple[ServerStatus, ServerEvent], ServerStatus] = {
    (_S.SHUTOFF, ServerEvent.START_ORDERED): _S.SHUTOFF,
    (_S.ACTIVE, ServerEvent.STOP_ORDERED): _S.ACTIVE,
    (_S.ACTIVE, ServerEvent.REBOOT_ORDERED): _S.REBOOT,
    (_S.ACTIVE, ServerEvent.HARD_REBOOT_ORDERED): _S.HARD_REBOOT,
    (_S.ACTIVE, ServerEvent.REINSTALL_ORDERED): _S.SHUTOFF,
    (_S.SHUTOFF, ServerEvent.REINSTALL_ORDERED): _S.SHUTOFF,
    (_S.ERROR, ServerEvent.REINSTALL_ORDERED): _S.SHUTOFF,
    (_S.ACTIVE, ServerEvent.STOPPED): _S.SHUTOFF,
    **{(status, ServerEvent.DELETE_ORDERED): status for status in _LIVING},
    **{(status, ServerEvent.BOOT_PROVEN): _S.ACTIVE for status in _LIVING},
    **{(status, ServerEvent.FAILED): _S.ERROR for status in _LIVING},
    **{(status, ServerEvent.ERASED): _S.DELETED for status in _LIVING},
}
"""`BOOT_PROVEN` is the truth whatever we believed before: the OS that was ordered runs. (While a delete is under way
the flows do not raise it.) `FAILED` may strike at any time; nothing leads out of DELETED."""

TASK_REFUSALS: Mapping[TaskState, type[Refused]] = {
    TaskState.BUILDING: Busy,
    TaskState.REBUILDING: Busy,
    TaskState.REBOOTING: Rebooting,
    TaskState.REBOOT_STARTED_HARD: Rebooting,
    TaskState.POWERING_OFF: PoweringOff,
    TaskState.POWERING_ON: PoweringOn,
    TaskState.DELETING: Busy,
}

STATUS_REFUSALS: Mapping[tuple[ServerStatus, ServerEvent], type[Refused]] = {
    (_S.ACTIVE, ServerEvent.START_ORDERED): AlreadyRunning,
    (_S.SHUTOFF, ServerEvent.STOP_ORDERED): AlreadyStopped,
}


def move_server(status: ServerStatus, event: ServerEvent) -> ServerStatus:
    """Where the event leads. Raises `Refused` (by its code) if the table has no such move."""
    if (status, event) not in SERVER_MOVES:
        refusal = STATUS_REFUSALS.get((status, event), NotAllowed)
        raise refusal(f"ordering {event.value}", f"the server is {status.value}")
    return SERVER_MOVES[status, event]


def refuse_busy(task: TaskState | None, event: ServerEvent) -> None:
    """Orders wait for each other, but a delete waits for nothing except a delete. Raises `Refused`."""
    if task is None or (event is ServerEvent.DELETE_ORDERED and task is not TaskState.DELETING):
        return
    raise TASK_REFUSALS[task](f"ordering {event.value}", f"the server is {task.value}")


class NodeEvent(StrEnum):
    """What can happen to a node."""

    APPROVED = "approve"
    TAKEN = "take for a server"
    REINSTALLED = "reinstall"
    BOOT_PROVEN = "boot proven"
    FAILED = "failed"
    RELEASED = "release"
    CLEAN_ORDERED = "clean"
    CLEANED = "cleaned"


_N = NodeState
NODE_MOVES: Mapping[tuple[NodeState, NodeEvent], NodeState] = {
    (_N.ENROLL, NodeEvent.APPROVED): _N.AVAILABLE,
    (_N.AVAILABLE, NodeEvent.TAKEN): _N.DEPLOYING,
    (_N.ACTIVE, NodeEvent.REINSTALLED): _N.DEPLOYING,
    (_N.ERROR, NodeEvent.REINSTALLED): _N.DEPLOYING,
    (_N.DEPLOYING, NodeEvent.BOOT_PROVEN): _N.ACTIVE,
    (_N.ACTIVE, NodeEvent.BOOT_PROVEN): _N.ACTIVE,
    (_N.ERROR, NodeEvent.BOOT_PROVEN): _N.ACTIVE,
    (_N.DEPLOYING, NodeEvent.FAILED): _N.ERROR,
    (_N.ACTIVE, NodeEvent.FAILED): _N.ERROR,
    (_N.CLEANING, NodeEvent.FAILED): _N.ERROR,
    (_N.DEPLOYING, NodeEvent.RELEASED): _N.CLEANING,
    (_N.ACTIVE, NodeEvent.RELEASED): _N.CLEANING,
    (_N.ERROR, NodeEvent.RELEASED): _N.CLEANING,
    (_N.AVAILABLE, NodeEvent.CLEAN_ORDERED): _N.CLEANING,
    (_N.ERROR, NodeEvent.CLEAN_ORDERED): _N.CLEANING,
    (_N.CLEANING, NodeEvent.CLEANED): _N.AVAILABLE,
}
"""A cleaning node never turns active: a proof that comes then is of an OS that is about to be erased."""


def move_node(state: NodeState, event: NodeEvent) -> NodeState:
    """Where the event leads. Raises `NotAllowed` if the table has no such move."""
    if (state, event) not in NODE_MOVES:
        raise NotAllowed(f"ordering {event.value}", f"the node is {state.value}")
    return NODE_MOVES[state, event]

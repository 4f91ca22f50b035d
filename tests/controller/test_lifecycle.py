# SPDX-License-Identifier: Apache-2.0
"""The state tables, exhaustively: every pair of state and event is written down here, by hand, a second time."""

from __future__ import annotations

import pytest

from agent.controller.records.node import NodeState
from agent.controller.records.server import ServerStatus, TaskState
from agent.controller.refusal import Refused
from agent.controller.rules.lifecycle import (
    NodeEvent,
    ServerEvent,
    move_node,
    move_server,
    refuse_busy,
)

SERVERS = """
                   BUILD        ACTIVE       SHUTOFF      REBOOT       HARD_REBOOT  ERROR        DELETED
start              BMS.STATE    BMS.0038     SHUTOFF      BMS.STATE    BMS.STATE    BMS.STATE    BMS.STATE
stop               BMS.STATE    ACTIVE       BMS.0039     BMS.STATE    BMS.STATE    BMS.STATE    BMS.STATE
reboot             BMS.STATE    REBOOT       BMS.STATE    BMS.STATE    BMS.STATE    BMS.STATE    BMS.STATE
reboot(hard)       BMS.STATE    HARD_REBOOT  BMS.STATE    BMS.STATE    BMS.STATE    BMS.STATE    BMS.STATE
reinstall          BMS.STATE    SHUTOFF      SHUTOFF      BMS.STATE    BMS.STATE    SHUTOFF      BMS.STATE
delete             BUILD        ACTIVE       SHUTOFF      REBOOT       HARD_REBOOT  ERROR        BMS.STATE
boot-proven        ACTIVE       ACTIVE       ACTIVE       ACTIVE       ACTIVE       ACTIVE       BMS.STATE
stopped            BMS.STATE    SHUTOFF      BMS.STATE    BMS.STATE    BMS.STATE    BMS.STATE    BMS.STATE
failed             ERROR        ERROR        ERROR        ERROR        ERROR        ERROR        BMS.STATE
erased             DELETED      DELETED      DELETED      DELETED      DELETED      DELETED      BMS.STATE
"""
NODES = """
                   enroll       available    deploying    active       cleaning     error
approve            available    BMS.STATE    BMS.STATE    BMS.STATE    BMS.STATE    BMS.STATE
take-for-a-server  BMS.STATE    deploying    BMS.STATE    BMS.STATE    BMS.STATE    BMS.STATE
reinstall          BMS.STATE    BMS.STATE    BMS.STATE    deploying    BMS.STATE    deploying
boot-proven        BMS.STATE    BMS.STATE    active       active       BMS.STATE    active
failed             BMS.STATE    BMS.STATE    error        error        error        BMS.STATE
release            BMS.STATE    BMS.STATE    cleaning     cleaning     BMS.STATE    cleaning
clean              BMS.STATE    cleaning     BMS.STATE    BMS.STATE    BMS.STATE    cleaning
cleaned            BMS.STATE    BMS.STATE    BMS.STATE    BMS.STATE    available    BMS.STATE
"""
BUSY = {
    None: (None, None),
    TaskState.BUILDING: ("BMS.BUSY", None),
    TaskState.REBUILDING: ("BMS.BUSY", None),
    TaskState.REBOOTING: ("BMS.0037", None),
    TaskState.REBOOT_STARTED_HARD: ("BMS.0037", None),
    TaskState.POWERING_OFF: ("BMS.0036", None),
    TaskState.POWERING_ON: ("BMS.0035", None),
    TaskState.DELETING: ("BMS.BUSY", "BMS.BUSY"),
}


def table(text: str) -> list[tuple[str, str, str]]:
    """(event, state, what comes of it) for every cell."""
    head, *lines = (line.split() for line in text.strip("\n").splitlines())
    return [(line[0], state, outcome) for line in lines for state, outcome in zip(head, line[1:], strict=True)]


def event_named(name: str, events: type[ServerEvent] | type[NodeEvent]) -> ServerEvent | NodeEvent:
    """Events are words with spaces; the tables have none."""
    return next(event for event in events if event.value.replace(" (", "(").replace(" ", "-") == name)


@pytest.mark.parametrize(("name", "state", "outcome"), table(SERVERS))
def test_server(name: str, state: str, outcome: str) -> None:
    """A server goes where the table says, and is refused with the cloud's code everywhere else."""
    event = event_named(name, ServerEvent)
    assert isinstance(event, ServerEvent)
    try:
        result = move_server(ServerStatus(state), event).value
    except Refused as refused:
        result = refused.code

    assert result == outcome


@pytest.mark.parametrize(("name", "state", "outcome"), table(NODES))
def test_node(name: str, state: str, outcome: str) -> None:
    """A node goes where the table says, and nowhere else."""
    event = event_named(name, NodeEvent)
    assert isinstance(event, NodeEvent)
    try:
        result = move_node(NodeState(state), event).value
    except Refused as refused:
        result = refused.code

    assert result == outcome


def test_the_tables_are_whole() -> None:
    """No state and no event is missing from the tables above."""
    assert len(table(SERVERS)) == len(ServerStatus) * len(ServerEvent)
    assert len(table(NODES)) == len(NodeState) * len(NodeEvent)
    assert set(BUSY) == {None, *TaskState}


@pytest.mark.parametrize("task", list(BUSY), ids=str)
def test_orders_wait_for_each_other(task: TaskState | None) -> None:
    """While something is done to a server every order is refused with the code that says what; a delete only while
    it is being deleted."""
    results: list[str | None] = []
    for event in (ServerEvent.REBOOT_ORDERED, ServerEvent.DELETE_ORDERED):
        try:
            refuse_busy(task, event)
            results.append(None)
        except Refused as refused:
            results.append(refused.code)

    assert tuple(results) == BUSY[task]

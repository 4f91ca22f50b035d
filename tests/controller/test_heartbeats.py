# SPDX-License-Identifier: Apache-2.0
"""Heartbeats: lost, doubled, late, of a run that is over; and what their absence says."""

from __future__ import annotations

from agent.model.fault import Fault
from tests.controller.machine import Machine
from tests.controller.world import World


def test_a_lost_heartbeat_is_not_missed(world: World, machine: Machine) -> None:
    """A gap in the sequence is no fault."""
    assert machine.send_beat(machine.heartbeat(1)).current
    assert machine.send_beat(machine.heartbeat(9)).current


def test_a_doubled_heartbeat_changes_nothing(world: World, machine: Machine) -> None:
    """The second is acknowledged and ignored."""
    beat = machine.heartbeat(1, applied_generation=7)
    assert machine.send_beat(beat).current
    again = machine.send_beat(beat.model_copy(update={"applied_generation": 3}))

    assert not again.current
    assert world.node()["applied_generation"] == 7


def test_a_late_heartbeat_changes_nothing(world: World, machine: Machine) -> None:
    """One that was overtaken by a newer is acknowledged and ignored."""
    machine.send_beat(machine.heartbeat(5, applied_generation=5))
    assert not machine.send_beat(machine.heartbeat(4, applied_generation=4)).current

    assert world.node()["applied_generation"] == 5


def test_a_run_that_is_over_is_not_believed(world: World, machine: Machine) -> None:
    """When the agent was started again, heartbeats of its earlier run change nothing."""
    late = machine.heartbeat(99, applied_generation=99)
    machine.enrol()
    machine.beat(applied_generation=1)

    assert not machine.send_beat(late).current
    assert world.node()["applied_generation"] == 1


def test_a_boot_that_is_over_does_not_come_back(world: World, machine: Machine) -> None:
    """An enrolment of the boot before, delayed on its way, does not take the node from the present boot."""
    delayed = machine.enrolment()
    machine.enrol()
    earlier = machine.boot_id
    machine.power_on()
    assert machine.send("/v1/agent/enroll", delayed).status_code == 200

    assert machine.boot_id != earlier
    assert world.node()["boot_id"] == machine.boot_id
    assert machine.beat().current


def test_three_missed_minutes_are_down(world: World, machine: Machine) -> None:
    """UP by its heartbeat, UNKNOWN after one and a half minutes, DOWN after three, UP at once on return."""
    seen = []
    machine.beat()
    for passed_s in (60, 60, 61):
        world.clock.move(passed_s)
        seen.append(world.node()["host_status"])
    machine.beat()

    assert [*seen, world.node()["host_status"]] == ["UP", "UNKNOWN", "DOWN", "UP"]


def test_maintenance_is_said(world: World, machine: Machine) -> None:
    """A node in maintenance is MAINTENANCE, and gets no server."""
    world.user("PATCH", f"/v1/nodes/{machine.node_id}", {"maintenance": True})

    assert world.node()["host_status"] == "MAINTENANCE"
    order = {"name": "web", "flavor": "small", "image": "debian", "nics": [{"subnet": "net"}]}
    assert "maintenance" in world.refused("POST", "/v1/servers", order)[2]


def test_problems_are_shown(world: World, machine: Machine) -> None:
    """What the agent complains of is seen at its node."""
    machine.beat(problems=(Fault(code="HOST.DEVICE_ERROR", message="reading /dev/sda: it failed"),))

    assert world.node()["problems"][0]["code"] == "HOST.DEVICE_ERROR"


def test_a_heartbeat_tells_of_news(world: World, machine: Machine) -> None:
    """Its answer has the generation that there is to be fetched."""
    before = machine.beat().generation
    world.order()

    assert machine.beat().generation > before


def test_another_nodes_credential_is_worth_nothing_here(world: World, machine: Machine) -> None:
    """A heartbeat in the name of another node's session is not believed."""
    other = Machine(world, 2).power_on()
    stolen = machine.heartbeat(50)
    assert not other.send_beat(stolen).current

    assert world.node(machine.node_id)["heartbeat_at"] is None

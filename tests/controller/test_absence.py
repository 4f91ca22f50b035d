# SPDX-License-Identifier: Apache-2.0
"""A controller that was away, and agents that were started again meanwhile, do no harm to work that goes on."""

from __future__ import annotations

from pathlib import Path

from agent.controller.flow.power import serve_power
from agent.controller.flow.tick import sweep, tick
from tests.controller.machine import Machine, deploying
from tests.controller.world import World


def test_nobody_is_blamed_for_the_controller_s_own_absence(tmp_path: Path) -> None:
    """A deploy that went on while the controller was away is not ended by the BMC when it is back."""
    world, _ = deploying(tmp_path)
    world.clock.move(600)
    world.restart()
    tick(world.controller)
    serve_power(world.controller)

    assert world.power.told == []


def test_a_boot_s_token_lives_as_long_as_the_boot(tmp_path: Path) -> None:
    """After days in the ramdisk the agent's process may be started again, and is taken back with its token."""
    world = World(tmp_path)
    machine = Machine(world).power_on()
    for _ in range(5):
        world.clock.move(36_000)
        sweep(world.controller)

    assert machine.send("/v1/agent/enroll", machine.enrolment()).status_code == 200


def test_a_tenant_does_not_say_what_the_node_is_made_of(tmp_path: Path) -> None:
    """The installed OS, which is its tenant's, cannot replace the node's inventory; what it says is shown beside that,
    until the ramdisk looks again.
    """
    world = World(tmp_path)
    world.stock()
    machine = Machine(world).power_on()
    world.order()
    machine.serve()
    assert world.server()["status"] == "ACTIVE"
    before = world.node()
    machine.ram_gb = 4000

    assert machine.send("/v1/agent/inventory", machine.inventory).status_code == 200
    after = world.node()
    assert after["os_inventory"]["memory"] != after["inventory"]["memory"] and after["os_inventory_at"]
    assert after | {"os_inventory": None, "os_inventory_at": None} == before
    world.user("DELETE", "/v1/servers/web", status=202)
    machine.serve()
    assert world.node()["os_inventory"] is None

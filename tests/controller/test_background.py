# SPDX-License-Identifier: Apache-2.0
"""What happens by itself: forgetting what is of no more use, and watching the machines' power."""

from __future__ import annotations

from datetime import timedelta

from agent.controller.flow.power import observe_power
from agent.controller.flow.tick import sweep
from agent.controller.records.node import Power
from tests.controller.machine import Machine
from tests.controller.world import World

BMC = {"address": "https://10.0.0.9/redfish/v1/Systems/1", "username": "admin", "password": "swordfish"}


def kept(world: World) -> tuple[int, int]:
    """How many tokens and sessions there are."""
    with world.controller.read() as tx:
        return tx.tokens.count(), tx.sessions.count()


def test_what_is_of_no_use_is_forgotten(world: World, machine: Machine) -> None:
    """Tokens a day after they expired, sessions a week after they were heard of; a node's newest boot keeps its own."""
    machine.power_on()
    assert kept(world) == (2, 2)
    sweep(world.controller)
    assert kept(world) == (2, 2)
    world.clock.move(timedelta(days=2).total_seconds())
    sweep(world.controller)
    assert kept(world) == (1, 2)
    world.clock.move(timedelta(days=8).total_seconds())
    sweep(world.controller)

    assert kept(world) == (1, 1)
    assert machine.beat().current


def test_power_is_watched(world: World, server: Machine) -> None:
    """A machine that somebody switched off is seen to be off; a BMC that does not answer says nothing."""
    world.user("PATCH", f"/v1/nodes/{server.node_id}", {"bmc": BMC})
    seen = []
    for power, broken in ((Power.OFF, False), (Power.ON, False), (Power.ON, True)):
        world.power.power, world.power.broken = power, broken
        observe_power(world.controller)
        seen.append((world.node()["power"], world.server()["power_state"]))

    assert seen == [("Off", 4), ("On", 1), ("Unknown", 0)]
    assert world.server()["status"] == "ACTIVE"


def test_cut_off_uploads_are_forgotten(world: World) -> None:
    """What a killed process left of an upload is removed at the next start; whole images stay."""
    (world.controller.images / "x.part").write_bytes(b"half")
    (world.controller.images / "whole").write_bytes(b"image")
    world.restart()

    assert [path.name for path in world.controller.images.iterdir()] == ["whole"]

# SPDX-License-Identifier: Apache-2.0
"""`bmsctl flavor check`: a node held against a flavor, field by field."""

from __future__ import annotations

from tests.bmsctl.keyboard import Keyboard
from tests.controller.machine import Machine
from tests.controller.world import World


def test_a_node_that_is_of_a_flavor(world: World, bmsctl: Keyboard) -> None:
    """Every field that matters, each a match."""
    machine = Machine(world).power_on()
    checked = bmsctl("flavor", "check", machine.node_id, "small")

    assert checked.status == 0 and "mismatch" not in checked.output
    for field in ("cpu_arch", "cores", "ram_mb", "disks", "nics"):
        assert f"match  {field}" in " ".join(checked.output.split("\n")).replace("   ", "  ")


def test_one_that_is_not(world: World, bmsctl: Keyboard) -> None:
    """What the flavor wants, what the node has; 8, for a script; as JSON the same."""
    machine = Machine(world).power_on()
    bmsctl("flavor", "create", "huge", "--cores", "64", "--disks", "9", "--nic-mbps", "400000", "--firmware", "uefi")
    checked = bmsctl("flavor", "check", machine.node_id, "huge")
    told = bmsctl("flavor", "check", machine.node_id, "huge", "--json").json

    assert checked.status == 8 and checked.output.count("mismatch") == 4
    assert not told["fits"] and told["inventory_at"]
    assert {one["field"] for one in told["fields"] if not one["fits"]} == {"cores", "disks", "nics", "firmware"}
    assert next(one for one in told["fields"] if one["field"] == "cores")["wanted"] == "64"


def test_a_node_names_its_flavors(world: World, bmsctl: Keyboard) -> None:
    """Those that its hardware is of, and no other."""
    machine = Machine(world).power_on()
    bmsctl("flavor", "create", "huge", "--cores", "64")
    bmsctl("flavor", "create", "any")

    assert bmsctl("node", "show", machine.node_id, "--json").json["flavors"] == ["any", "small"]
    assert "flavors any small" in " ".join(bmsctl("node", "show", machine.node_id).output.split())


def test_what_is_not_there(world: World, bmsctl: Keyboard) -> None:
    """Neither a node nor a flavor is made up."""
    machine = Machine(world).power_on()

    assert "BMS.NOT_FOUND" in bmsctl("flavor", "check", machine.node_id, "nonesuch").error
    assert "BMS.NOT_FOUND" in bmsctl("flavor", "check", "nonesuch", "small").error

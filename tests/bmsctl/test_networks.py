# SPDX-License-Identifier: Apache-2.0
"""Networks as they are typed: VPCs by kind, security groups, EIPs, NICs of a server, and waiting for its agent."""

from __future__ import annotations

from typing import Any

import pytest

from agent.bmsctl.client import JobFailed
from agent.bmsctl.networks import NicChange
from agent.bmsctl.nic import applied
from agent.errors import LinkError
from tests.bmsctl.keyboard import Keyboard
from tests.controller.machine import Machine
from tests.controller.world import World

SERVER = ("server", "create", "web", "--flavor", "small", "--image", "debian", "--subnet", "net", "--key", "me")
FAULT = {"code": "NET.REFUSED", "message": "bringing the network about: no such NIC"}


@pytest.fixture
def server(world: World) -> Machine:
    """A machine whose server, web, is ACTIVE."""
    machine = Machine(world).power_on()
    world.order()
    return machine.serve()


def test_vpcs_of_every_kind(bmsctl: Keyboard) -> None:
    """How each is told apart is listed; an id is given where none is said."""
    assert "vlan 2315" in bmsctl("vpc", "create", "a", "--segment", "vlan", "--segment-id", "2315").output
    assert "vxlan 1" in bmsctl("vpc", "create", "b", "--segment", "vxlan").output
    listed = bmsctl("vpc", "list").output

    assert all(word in listed for word in ("flat", "vlan 2315", "vxlan 1"))
    wrong = bmsctl("vpc", "create", "c", "--segment", "vlan", "--segment-id", "4095")
    assert (wrong.status, "segment_id: 4095" in wrong.error) == (2, True)


def test_routes_of_a_subnet(bmsctl: Keyboard) -> None:
    """Given with it, changed later, and taken away."""
    route = ("--route", "10.50.0.0/16=10.8.0.9")
    assert bmsctl("subnet", "create", "more", "--vpc", "cloud", "--cidr", "10.8.0.0/24", *route).status == 0
    assert "10.50.0.0/16=10.8.0.9" in bmsctl("subnet", "show", "more").output
    assert "9.9.9.9" in bmsctl("subnet", "set", "more", "--dns", "9.9.9.9", "--no-routes").output
    assert bmsctl("subnet", "show", "more", "--json").json["routes"] == []

    assert "is not KEY=VALUE" in bmsctl("subnet", "set", "more", "--route", "10.50.0.0/16").error


def test_security_groups(bmsctl: Keyboard) -> None:
    """Created, given rules, shown as a person reads them, and deleted."""
    assert "nothing in" in bmsctl("security-group", "create", "web").output
    add = ("security-group", "rule", "add", "web", "--direction", "in", "--protocol")
    assert bmsctl(*add, "tcp", "--port", "22").status == 0
    assert bmsctl(*add, "udp", "--port", "8000-8099", "--remote", "203.0.113.0/24").status == 0
    assert bmsctl(*add, "icmp", "--icmp-type", "8", "--remote-group", "default").status == 0
    rule = bmsctl(*add, "47", "--json").json["id"]
    shown = bmsctl("security-group", "show", "web").output
    for word in ("22", "8000-8099", "203.0.113.0/24", "type 8", "group default", "47", "anybody"):
        assert word in shown
    assert bmsctl("security-group", "rule", "remove", "web", rule).status == 0
    assert rule not in bmsctl("security-group", "show", "web").output
    assert "web" in bmsctl("security-group", "list").output
    assert "not PORT or FIRST-LAST" in bmsctl(*add, "tcp", "--port", "ssh").error
    assert "first_port" in bmsctl(*add, "icmp", "--port", "22").error

    assert bmsctl("security-group", "delete", "web").status == 0
    assert bmsctl("security-group", "show", "web").status == 2


def test_nics_of_a_server(bmsctl: Keyboard, server: Machine) -> None:
    """Attached, listed, put into another group, detached."""
    bmsctl("security-group", "create", "web")
    bmsctl("vpc", "create", "back", "--segment", "vlan")
    bmsctl("subnet", "create", "back", "--vpc", "back", "--cidr", "10.2.0.0/24")
    attached = bmsctl("server", "nic", "attach", "web", "--subnet", "back=10.2.0.77", "--security-group", "web")
    assert "attached: generation " in attached.output
    listed = bmsctl("server", "nic", "list", "web").output
    assert all(word in listed for word in ("10.1.0.2", "default", "10.2.0.77", "fa:16:3e:", "no"))
    server.beat(applied_generation=server.desired().generation)
    assert "no" not in bmsctl("server", "nic", "list", "web").output.split()
    changed = bmsctl("server", "nic", "set", "web", "10.2.0.77", "--security-group", "default")
    assert "is in default" in changed.output
    assert "BMS.0222" in bmsctl("server", "nic", "detach", "web", "10.1.0.2").error
    assert "detached" in bmsctl("server", "nic", "detach", "web", "10.2.0.77").output

    assert "10.2.0.77: detaching" in bmsctl("server", "nic", "list", "web").output
    assert len(bmsctl("server", "nic", "list", "web", "--json").json["nics"]) == 1


def test_eips(bmsctl: Keyboard, server: Machine) -> None:
    """Taken into stock, bound, shown with the server, unbound, forgotten."""
    bmsctl("eip", "create", "203.0.113.7", "--bandwidth-mbps", "50")
    assert "bound to web" in bmsctl("eip", "bind", "203.0.113.7", "web", "--nic", "10.1.0.2").output
    assert all(word in bmsctl("eip", "list").output for word in ("203.0.113.7", "50", "gateway", "web", "10.1.0.2"))
    assert "203.0.113.7" in bmsctl("server", "show", "web").output
    assert "100 Mbit/s" in bmsctl("eip", "set", "203.0.113.7", "--bandwidth-mbps", "100").output
    assert "BMS.IN_USE" in bmsctl("eip", "delete", "203.0.113.7").error
    assert "unbound" in bmsctl("eip", "unbind", "203.0.113.7").output
    assert "100" in bmsctl("eip", "show", "203.0.113.7").output

    assert "deleted" in bmsctl("eip", "delete", "203.0.113.7").output


def test_a_server_with_a_bond_and_a_group(bmsctl: Keyboard, world: World) -> None:
    """Both are said with the order; what is done about drift, later."""
    Machine(world).power_on()
    bmsctl("security-group", "create", "web")
    bmsctl("flavor", "create", "bonded", "--bond", "802.3ad")
    ordered = bmsctl(*SERVER, "--security-group", "web", "--bond", "active-backup", "--json")
    assert ordered.status == 0

    (nic,) = bmsctl("server", "show", "web", "--json").json["addresses"]
    assert nic["security_groups"] == ["web"]
    assert bmsctl("server", "show", "web", "--json").json["bond"]["mode"] == "active-backup"
    assert "drift report" in bmsctl("server", "set", "web", "--drift", "report").output
    assert "INPUT.UNDECODABLE" in bmsctl("server", "set", "web", "--drift", "ignore").error


class Story:
    """Answers to who waits, one after the other; the last one stays."""

    def __init__(self, *answers: dict[str, Any] | LinkError) -> None:
        self._answers = list(answers)

    def get(self, path: str, **query: str) -> Any:
        """The next one."""
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, LinkError):
            raise answer
        return answer


def seen(generation: int, minute: int, *problems: dict[str, Any]) -> dict[str, Any]:
    """What the controller says of an agent that holds this generation."""
    return {
        "generation": 7,
        "applied_generation": generation,
        "heartbeat_at": f"2026-05-01T12:{minute:02}:00Z",
        "problems": problems,
        "nics": [],
    }


CHANGE = NicChange(server_id="s", port_id="p", generation=7)


def test_waiting_ends_when_it_is_applied() -> None:
    """A problem that a next round cures is waited for, and so is a controller that is away."""
    away = LinkError("calling the controller", "it is away")
    applied(Story(seen(6, 0, FAULT), away, seen(6, 1, FAULT), seen(7, 2)), CHANGE, lambda _: None)


def test_waiting_ends_with_the_agents_own_words() -> None:
    """When it says so in two heartbeats after the change."""
    with pytest.raises(JobFailed, match="no such NIC"):
        applied(Story(seen(6, 0), seen(6, 1, FAULT), seen(6, 2, FAULT)), CHANGE, lambda _: None)


def test_nobody_is_waited_for_without_end() -> None:
    """A server that is off says nothing."""
    with pytest.raises(JobFailed, match="has not applied it"):
        applied(Story(seen(6, 0)), CHANGE, lambda _: None)

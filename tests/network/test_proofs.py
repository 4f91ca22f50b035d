# SPDX-License-Identifier: Apache-2.0
"""What does not work is not kept: each self-test against a world in which just that is broken."""

from __future__ import annotations

from typing import Any

import pytest

from agent.model.network import NetworkConfig
from tests.network.mortal import HURRIED_S, Agents
from tests.network.world import CONTROLLER, Server, World

pytestmark = pytest.mark.root
ALWAYS = {"destination": "0.0.0.0/0", "link": "eth0", "gateway": "10.1.0.1"}


def with_front(server: Server, front: dict[str, Any], **rest: Any) -> NetworkConfig:
    """The usual network, with something else on eth0 and elsewhere."""
    usual = server.usual()
    eth0 = usual.links[0].model_dump(mode="json") | front
    return NetworkConfig.model_validate(
        usual.model_dump(mode="json") | {"links": [eth0, usual.links[1].model_dump(mode="json")]} | rest
    )


def test_each_proof(two: World, server: Server) -> None:
    """A silent gateway, a path that drops full packets, name servers that are dead, a controller that only the new
    address cannot reach: all is taken back, and the error says what was seen.
    """
    elsewhere = {"addresses": ["10.1.0.66/24"]}
    two.route("rule", "add", "from", "10.1.0.66", "iif", "front", "lookup", "67")
    two.route("route", "add", "unreachable", "default", "table", "67")
    broken = {
        "gateway 10.1.0.200 does not answer ARP on eth0": with_front(
            server, {}, routes=[ALWAYS | {"gateway": "10.1.0.200"}]
        ),
        "10.1.0.1 answers small packets, but none of 9000 bytes (the MTU of eth0)": with_front(server, {"mtu": 9000}),
        "none of 10.9.0.53 answers DNS": with_front(
            server, {"addresses": ["10.1.0.55/24"]}, dns={"servers": ["10.9.0.53"]}
        ),
        f"the controller at {CONTROLLER}:8480 takes no connection": with_front(server, elsewhere, dns=None),
    }
    with Agents(server, ("link",)) as agents:
        assert agents.change(server.usual()) == 0, agents.error
        old = server.look()
        for words, config in broken.items():
            assert agents.change(config, proof_s=HURRIED_S) == 1, words
            assert "ProofFailed" in agents.error and words in agents.error
            assert server.look() == old and server.record.held().config == server.usual()

        allowed = with_front(server, elsewhere, dns=None, allow_disconnect=True)
        assert agents.change(allowed) == 0, agents.error
        assert server.look() != old


def test_what_would_cut_is_refused_at_once(server: Server) -> None:
    """A configuration that leads nowhere near the controller is refused with the field to correct, and nothing is
    touched, unless the operator means it.
    """
    assert server.apply(server.usual()).returncode == 0
    before = server.look()
    lost = server.usual(routes=[])

    refused = server.apply(lost)
    assert refused.returncode != 0 and server.look() == before
    assert f"nothing would lead to the controller at {CONTROLLER} any more" in refused.stderr
    assert "routes" in refused.stderr and "allow_disconnect" in refused.stderr
    assert server.record.held().config == server.usual() and server.record.pending() is None

    assert server.apply(lost, "--allow-disconnect").returncode == 0
    assert server.look() != before


def test_a_controller_that_is_away_keeps_nobody_off(two: World, server: Server) -> None:
    """A change while the controller does not answer goes on: it can prove nothing, either way."""
    with two.cut():
        done = server.apply(server.usual(dns=None))
    assert done.returncode == 0 and "done, and proven" in done.stdout, done.stderr

# SPDX-License-Identifier: Apache-2.0
"""What a revert brings back: what the change touches, and nothing else."""

from __future__ import annotations

from ipaddress import IPv4Address

from agent.model.network import Eip, Firewall, NetworkConfig, NetworkState, SecurityGroup, eips_digest
from agent.model.network.step import NetworkStep, ReplaceFirewall, SetEips
from agent.plan.network import plan_revert
from agent.plan.network.snapshot import snapshot

GROUPS = Firewall(groups=(SecurityGroup(id="web"),))
EIPS = (Eip(address=IPv4Address("203.0.113.7"), private=IPv4Address("10.0.0.5"), link="eth0"),)
LOADED = NetworkState(firewall_digest=GROUPS.digest, eips_digest=eips_digest(EIPS))
NOTHING = NetworkConfig()


def test_a_firewall_that_is_not_touched_stays() -> None:
    """Nobody desires it any more, but a change of something else that fails must not open it."""
    kept = snapshot(LOADED, NOTHING, NOTHING, [], {})

    assert plan_revert(LOADED, kept, NOTHING, {}).steps == ()


def test_a_firewall_that_is_touched_comes_back() -> None:
    """With the EIPs; where there was none, an empty one comes."""
    steps: list[NetworkStep] = [ReplaceFirewall(firewall=GROUPS), SetEips(eips=EIPS)]
    before = NetworkConfig.model_construct(firewall=GROUPS, eips=EIPS)
    bare = snapshot(NetworkState(), NOTHING, NOTHING, steps, {})

    revert = plan_revert(NetworkState(firewall_digest="another", eips_digest="another"),
                         snapshot(LOADED, NOTHING, before, steps, {}), NOTHING, {})  # fmt: skip
    assert revert.steps == (ReplaceFirewall(firewall=GROUPS), SetEips(eips=EIPS))
    assert plan_revert(LOADED, bare, NOTHING, {}).steps == (ReplaceFirewall(firewall=Firewall()), SetEips())

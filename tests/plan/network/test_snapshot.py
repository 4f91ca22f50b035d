# SPDX-License-Identifier: Apache-2.0
"""What a revert brings back: what the change touches, and nothing else."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from agent.errors import PreconditionError
from agent.model.network import (
    Bridge,
    Eip,
    Firewall,
    LinkState,
    NetworkConfig,
    NetworkState,
    Route,
    SecurityGroup,
    eips_digest,
)
from agent.model.network.step import NetworkStep, ReplaceFirewall, SetEips, SetRoute, SetUpper
from agent.plan.network import Stored, plan_network, plan_revert
from agent.plan.network.resolve import resolve
from agent.plan.network.snapshot import snapshot
from tests.hardware import link, static

OTHER = "52:54:00:00:00:02"

GROUPS = Firewall(groups=(SecurityGroup(id="web"),))
EIPS = (Eip(address=IPv4Address("203.0.113.7"), private=IPv4Address("10.0.0.5"), link="eth0"),)
LOADED = NetworkState(firewall_digest=GROUPS.digest, eips_digest=eips_digest(EIPS))
NOTHING = NetworkConfig()


def test_a_firewall_that_is_not_touched_stays() -> None:
    """Nobody desires it any more, but a change of something else that fails must not open it."""
    kept = snapshot(LOADED, NOTHING, NOTHING, [], {}, None)

    assert plan_revert(LOADED, kept, NOTHING, {}).steps == ()


def test_a_firewall_that_is_touched_comes_back() -> None:
    """With the EIPs; where there was none, an empty one comes."""
    steps: list[NetworkStep] = [ReplaceFirewall(firewall=GROUPS), SetEips(eips=EIPS)]
    before = NetworkConfig.model_construct(firewall=GROUPS, eips=EIPS)
    bare = snapshot(NetworkState(), NOTHING, NOTHING, steps, {}, None)

    revert = plan_revert(NetworkState(firewall_digest="another", eips_digest="another"),
                         snapshot(LOADED, NOTHING, before, steps, {}, None), NOTHING, {})  # fmt: skip
    assert revert.steps == (ReplaceFirewall(firewall=GROUPS), SetEips(eips=EIPS))
    assert plan_revert(LOADED, bare, NOTHING, {}).steps == (ReplaceFirewall(firewall=Firewall()), SetEips())


def test_a_revert_opens_no_firewall() -> None:
    """Somebody has changed the one that held, or flushed it: it comes back. Where one was loaded that nobody knows, the
    new one stays: an empty one would let everybody in.
    """
    steps: list[NetworkStep] = [ReplaceFirewall(firewall=GROUPS)]
    held = NetworkConfig.model_construct(firewall=GROUPS)
    for loaded in (None, "changed"):
        assert snapshot(NetworkState(firewall_digest=loaded), NOTHING, held, steps, {}, None).firewall == GROUPS
    unknown = snapshot(NetworkState(firewall_digest="changed"), NOTHING, NOTHING, steps, {}, None)

    assert plan_revert(LOADED, unknown, NOTHING, {}).steps == ()


def test_what_cannot_be_seen_is_not_none() -> None:
    """nf_tables does not answer: what held is loaded, after all else, and as long as it is not seen, it is not back."""
    steps: list[NetworkStep] = [ReplaceFirewall(firewall=Firewall()), SetEips()]
    held = NetworkConfig.model_construct(firewall=GROUPS, eips=EIPS)
    blind = NetworkState(filters_unread="reading table inet bms_agent: timed out")
    port = link("eno1", up=True)
    kept = snapshot(LOADED.model_copy(update={"links": (port,)}), NetworkConfig(links=(port.config,)), held, steps, {},
                    None)  # fmt: skip
    back = (ReplaceFirewall(firewall=GROUPS), SetEips(eips=EIPS))

    assert plan_revert(blind, kept, NOTHING, {}).steps[-2:] == back
    down = blind.model_copy(update={"links": (link("eno1", up=False),)})
    plan = plan_revert(down, kept, NOTHING, {}).steps
    assert len(plan) > 2 and plan[-2:] == back
    for desired in (held, NetworkConfig.model_construct(firewall=Firewall()), NetworkConfig.model_construct(eips=())):
        with pytest.raises(PreconditionError, match="timed out"):
            plan_network(blind, desired, held, Stored())
    for desired in (NOTHING, NetworkConfig.model_construct(firewall=Firewall(), eips=())):
        assert plan_network(blind, desired, NOTHING, Stored()).steps == ()


def test_a_lease_s_route_that_was_replaced_comes_back() -> None:
    """The client does not set it again before its lease is renewed."""
    by_dhcp = Route(destination="0.0.0.0/0", link="eno1", gateway="192.168.1.254")
    before = NetworkState(links=(link("eno1", "192.168.1.10/24", up=True),), leased_routes=(by_dhcp,))
    wanted = static()
    steps = plan_network(before, wanted, NOTHING, Stored()).steps
    kept = snapshot(before, resolve(wanted, before), NOTHING, steps, {}, None)
    after = NetworkState(links=before.links, routes=resolve(wanted, before).routes or ())

    assert SetRoute(route=by_dhcp) in plan_revert(after, kept, wanted, {}).steps
    assert plan_revert(before, kept, wanted, {}).steps == ()


def test_what_is_gone_does_not_keep_the_rest() -> None:
    """A container's end of a cable may have ended meanwhile: everything else is brought back all the same."""
    bridge = LinkState(name="br0", index=8, kind="bridge", mac="02:00:00:00:00:08", carrier=True, up=True, mtu=1500,
                       config=Bridge(name="br0", ports=("eno1", "veth7")))  # fmt: skip
    port = link("eno1", up=True).model_copy(update={"upper": "br0"})
    veth = link("veth7", mac="02:00:00:00:00:07", up=True, index=9).model_copy(update={"kind": "veth", "upper": "br0"})
    before = NetworkState(links=(port, bridge, veth))
    kept = snapshot(before, NetworkConfig(links=(port.config,)), NOTHING, [], {}, None)
    now = NetworkState(links=(link("eno1", "10.0.0.1/24", up=True), bridge))

    plan = plan_revert(now, kept, NOTHING, {})
    assert SetUpper(name="eno1", upper="br0") in plan.steps
    assert "veth7" not in plan.model_dump_json()


def test_nics_are_found_by_their_macs_again() -> None:
    """After a power cut the kernel may have swapped their names: what was on the one is not put on the other."""
    before = NetworkState(links=(link("eth0", "10.0.0.1/24", up=True), link("eth1", mac=OTHER, index=3, up=True)))
    config = NetworkConfig(links=tuple(one.config for one in before.links if one.config is not None))
    kept = snapshot(before, config, NOTHING, [], {}, None)
    swapped = NetworkState(links=(link("eth1", "10.0.0.1/24", up=True), link("eth0", mac=OTHER, index=3, up=True)))

    assert plan_revert(swapped, kept, NOTHING, {}).steps == ()

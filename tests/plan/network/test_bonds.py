# SPDX-License-Identifier: Apache-2.0
"""Bonds: their MAC, and what is said of their options when one of them changes."""

from __future__ import annotations

from typing import Any

from agent.model.network import Bond, BondMode, LacpRate, LinkState, NetworkConfig, NetworkState
from agent.model.network.step import ChangeLink
from agent.plan.network.links import change_links
from agent.plan.network.resolve import resolve, with_bond_macs

MACS = {"nic0": "52:54:00:00:00:02", "nic1": "52:54:00:00:00:01"}


def config(**options: Any) -> NetworkConfig:
    """A bond of two NICs."""
    nics = [{"kind": "ethernet", "name": name, "mac": mac} for name, mac in MACS.items()]
    bond = {"kind": "bond", "name": "bond0", "mode": "802.3ad", "ports": ["nic0", "nic1"], **options}
    return NetworkConfig.model_validate({"links": [*nics, bond]})


def there(name: str, kind: str, mac: str, **more: Any) -> LinkState:
    """A link as it is."""
    return LinkState(name=name, index=len(name), kind=kind, mac=mac, carrier=True, up=True, mtu=1500, **more)


def state(*more: LinkState) -> NetworkState:
    """The NICs, under other names."""
    nics = (there(f"eth{name[-1]}", "ethernet", mac, permanent_mac=mac) for name, mac in MACS.items())
    return NetworkState(links=(*nics, *more))


def mac_of_bond(config: NetworkConfig) -> str | None:
    """What it shall have."""
    bond = config.link("bond0")
    assert bond is not None
    return bond.mac


def test_a_new_bond_has_the_lowest_mac_of_its_nics() -> None:
    """In the system that runs and in the files of one that does not yet; what is specified is not touched."""
    assert mac_of_bond(resolve(config(), state())) == MACS["nic1"]
    assert mac_of_bond(with_bond_macs(config())) == MACS["nic1"]
    assert mac_of_bond(resolve(config(mac="02:00:00:00:00:09"), state())) == "02:00:00:00:00:09"


def test_a_bond_that_is_there_keeps_its_mac() -> None:
    """Whoever gave it."""
    assert mac_of_bond(resolve(config(), state(there("bond0", "bond", MACS["nic0"])))) == MACS["nic0"]


def test_only_the_option_that_changes_is_named() -> None:
    """The kernel refuses lacp_rate while the bond is up, even with the value that it has."""
    common: dict[str, Any] = {"name": "bond0", "mode": BondMode.LACP, "ports": (), "lacp_rate": LacpRate.FAST}
    now = there("bond0", "bond", MACS["nic0"], config=Bond(**common, miimon_ms=100))
    steps = change_links(state(now), (Bond(**common, miimon_ms=50),), ()).build

    assert steps == (ChangeLink(link=Bond(**common | {"lacp_rate": None}, miimon_ms=50)),)

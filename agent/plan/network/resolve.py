# SPDX-License-Identifier: Apache-2.0
"""From a configuration's names to the kernel's: NICs are found by their permanent MAC, whatever they are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agent.errors import InputError, PreconditionError
from agent.model.network import Bond, Ethernet, Link, LinkState, NetworkConfig, NetworkState

LINK_FIELDS = ("parent", "primary")


def resolve(desired: NetworkConfig, state: NetworkState) -> NetworkConfig:
    """The same, with the kernel's names. Raises `PreconditionError` when a NIC is not there, `InputError` when a
    virtual link bears the name of a NIC.
    """
    names = {link.name: nic_of(link.mac, state).name for link in desired.links if isinstance(link, Ethernet)}
    free_of_nics(desired, state)
    if any(name != found for name, found in names.items()):
        desired = renamed(desired, names)
    return with_bond_macs(desired, state.links)


def with_bond_macs(config: NetworkConfig, there: Iterable[LinkState] = ()) -> NetworkConfig:
    """A bond keeps its MAC, and begins with the lowest of its NICs'. Left alone it would get one that udev makes up,
    different in every system (systemd.link(5), MACAddressPolicy=persistent), and not that of a port, as in bonding.rst.
    """
    bare = [link for link in config.links if isinstance(link, Bond) and link.mac is None]
    if not bare:
        return config
    nics = {link.name: link.mac for link in config.links if isinstance(link, Ethernet)}
    macs = {link.name: min((nics[port] for port in link.ports if port in nics), default=None) for link in bare}
    macs |= {link.name: link.mac for link in there if link.kind == "bond" and link.name in macs}
    links = (link.model_copy(update={"mac": macs[link.name]}) if link.name in macs else link for link in config.links)
    return config.model_copy(update={"links": tuple(links)})


def resolve_what_is_there(config: NetworkConfig, state: NetworkState) -> NetworkConfig:
    """The same for a configuration of the past: a NIC that is not there any more has the name that it had."""
    return renamed(config, names_now(config, state))


def names_now(config: NetworkConfig, state: NetworkState) -> dict[str, str]:
    """Name of a NIC in the configuration → the kernel's name of the one that bears its MAC."""
    there = {nic.permanent_mac or nic.mac: nic.name for nic in state.links if nic.is_nic}
    return {link.name: there.get(link.mac, link.name) for link in config.links if isinstance(link, Ethernet)}


def nic_of(mac: str, state: NetworkState) -> LinkState:
    """The NIC with that permanent MAC: also as a bond's port, when it lends the bond's. Raises `PreconditionError`."""
    nics = [link for link in state.links if link.is_nic]
    found = [nic for nic in nics if nic.permanent_mac == mac]
    found = found or [nic for nic in nics if nic.permanent_mac is None and nic.mac == mac]
    if len(found) == 1:
        return found[0]
    there = ", ".join(f"{nic.name} {nic.permanent_mac or nic.mac}" for nic in nics) or "none"
    if found:
        raise PreconditionError(
            f"finding the NIC {mac}",
            f"{' and '.join(nic.name for nic in found)} both have it; NICs here: {there}",
            hint="Name NICs by MACs that only one has.",
        )
    raise PreconditionError(
        f"finding the NIC {mac}",
        f"NICs here: {there}",
        hint="Check the cabling plan: the port's MAC is not on this machine.",
    )


def free_of_nics(desired: NetworkConfig, state: NetworkState) -> None:
    """Virtual links may not bear the names of NICs. Raises `InputError`."""
    nics = {link.name for link in state.links if link.is_nic}
    for place, link in enumerate(desired.links):
        if not isinstance(link, Ethernet) and link.name in nics:
            raise InputError(
                "naming the links",
                f"links.{place}.name: {link.name} is a NIC of this machine",
                hint="Give the virtual link another name.",
            )


def renamed(config: NetworkConfig, names: Mapping[str, str]) -> NetworkConfig:
    """With other names for its links. What was sound stays so, and is not looked at again."""

    def new(name: str | None) -> str | None:
        return name if name is None else names.get(name, name)

    changes: dict[str, Any] = {"links": tuple(renamed_link(link, names) for link in config.links)}
    if config.routes:
        changes["routes"] = tuple(route.model_copy(update={"link": new(route.link)}) for route in config.routes)
    if config.rules:
        changes["rules"] = tuple(
            rule.model_copy(update={"in_link": new(rule.in_link), "out_link": new(rule.out_link)})
            for rule in config.rules
        )
    if config.firewall:
        bound = {names.get(link, link): groups for link, groups in config.firewall.links.items()}
        changes["firewall"] = config.firewall.model_copy(update={"links": bound})
    if config.eips:
        changes["eips"] = tuple(eip.model_copy(update={"link": new(eip.link)}) for eip in config.eips)
    return config.model_copy(update=changes)


def renamed_link(link: Link, names: Mapping[str, str]) -> Link:
    """One link."""
    changes: dict[str, Any] = {"name": names.get(link.name, link.name)}
    for field in LINK_FIELDS:
        if getattr(link, field, None) is not None:
            changes[field] = names.get(getattr(link, field), getattr(link, field))
    if hasattr(link, "ports"):
        changes["ports"] = tuple(sorted(names.get(port, port) for port in link.ports))
    return link.model_copy(update=changes)

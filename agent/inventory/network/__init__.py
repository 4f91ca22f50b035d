# SPDX-License-Identifier: Apache-2.0
"""The network as it is: links, addresses, routes and rules by netlink, NICs by sysfs, the rest by its own doors.

Nothing is decided here. What cannot be read raises: a network of which half is unknown must not be planned upon.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.host.doors import Files, Host, Tables
from agent.inventory.network.firewall import loaded_digests
from agent.inventory.network.nic import nics_of
from agent.model.network import LinkState, NetworkState, Nic

SYSCTLS = "/proc/sys/net"


def network_state(host: Host, sysctls: Iterable[str] = (), *, hardware: bool = True) -> NetworkState:
    """All of it, and these sysctls. Without `hardware` NICs are not looked into, which takes a file each and more.
    Raises `HostError`.
    """
    tables = host.netlink.tables()
    firewall, eips = loaded_digests(host)
    return NetworkState.model_construct(
        nics=nics_of(host.files, tables) if hardware else (),
        links=shaped(host, tables),
        routes=tables.routes,
        leased_routes=tables.leased_routes,
        rules=tables.rules,
        sysctls=sysctls_now(host.files, sysctls),
        firewall_digest=firewall,
        eips_digest=eips,
    )


def nics(host: Host) -> tuple[Nic, ...]:
    """Every NIC that has a device behind it and is no virtual function of another. Raises `HostError`."""
    return nics_of(host.files, host.netlink.tables())


def shaped(host: Host, tables: Tables) -> tuple[LinkState, ...]:
    """With the limits that each link has."""
    shapers = host.traffic.shapers()
    if not shapers:
        return tables.links
    return tuple(
        link.model_copy(update={"shaper": shapers[link.index]}) if link.index in shapers else link
        for link in tables.links
    )


def sysctls_now(files: Files, keys: Iterable[str]) -> dict[str, str]:
    """Those that there are: a link that is not there has none."""
    paths = {key: f"{SYSCTLS}/{key}" for key in keys}
    return {key: files.read_text(path).strip() for key, path in paths.items() if files.exists(path)}

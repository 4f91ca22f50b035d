# SPDX-License-Identifier: Apache-2.0
"""The network as it is: links, addresses, routes and rules by netlink, NICs by sysfs, the rest by its own doors.

Nothing is decided here. What cannot be read raises: a network of which half is unknown must not be planned upon.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.host.doors import Files, Host
from agent.host.network_doors import Tables
from agent.inventory.network.firewall import digests_or_why_not
from agent.inventory.network.nic import nics_of
from agent.model.network import LinkState, NetworkState, Nic

SYSCTLS = "/proc/sys/net"


def network_state(
    host: Host, tables: Tables, sysctls: Iterable[str] = (), since: NetworkState | None = None
) -> NetworkState:
    """All of it, around the kernel's tables, with these sysctls. It is `since`, the same object, if nothing changed:
    then NICs are not looked into again, which takes several files each. Raises `HostError`.
    """
    filters = digests_or_why_not(host)
    settings = sysctls_now(host.files, sysctls)
    links = shaped(host, tables)
    now = (filters, settings, links, tables.routes, tables.leased_routes, tables.rules)
    if since is not None and now == (
        (since.firewall_digest, since.eips_digest, since.filters_unread),
        since.sysctls,
        since.links,
        since.routes,
        since.leased_routes,
        since.rules,
    ):
        return since
    return NetworkState.model_construct(
        nics=nics_of(host.files, tables),
        links=links,
        routes=tables.routes,
        leased_routes=tables.leased_routes,
        rules=tables.rules,
        sysctls=settings,
        firewall_digest=filters[0],
        eips_digest=filters[1],
        filters_unread=filters[2],
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

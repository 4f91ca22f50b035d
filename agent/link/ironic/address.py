# SPDX-License-Identifier: Apache-2.0
"""This machine's own address: the one from which it calls Ironic, and where Ironic may call it."""

from __future__ import annotations

from threading import Event
from urllib.parse import urlsplit

from agent.errors import LinkError
from agent.host.doors import Host
from agent.inventory.network import nics
from agent.model.ironic.parameters import Parameters
from agent.model.url import PORTS, named

TICK_S = 1.0


def own_address(host: Host, parameters: Parameters, stop: Event) -> str:
    """From which this machine calls Ironic, or of the NIC that was named: there Ironic may call it. An address may come
    late: it is looked for as long as IPA would. Raises `LinkError`.
    """
    end_s = host.clock.monotonic_s() + (parameters.address_attempts - 1) * parameters.address_pause_s
    while (found := address_now(host, parameters)) is None:
        if host.clock.monotonic_s() >= end_s or host.clock.wait(stop, TICK_S):
            told = f"no route leads to {', '.join(map(named, parameters.api_urls))}"
            if parameters.network_interface:
                told = f"{parameters.network_interface} has none"
            raise LinkError("finding out this machine's address", told)
    return found


def address_now(host: Host, parameters: Parameters) -> str | None:
    """As it is at this moment."""
    if parameters.network_interface:
        mine = [nic for nic in nics(host) if parameters.network_interface in (nic.name, nic.mac)]
        there = [one.ip for nic in mine for one in nic.addresses if not one.ip.is_link_local]
        return str(min(there, key=lambda ip: ip.version)) if there else None
    for url in parameters.api_urls:
        parts = urlsplit(url)
        found = host.probe.source(parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0))
        if found is not None:
            return str(found)
    return None

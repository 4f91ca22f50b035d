# SPDX-License-Identifier: Apache-2.0
"""Events of links: what happens to them without anybody's order, as it differs from one look to the next."""

from __future__ import annotations

from collections.abc import Iterator

from agent.model.fault import Fault
from agent.model.network import BondPort, LinkState, NetworkConfig, NetworkState
from agent.program.log import Logger

LACP_IN_SYNC = (
    0x3C  # IEEE 802.1AX: synchronisation, collecting, distributing (0x08 | 0x10 | 0x20) of an aggregate (0x04)
)

log = Logger("network")


class LinkWatcher:
    """What was seen last."""

    def __init__(self) -> None:
        self._seen: NetworkState | None = None

    def look(self, state: NetworkState) -> tuple[str, ...]:
        """Compare; log what happened; tell it in words."""
        if self._seen is None or self._seen is state:
            self._seen = state
            return ()
        found = tuple(happened(self._seen, state))
        self._seen = state
        for event, words in found:
            log.warning(words, kind=event)
        return tuple(words for _, words in found)


def happened(before: NetworkState, now: NetworkState) -> Iterator[tuple[str, str]]:
    """(event, words) of everything that differs."""
    old = {link.name: link for link in before.links}
    for link in now.links:
        was = old.get(link.name)
        if was is None or was is link:
            continue
        if was.carrier and not link.carrier and link.up:
            yield "link_down", f"{link.name} has lost its carrier"
        if link.carrier and not was.carrier:
            yield "link_up", f"{link.name} has a carrier"
        for address in set(link.duplicates) - set(was.duplicates):
            yield "address_duplicate", f"{address} of {link.name} is also somebody else's"
        yield from legs(was, link)


def legs(was: LinkState, link: LinkState) -> Iterator[tuple[str, str]]:
    """A bond's."""
    if was.bond is None or link.bond is None:
        return
    old = {port.name: port for port in was.bond.ports}
    for port in link.bond.ports:
        if port.name not in old:
            continue
        if works(old[port.name]) and not works(port):
            yield "bond_leg_lost", f"{link.name} has lost its leg {port.name}"
        if works(port) and not works(old[port.name]):
            yield "bond_leg_back", f"{link.name} has its leg {port.name} back"
    for name in old.keys() - {port.name for port in link.bond.ports}:
        yield "bond_leg_lost", f"{name} is no port of {link.name} any more"


def standing(state: NetworkState, desired: NetworkConfig) -> Iterator[Fault]:
    """What is wrong with links of the configuration as they are now: told with every heartbeat, until it is over."""
    macs = {link.mac for link in desired.links if link.kind == "ethernet"}
    names = {link.name for link in desired.links if link.kind != "ethernet" and link.up}
    for link in state.links:
        if not (link.name in names or (link.is_nic and (link.permanent_mac or link.mac) in macs and link.up)):
            continue
        if link.up and not link.carrier:
            yield Fault(
                code="NETWORK.LINK_DOWN",
                message=f"{link.name} has no carrier",
                hint="Check its cable, and the switch port at the other end.",
            )
        for port in link.bond.ports if link.bond else ():
            if not works(port):
                yield Fault(
                    code="NETWORK.BOND_LEG_LOST",
                    message=f"{link.name} works without its leg {port.name}",
                    hint="Check the cable; with LACP, that both ends are of one bond (partner "
                    f"{link.bond.partner_mac if link.bond else None}).",
                )
        for address in link.duplicates:
            yield Fault(
                code="NETWORK.ADDRESS_DUPLICATE",
                message=f"{address} of {link.name} is also somebody else's",
                hint="Find the other one in the switch's table, and take the address off one of them.",
            )


def works(port: BondPort) -> bool:
    """Link up and, with LACP, agreed with the partner."""
    agreed = port.actor_state is None or port.actor_state & LACP_IN_SYNC == LACP_IN_SYNC
    return port.link_up and agreed

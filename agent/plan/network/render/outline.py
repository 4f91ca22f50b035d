# SPDX-License-Identifier: Apache-2.0
"""What every renderer asks of a configuration: in which order links come up, and what belongs to which of them.

Files of network managers are a link each, so what belongs to none needs a home: rules, routes to nowhere, name
servers. Some managers bring links up in the order in which they are written, so a link comes after those that it
stands on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from agent.model.network import MAIN_TABLE, Bond, Bridge, Dns, Link, NetworkConfig, Route, Rule, Vrf
from agent.model.network.link import Upper


@dataclass(frozen=True)
class Outline:
    """A configuration, asked for one link at a time."""

    config: NetworkConfig

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """Each after those that it stands on; otherwise by name."""
        named = {link.name: link for link in self.config.links}
        placed: dict[str, Link] = {}

        def place(link: Link) -> None:
            if link.name not in placed:
                for lower in sorted(link.lower):
                    place(named[lower])
                placed[link.name] = link

        for name in sorted(named):
            place(named[name])
        return tuple(placed.values())

    @cached_property
    def home(self) -> str | None:
        """The link of the default route, by which the server is reached: what belongs to no link is written there.

        Without a default route: the first that asks for a lease, or the first with addresses. A port of a bond or a
        bridge takes none.
        """
        able = [link for link in self.config.links if not isinstance(self.upper(link), Bond | Bridge)]
        up = [link for link in able if link.up] or able
        ranked = (
            *(name for version in (4, 6) for name in self.default_links(version)),
            *(link.name for link in up if link.dhcp4 and self.vrf(link) is None),
            *sorted(link.name for link in up if link.addresses),
            *sorted(link.name for link in up if link.dhcp4 or link.dhcp6 or link.accept_ra),
            *sorted(link.name for link in up),
        )
        return next(iter(ranked), None)

    def default_links(self, version: int) -> list[str]:
        """Links with a default route in the main table, the best first."""
        defaults = [
            route
            for route in self.config.routes or ()
            if route.is_default and route.destination.version == version and route.table == MAIN_TABLE and route.link
        ]
        return [str(route.link) for route in sorted(defaults, key=lambda one: (one.metric, str(one.link)))]

    def takes_default(self, link: Link, version: int) -> bool:
        """Whether a lease may bring the default route.

        Only the first link that asks for one may, and none if the configuration has a default route. A VRF's routes are
        its own affair.
        """
        if self.vrf(link) is not None:
            return True
        asking = [
            one.name
            for one in self.config.links
            if self.vrf(one) is None and (one.dhcp4 if version == 4 else (one.accept_ra or one.dhcp6))
        ]
        return not self.default_links(version) and link.name in asking[:1]

    def upper(self, link: Link) -> Upper | None:
        """The bond, bridge or VRF whose port it is."""
        uppers = (one for one in self.config.links if isinstance(one, Bond | Bridge | Vrf) and link.name in one.ports)
        return next(uppers, None)

    def vrf(self, link: Link) -> Vrf | None:
        """The VRF that it routes in."""
        upper = self.upper(link)
        return upper if isinstance(upper, Vrf) else None

    def is_bare(self, link: Link) -> bool:
        """A bond's or bridge's port: addresses are its upper's business."""
        return isinstance(self.upper(link), Bond | Bridge)

    def children(self, link: Link) -> Iterator[Link]:
        """Links made on top of it."""
        return (one for one in self.links if getattr(one, "parent", None) == link.name)

    def routes(self, link: Link) -> list[Route]:
        """Its own, and at home those to nowhere."""
        return sorted(
            (
                route
                for route in self.config.routes or ()
                if route.link == link.name or (route.link is None and link.name == self.home)
            ),
            key=lambda one: (one.table, one.destination.version, one.destination, one.metric),
        )

    def told_table(self, route: Route) -> int | None:
        """The table, where it would be another one if nobody said so: in a VRF that is the VRF's."""
        link = self.config.link(route.link or "")
        usual = link is None or self.vrf(link) is None
        return None if usual and route.table == MAIN_TABLE else route.table

    def rules(self, link: Link) -> list[Rule]:
        """Those that lead to a table with routes of its own; at home all those to other tables."""
        return sorted(
            (rule for rule in self.config.rules or () if self.home_of(rule) == link.name),
            key=lambda one: (one.version, one.priority, one.model_dump_json()),
        )

    def home_of(self, rule: Rule) -> str | None:
        """The link by whose routes the rule's table is filled."""
        filled = sorted(route.link for route in self.config.routes or () if route.link and route.table == rule.table)
        return filled[0] if filled and rule.table != MAIN_TABLE else self.home

    def dns(self, link: Link) -> Dns:
        """Name servers that are written at this link."""
        return (self.config.dns if link.name == self.home else None) or Dns()

    @property
    def leased_dns(self) -> bool:
        """Whether name servers may come with a lease: not if the configuration tells them."""
        return self.config.dns is None

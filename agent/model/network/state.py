# SPDX-License-Identifier: Apache-2.0
"""Networks as they are: NICs as hardware, and links, routes and rules in the model in which they are desired."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from agent.model.fact import Fact
from agent.model.frozen import Frozen
from agent.model.network.link import Link
from agent.model.network.route import Dns, Route, Rule
from agent.model.network.values import IPAddress, IPInterface


class Nic(Frozen):
    """A physical network interface as observed."""

    name: str
    mac: str = Field(description="the permanent MAC where the driver tells it, else the present one")
    current_mac: str
    pci_address: Fact[str] = None
    driver: Fact[str] = None
    vendor: Fact[str] = Field(default=None, description="PCI vendor id, such as 0x8086")
    product: Fact[str] = Field(default=None, description="PCI device id")
    speed_mbps: Fact[int] = None
    carrier: Fact[bool] = None
    up: bool = False
    mtu: int = 1500
    numa_node: Fact[int] = None
    addresses: tuple[IPInterface, ...] = ()
    gateway: IPAddress | None = Field(default=None, description="of the default route through this NIC")


class BondPort(Frozen):
    """A bond's leg. LACP states are IEEE 802.1AX's bits: 0x3f is a port that collects and distributes."""

    name: str
    link_up: bool
    active: bool = Field(description="traffic of ours leaves by it")
    aggregator: int | None = None
    actor_state: int | None = None
    partner_state: int | None = None


class BondState(Frozen):
    """What a bond has become. `partner_mac` is the switch's; all zeroes is "no partner"."""

    ports: tuple[BondPort, ...] = ()
    partner_mac: str | None = None


class LinkState(Frozen):
    """A link as it is. `config` has everything filled in; a link of a kind that is none of ours has none."""

    name: str
    index: int
    kind: str = Field(description="the kernel's word; 'ethernet' where it has none")
    mac: str = Field(description="the present one")
    permanent_mac: str | None = None
    carrier: bool
    up: bool
    mtu: int
    upper: str | None = Field(default=None, description="the bond, bridge or VRF whose port it is")
    addresses: tuple[IPInterface, ...] = Field(default=(), description="static ones, but for link-local ones")
    leases: tuple[IPInterface, ...] = Field(default=(), description="with an end: by DHCP or router advertisements")
    duplicates: tuple[IPInterface, ...] = Field(default=(), description="IPv6 addresses that somebody else has too")
    config: Link | None = None
    bond: BondState | None = None
    shaper: int | None = Field(default=None, description="`Bandwidth.handle` of the limits that it has")

    @property
    def is_nic(self) -> bool:
        """Whether it can be found by a MAC: hardware, or the end of a virtual cable."""
        return self.kind in ("ethernet", "veth")


class NetworkState(Frozen):
    """The network as it is now: what convergence compares with what is desired."""

    nics: tuple[Nic, ...] = ()
    links: tuple[LinkState, ...] = ()
    routes: tuple[Route, ...] = Field(default=(), description="static ones: the kernel's own and a daemon's leases not")
    leased_routes: tuple[Route, ...] = Field(default=(), description="by DHCP or router advertisements")
    rules: tuple[Rule, ...] = ()
    dns: Dns | None = None
    sysctls: dict[str, str] = Field(
        default_factory=dict, description="below /proc/sys/net, such as ipv4/conf/all/rp_filter"
    )
    firewall_digest: str | None = Field(default=None, description="of the Firewall that is loaded")
    eips_digest: str | None = Field(default=None, description="of the EIPs that are loaded")
    filters_unread: str | None = Field(
        default=None, description="why neither is known: nf_tables could not be read. That is not: there is none"
    )

    def link(self, name: str) -> LinkState | None:
        """The link of that name."""
        return next((link for link in self.links if link.name == name), None)

    def addresses_of(self, mac: str) -> tuple[IPInterface, ...]:
        """On whatever link bears that MAC now: a NIC's bond does, and so does a VLAN with a MAC of its own."""
        return tuple(address for link in self.links if link.mac == mac for address in (*link.addresses, *link.leases))


def has_lease(links: Iterable[LinkState], leased_routes: Iterable[Route], name: str, version: int) -> bool:
    """Whether a client has brought the link an address: one with an end, or, since leases may have none, a route."""
    addresses = any(one.version == version for link in links if link.name == name for one in link.leases)
    return addresses or any(route.link == name and route.destination.version == version for route in leased_routes)

# SPDX-License-Identifier: Apache-2.0
"""Links as they shall be, or as they are: one model a kind, told apart by `kind`.

In a desired link `None` means "not specified: leave it"; an empty tuple means "none". Where a link is observed, all
that the kernel tells is filled in.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal
from zlib import crc32

from pydantic import AfterValidator, Field, field_validator

from agent.model.frozen import Frozen
from agent.model.network.values import IPAddress, IPInterface, IPNetwork, LinkName, Mac, Mtu, in_order

Ports = Annotated[
    tuple[LinkName, ...],
    AfterValidator(lambda ports: tuple(sorted(ports))),
    Field(description="names of its ports; their order tells nothing"),
]


class Bandwidth(Frozen):
    """Limits of a link's traffic, in Mbit/s (10^6 bit/s) of IP packets. `None` is no limit."""

    egress_mbps: int | None = Field(default=None, ge=1, le=400_000)
    ingress_mbps: int | None = Field(default=None, ge=1, le=400_000)
    exempt: tuple[IPNetwork, ...] = Field(
        default=(), description="traffic with these networks is not limited: an EIP's bandwidth is of the outside alone"
    )

    @property
    def handle(self) -> int | None:
        """The major number of the root qdisc that shapes so: what is loaded can be told by it. `None`: no shaping."""
        if self.egress_mbps is None and self.ingress_mbps is None:
            return None
        return 0x8000 | (crc32(self.model_dump_json().encode()) & 0x7FFE)  # 0xffff is the ingress qdisc's


class LinkSettings(Frozen):
    """What links of every kind have."""

    name: LinkName
    mac: Mac | None = Field(default=None, description="the MAC that it shall bear")
    mtu: Mtu | None = None
    up: bool = True
    addresses: tuple[IPInterface, ...] | None = Field(default=None, description="static ones; () is none")
    dhcp4: bool | None = Field(default=None, description="by the distribution's own client")
    dhcp6: bool | None = None
    accept_ra: bool | None = Field(default=None, description="IPv6 addresses and routes by router advertisements")
    bandwidth: Bandwidth | None = Field(default=None, description="Bandwidth() takes limits away")
    port_id: str | None = Field(default=None, description="the controller's name for this attachment")

    @field_validator("addresses", mode="after")
    @classmethod
    def sorted_addresses(cls, addresses: tuple[IPInterface, ...] | None) -> tuple[IPInterface, ...] | None:
        """Their order tells nothing, so it is one order."""
        return addresses and in_order(set(addresses))

    @property
    def lower(self) -> tuple[str, ...]:
        """Names of the links that this one stands on: its parent or its ports."""
        parent: str | None = getattr(self, "parent", None)
        ports: tuple[str, ...] = getattr(self, "ports", ())
        return ports if parent is None else (parent,)


class Ethernet(LinkSettings):
    """A NIC. It is found by its permanent MAC, whatever it is called: `name` is only what others call it here."""

    kind: Literal["ethernet"] = "ethernet"
    mac: Mac = Field(description="the permanent MAC by which it is found")


class BondMode(StrEnum):
    """linux/if_bonding.h, BOND_MODE_*, in the order of their numbers."""

    BALANCE_RR = "balance-rr"
    ACTIVE_BACKUP = "active-backup"
    BALANCE_XOR = "balance-xor"
    BROADCAST = "broadcast"
    LACP = "802.3ad"
    BALANCE_TLB = "balance-tlb"
    BALANCE_ALB = "balance-alb"


class HashPolicy(StrEnum):
    """linux/if_bonding.h, BOND_XMIT_POLICY_*, in the order of their numbers."""

    LAYER2 = "layer2"
    LAYER34 = "layer3+4"
    LAYER23 = "layer2+3"
    ENCAP23 = "encap2+3"
    ENCAP34 = "encap3+4"
    VLAN_SRCMAC = "vlan+srcmac"


class LacpRate(StrEnum):
    """How often LACP packets are asked for: every 30 s, or every second."""

    SLOW = "slow"
    FAST = "fast"


class Bond(LinkSettings):
    """Several NICs as one."""

    kind: Literal["bond"] = "bond"
    mode: BondMode
    ports: Ports
    miimon_ms: int | None = Field(default=None, ge=0, le=60_000)
    lacp_rate: LacpRate | None = Field(default=None, description="of 802.3ad alone")
    hash_policy: HashPolicy | None = Field(default=None, description="of balance-xor, 802.3ad and balance-tlb")
    primary: LinkName | None = Field(default=None, description="of active-backup, balance-tlb and balance-alb")
    min_links: int | None = Field(default=None, ge=0, description="of 802.3ad")


class VlanProtocol(StrEnum):
    """The tag's EtherType: 0x8100 or, for the outer tag of QinQ, 0x88a8."""

    CUSTOMER = "802.1q"
    SERVICE = "802.1ad"


class Vlan(LinkSettings):
    """A tagged link on another."""

    kind: Literal["vlan"] = "vlan"
    parent: LinkName
    vlan_id: int = Field(ge=1, le=4094, description="IEEE 802.1Q: 0 and 4095 are reserved")
    protocol: VlanProtocol = VlanProtocol.CUSTOMER


class Vxlan(LinkSettings):
    """An Ethernet in UDP (RFC 7348). What has no known place is sent to every one of `remotes`."""

    kind: Literal["vxlan"] = "vxlan"
    vni: int = Field(ge=1, le=(1 << 24) - 1)
    local: IPAddress
    port: int = Field(default=4789, ge=1, le=65535)
    parent: LinkName | None = None
    remotes: tuple[IPAddress, ...] | None = None

    @field_validator("remotes", mode="after")
    @classmethod
    def sorted_remotes(cls, remotes: tuple[IPAddress, ...] | None) -> tuple[IPAddress, ...] | None:
        """In one order."""
        return remotes and in_order(set(remotes))


class Vrf(LinkSettings):
    """A routing table of its own for the links that are its ports."""

    kind: Literal["vrf"] = "vrf"
    table: int = Field(ge=1, le=(1 << 32) - 1)
    ports: Ports = ()


class Bridge(LinkSettings):
    """A switch in the kernel."""

    kind: Literal["bridge"] = "bridge"
    ports: Ports = ()
    stp: bool | None = None


class MacvlanMode(StrEnum):
    """linux/if_link.h, MACVLAN_MODE_*: bits, in this order."""

    PRIVATE = "private"
    VEPA = "vepa"
    BRIDGE = "bridge"
    PASSTHRU = "passthru"


class Macvlan(LinkSettings):
    """Another MAC on the same NIC."""

    kind: Literal["macvlan"] = "macvlan"
    parent: LinkName
    mode: MacvlanMode = MacvlanMode.PRIVATE


Link = Annotated[
    Ethernet | Bond | Vlan | Vxlan | Vrf | Bridge | Macvlan,
    Field(discriminator="kind"),
]
Upper = Bond | Vrf | Bridge
"""Links that have ports."""

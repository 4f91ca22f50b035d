# SPDX-License-Identifier: Apache-2.0
"""Networks of a host: NICs as observed, configuration as desired.

A NIC is found by its permanent MAC, never by its name. In a desired configuration `None` means "not specified,
leave it"; an empty tuple means "none".
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface

from pydantic import Field, field_validator, model_validator

from agent.model.fact import Fact
from agent.model.frozen import Frozen

MAC_PATTERN = r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}$"


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
    addresses: tuple[IPv4Interface, ...] = ()
    gateway: IPv4Address | None = Field(default=None, description="of the default route through this NIC")


class Method(StrEnum):
    """Where a NIC's address comes from."""

    STATIC = "static"
    DHCP = "dhcp"


class NicConfig(Frozen):
    """What one NIC shall be."""

    mac: str = Field(pattern=MAC_PATTERN)
    method: Method
    address: IPv4Interface | None = None
    gateway: IPv4Address | None = None
    mtu: int | None = Field(default=None, ge=1280, le=9216)
    dns: tuple[IPv4Address, ...] = ()
    port_id: str | None = Field(default=None, description="the controller's name for this attachment")

    @field_validator("mac", mode="before")
    @classmethod
    def lower_case(cls, mac: object) -> object:
        """MAC addresses are compared in lower case."""
        return mac.lower() if isinstance(mac, str) else mac

    @model_validator(mode="after")
    def address_fits_method(self) -> NicConfig:
        """A static NIC has an address; one by DHCP has none; the gateway is on the NIC's own network."""
        if (self.method is Method.STATIC) != (self.address is not None):
            raise ValueError("a static NIC has an address, and a DHCP one has none")
        if self.address and self.gateway and self.gateway not in self.address.network:
            raise ValueError(f"gateway {self.gateway} is not in {self.address.network}")
        return self


class NetworkConfig(Frozen):
    """The NICs that a server shall have; the first is the primary one and carries the default route."""

    nics: tuple[NicConfig, ...] = ()

    @model_validator(mode="after")
    def nothing_twice(self) -> NetworkConfig:
        """One MAC, one entry; one address, one owner."""
        macs = [nic.mac for nic in self.nics]
        addresses = [nic.address.ip for nic in self.nics if nic.address]
        if len(set(macs)) < len(macs):
            raise ValueError("two NICs have the same MAC")
        if len(set(addresses)) < len(addresses):
            raise ValueError("two NICs have the same address")
        return self


class NetworkState(Frozen):
    """The NICs as they are now: what convergence compares with what is desired."""

    nics: tuple[Nic, ...] = ()

    def by_mac(self, mac: str) -> Nic | None:
        """The NIC with that permanent MAC."""
        return next((nic for nic in self.nics if nic.mac == mac), None)

# SPDX-License-Identifier: Apache-2.0
"""A NIC in full: its driver, what it can do, what is plugged into it, and who is at the other end of the cable."""

from __future__ import annotations

from pydantic import Field

from agent.model.fact import Fact
from agent.model.frozen import Frozen
from agent.model.lldp import LldpNeighbour
from agent.model.network import Nic


class LinkModes(Frozen):
    """What a link can do, offers, and is offered; ethtool's words."""

    speed_mbps: int | None = None
    duplex: str | None = None
    port: str | None = Field(default=None, description="TP, FIBRE, DA …")
    is_autonegotiated: bool = False
    supported: tuple[str, ...] = ()
    advertised: tuple[str, ...] = ()
    partner: tuple[str, ...] = ()


class Transceiver(Frozen):
    """A pluggable module, or a cable with modules at its ends. Power is volatile, and not told by all."""

    kind: str = Field(description="SFP, QSFP28, QSFP-DD …")
    vendor: str | None = None
    part: str | None = None
    revision: str | None = None
    serial: str | None = None
    made: str | None = Field(default=None, description="the maker's date code")
    connector: str | None = None
    wavelength_nm: float | None = None
    cable_m: int | None = None
    temperature_celsius: float | None = None
    receive_power_mw: float | None = None
    transmit_power_mw: float | None = None


class NicInFull(Nic):
    """A NIC with what only its driver and its cable know."""

    driver_version: Fact[str] = None
    firmware: Fact[str] = None
    link: Fact[LinkModes] = None
    virtual_functions: Fact[int] = Field(default=None, description="made now (SR-IOV)")
    most_virtual_functions: Fact[int] = Field(default=None, description="that it can make")
    transceiver: Fact[Transceiver] = None
    lldp: Fact[LldpNeighbour] = Field(default=None, description="None: nobody was heard")

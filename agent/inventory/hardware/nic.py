# SPDX-License-Identifier: Apache-2.0
"""NICs in full: their drivers are asked, all side by side; who is at the other end is listened to by all at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from agent.host.device_doors import Ethtool
from agent.host.doors import Files, Host
from agent.inventory.fact import attempt, number, of, said
from agent.inventory.network import nics
from agent.inventory.side_by_side import side_by_side
from agent.model.fact import Fact, Unknown, known
from agent.model.hardware import ethtool
from agent.model.hardware.nic import LinkModes, NicInFull, Transceiver
from agent.model.hardware.transceiver import transceiver
from agent.model.lldp import LldpNeighbour, neighbour
from agent.model.network import Nic

NOT_LISTENED = Unknown(unknown="not listened to: say for how long")


class Told(NamedTuple):
    """What a driver said."""

    driver_version: Fact[str] = None
    firmware: Fact[str] = None
    link: Fact[LinkModes] = None
    virtual_functions: Fact[int] = None
    most_virtual_functions: Fact[int] = None
    transceiver: Fact[Transceiver] = None


def nics_in_full(host: Host, limit_s: float, listen_s: float) -> tuple[NicInFull, ...]:
    """Every NIC. Switches announce themselves every 30 s: with `listen_s` of 0 nobody is waited for. Raises
    `HostError`, as `nics` does.
    """
    found = nics(host)
    told = side_by_side({one.name: partial(asked, host, one.name) for one in found}, limit_s, at_once=1)
    heard = attempt(lambda: listened(host, found, listen_s))
    return tuple(
        NicInFull(**dict(one), **answers(told[one.name]), lldp=other_end(one, heard, listen_s)) for one in found
    )


def answers(told: Told | Unknown) -> dict[str, object]:
    """What did not answer is unknown in every place."""
    return dict.fromkeys(Told._fields, told) if isinstance(told, Unknown) else told._asdict()


def asked(host: Host, name: str) -> Told:
    """One driver."""
    driver = attempt(lambda: driver_of(host.ethtool, name))
    return Told(
        driver_version=of(driver, lambda one: said(one.version)),
        firmware=of(driver, lambda one: said(one.firmware)),
        link=attempt(lambda: link_of(host.ethtool, name)),
        virtual_functions=functions(host.files, name, "sriov_numvfs"),
        most_virtual_functions=functions(host.files, name, "sriov_totalvfs"),
        transceiver=attempt(lambda: module_of(host.ethtool, name)),
    )


def functions(files: Files, name: str, which: str) -> Fact[int]:
    """Of SR-IOV; `None` for a NIC without."""
    return number(files, f"/sys/class/net/{name}/device/{which}")


def driver_of(ask: Ethtool, name: str) -> ethtool.Driver | None:
    """Raises `DeviceError`, `DecodeError`."""
    answer = ask(name, ethtool.ask_driver())
    return None if answer is None else ethtool.driver(answer)


def link_of(ask: Ethtool, name: str) -> LinkModes | None:
    """First how much room there must be, then the settings. Raises `DeviceError`, `DecodeError`."""
    first = ask(name, ethtool.ask_link())
    answer = None if first is None else ask(name, ethtool.ask_link(ethtool.words(first)))
    return None if answer is None else ethtool.link(answer)


def module_of(ask: Ethtool, name: str) -> Transceiver | None:
    """`None` for a NIC without a cage, and for an empty one. Raises `DeviceError`, `DecodeError`."""
    answer = ask(name, ethtool.ask_module())
    length = 0 if answer is None else ethtool.module(answer)[1]
    raw = ask(name, ethtool.ask_eeprom(length)) if length else None
    return None if raw is None else transceiver(ethtool.eeprom(raw))


def listened(host: Host, found: tuple[Nic, ...], listen_s: float) -> Mapping[str, bytes]:
    """To all that have a carrier, side by side. Raises `HostError`."""
    names = [one.name for one in found if known(one.carrier)]
    return host.lldp(names, listen_s) if names and listen_s > 0 else {}


def other_end(one: Nic, heard: Mapping[str, bytes] | Unknown, listen_s: float) -> Fact[LldpNeighbour]:
    """`None` where nobody was heard."""
    if isinstance(heard, Unknown):
        return heard
    if listen_s <= 0:
        return NOT_LISTENED
    return attempt(lambda: neighbour(heard[one.name])) if one.name in heard else None

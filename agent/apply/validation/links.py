# SPDX-License-Identifier: Apache-2.0
"""Tests of the network: what NICs and their cables are capable of and do, who is at the other end, what gets lost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Event

from agent.apply.validation.bus import link_of, short_of, words
from agent.apply.validation.trials import Bench, Figures, Verdicts, degraded, failed, passed, skipped
from agent.errors import DecodeError, TimeOver
from agent.host.doors import Files
from agent.host.network_doors import Tables
from agent.model.burn_in import Verdict
from agent.model.fact import Unknown, known
from agent.model.hardware import Hardware
from agent.model.hardware.nic import NicInFull
from agent.model.lldp import neighbour
from agent.model.network import IPAddress
from agent.model.validation import Trial, codes

MODE = re.compile(r"([0-9]+)base.*")
LISTEN_S = 2.0
"""In pieces, so that whoever calls a validation off does not wait for a switch."""
PAUSE_S = 0.05
"""Between two packets: routers answer only so many a second."""
PATIENCE_S = 1.0
FIRST = 5
"""So many packets without an answer, from the first on, and nobody is there."""
SMALL_BYTES = 84
"""As ping sends them: any path carries that."""
COUNTERS = ("rx_errors", "rx_crc_errors", "rx_missed_errors", "tx_errors", "tx_carrier_errors")
"""Documentation/ABI/testing/sysfs-class-net-statistics. Dropped packets are no errors: nobody may have wanted them."""


@dataclass
class Tally:
    """Of one gateway. `only_small`: it answers no echo that is as long as the link's MTU."""

    mtu: int
    by_echo: bool = True
    only_small: bool = False
    done: int = 0
    lost: int = 0


def state(bench: Bench, trial: Trial) -> Verdicts:
    """Each NIC by itself, and how many have a carrier."""
    nics = bench.hardware.nics
    if isinstance(nics, Unknown):
        return (skipped(trial, codes.UNKNOWN, nics.unknown),)
    found = tuple(judged_link(trial, bench.hardware, one) for one in nics)
    count, least = sum(known(one.carrier) is True for one in nics), trial.settings["links"]
    if count < least:
        told = f"{count} of {len(nics)} NICs have a carrier, and {least} must have one"
        return (failed(trial, codes.NO_CARRIER, told, figures={"NICs": len(nics), "carriers": count}), *found)
    return found or (skipped(trial, codes.NOT_APPLICABLE, "this machine has no NIC"),)


def judged_link(trial: Trial, hardware: Hardware, nic: NicInFull) -> Verdict:
    """The cable's side and the bus' side. A port without a cable is no fault of its own."""
    bus = link_of(hardware, known(nic.pci_address))
    figures: Figures = {"bus": words(bus)} if bus and bus.width_lanes else {}
    missing = short_of(bus) if bus else None
    if missing:
        return degraded(trial, codes.NIC_BUS, missing, nic.name, figures)
    if known(nic.carrier) is not True:
        why = str(nic.carrier) if isinstance(nic.carrier, Unknown) else "no carrier"
        return skipped(trial, codes.NO_CARRIER, why, nic.name, figures)
    speed, link = known(nic.speed_mbps), known(nic.link)
    best = max((mbps(mode) for mode in link.supported), default=0) if link else 0
    figures |= {"Mbit/s": speed if speed else "not told"}
    if speed and speed < best:
        return degraded(trial, codes.NIC_LINK, f"{speed} of {best} Mbit/s", nic.name, figures)
    if link and link.duplex == "half":
        return degraded(trial, codes.NIC_LINK, "half duplex", nic.name, figures)
    return passed(trial, nic.name, figures)


def mbps(mode: str) -> int:
    """`25000baseCR/Full` → 25000."""
    found = MODE.fullmatch(mode)
    return int(found[1]) if found else 0


def neighbours(bench: Bench, trial: Trial) -> Verdicts:
    """All NICs at once. A switch that does not speak LLDP is no fault."""
    nics = () if isinstance(bench.hardware.nics, Unknown) else bench.hardware.nics
    names = [one.name for one in nics if known(one.carrier)]
    heard: dict[str, bytes] = {}
    clock, seconds = bench.host.clock, trial.settings["seconds"]
    began_s = clock.monotonic_s()
    while len(heard) < len(names) and (now_s := clock.monotonic_s() - began_s) < seconds:
        bench.course.tell(f"{now_s:.0f} of {seconds} s, {len(heard)} of {len(names)} NICs heard somebody")
        silent = [name for name in names if name not in heard]
        heard |= bench.host.lldp(silent, min(LISTEN_S, seconds - now_s))
    if not names:
        return (skipped(trial, codes.NOT_APPLICABLE, "no NIC has a carrier"),)
    return tuple(judged_neighbour(trial, name, heard.get(name), seconds) for name in names)


def judged_neighbour(trial: Trial, name: str, unit: bytes | None, seconds: int) -> Verdict:
    """The other end of one cable."""
    if unit is None:
        return skipped(trial, codes.NOT_APPLICABLE, f"nobody spoke LLDP in {seconds} s", name)
    try:
        other = neighbour(unit)
    except DecodeError as error:
        return skipped(trial, codes.UNKNOWN, str(error), name)
    told = {"switch": other.system_name or other.chassis_id, "port": other.port_id, "VLAN": other.port_vlan_id}
    return passed(trial, name, {word: value for word, value in told.items() if value is not None})


def asked_of(tables: Tables) -> tuple[tuple[str, IPAddress], ...]:
    """Each link with a gateway of a default route, once."""
    routes = (*tables.routes, *tables.leased_routes)
    return tuple(
        dict.fromkeys((one.link, one.gateway) for one in routes if one.is_default and one.link and one.gateway)
    )


def gateways(bench: Bench, trial: Trial) -> Verdicts:
    """Those of default routes, wherever they lead through: a bond, a VLAN. NICs' errors are counted meanwhile."""
    tables = bench.host.netlink.tables()
    mtus, asked = {link.name: link.mtu for link in tables.links}, asked_of(tables)
    if not asked:
        return (skipped(trial, codes.NOT_APPLICABLE, "there is no default route"),)
    nics = () if isinstance(bench.hardware.nics, Unknown) else bench.hardware.nics
    names = [one.name for one in nics]
    before = counted(bench.host.files, names)
    found = tuple(
        pinged(bench, trial, (link, gateway, mtus.get(link, 1500)), f"{place} of {len(asked)}")
        for place, (link, gateway) in enumerate(asked, start=1)
    )
    return (*found, *judged_errors(trial, before, counted(bench.host.files, names)))


def pinged(bench: Bench, trial: Trial, way: tuple[str, IPAddress, int], place: str) -> Verdict:
    """Many packets to one gateway. One that answers no echo is asked for its MAC instead: it is there, too, and nothing
    is known of its MTU. What was counted when the time is over is judged all the same.
    """
    link, gateway, mtu = way
    tally, probe = Tally(mtu), bench.host.probe
    with suppress(TimeOver):
        bench.course.tell(f"gateway {place}")
        tally.by_echo = any(probe.echo(link, gateway, mtu, PATIENCE_S) for _ in range(FIRST))
        if not tally.by_echo:
            tally.only_small = any(probe.echo(link, gateway, SMALL_BYTES, PATIENCE_S) for _ in range(FIRST))
        if not tally.only_small:
            count_lost(bench, trial, (link, gateway, place), tally)
    return judged_gateway(trial, f"{gateway} through {link}", tally)


def count_lost(bench: Bench, trial: Trial, way: tuple[str, IPAddress, str], tally: Tally) -> None:
    """One packet after the other, until there are enough, or nobody is there. Raises `TimeOver`, `Recalled`."""
    (link, gateway, place), probe, count = way, bench.host.probe, trial.settings["packets"]
    while tally.done < count and not tally.lost == tally.done == FIRST:
        bench.course.tell(f"gateway {place}, {tally.done} of {count} packets, {tally.lost} lost")
        if tally.by_echo:
            answered = probe.echo(link, gateway, tally.mtu, PATIENCE_S)
        else:
            answered = probe.neighbour(link, gateway, PATIENCE_S)
        tally.done, tally.lost = tally.done + 1, tally.lost + (not answered)
        bench.host.clock.wait(Event(), PAUSE_S)


def judged_gateway(trial: Trial, who: str, one: Tally) -> Verdict:
    """By what came back of what was sent."""
    count = trial.settings["packets"]
    if one.only_small:
        told = f"it answers echoes of {SMALL_BYTES} bytes, and none of {one.mtu}, which is the link's MTU"
        return failed(trial, codes.MTU, told, who, {"bytes": one.mtu})
    asked: Figures = {"bytes": one.mtu} if one.by_echo else {"asked by": "ARP or neighbour discovery"}
    figures: Figures = {"packets": one.done, "lost": one.lost, **asked}
    if one.lost == one.done >= min(FIRST, count):
        return failed(trial, codes.GATEWAY_SILENT, "it answers neither an echo nor who it is", who, figures)
    if one.lost and one.lost * 100 >= trial.settings["loss"] * one.done:
        return degraded(trial, codes.LOSS, f"{one.lost} of {one.done} packets were lost", who, figures)
    if one.done < count:
        return skipped(trial, codes.TIME_OVER, f"{one.done} of {count} packets were sent", who, figures)
    if not one.by_echo:
        return skipped(trial, codes.UNKNOWN, "it is there, but no echo tells whether it has our MTU", who, figures)
    return passed(trial, who, figures)


def counted(files: Files, names: list[str]) -> dict[str, dict[str, int]]:
    """By NIC and counter."""
    found: dict[str, dict[str, int]] = {}
    for name in names:
        folder = f"/sys/class/net/{name}/statistics"
        there = [one for one in COUNTERS if files.exists(f"{folder}/{one}")]
        values = {one: files.read_text(f"{folder}/{one}").strip() for one in there}
        found[name] = {one: int(value) for one, value in values.items() if value.isdecimal()}
    return found


def judged_errors(
    trial: Trial, before: Mapping[str, Mapping[str, int]], after: Mapping[str, Mapping[str, int]]
) -> Verdicts:
    """Of each NIC that counted more of them."""
    found = []
    for name, counts in after.items():
        more: Figures = {one: counts[one] - before[name].get(one, 0) for one in counts}
        grown = {one: count for one, count in more.items() if isinstance(count, int) and count > 0}
        if grown:
            told = ", ".join(f"{count} {one}" for one, count in grown.items())
            found.append(degraded(trial, codes.NIC_ERRORS, told, name, dict(grown)))
    return tuple(found)

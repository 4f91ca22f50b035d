# SPDX-License-Identifier: Apache-2.0
"""The catalogue: every test there is, and which of them a request means, with what settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from agent.errors import InputError
from agent.model.validation import PROFILES, Parameter, Part, Profile, Test, Trial

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
DOING = "choosing the tests"


def seconds(quick: int, standard: int, long: int, means: str = "how long it runs") -> Parameter:
    """For how long."""
    return Parameter(name="seconds", unit="s", least=1, most=30 * DAY_S, values=(quick, standard, long), means=means)


def share(name: str, values: tuple[int, int, int], means: str) -> Parameter:
    """Of a hundred."""
    return Parameter(name=name, unit="%", least=1, most=100, values=values, means=means)


def amount(name: str, unit: str, most: int, values: tuple[int, int, int], means: str, least: int = 0) -> Parameter:
    """A number of something."""
    return Parameter(name=name, unit=unit, least=least, most=most, values=values, means=means)


CATALOGUE: tuple[Test, ...] = (
    Test(
        name="cpu.answers",
        part="cpu",
        proves="each logical processor, one by one, gives known answers: integers, floating point, SHA, AES",
        parameters=(amount("rounds", "rounds", 100_000, (2, 10, 200), "on each processor", least=1),),
        limit_s=HOUR_S,
    ),
    Test(
        name="cpu.load",
        part="cpu",
        proves="all processors at once give known answers, none is far slower than the others, none is slowed by heat",
        parameters=(seconds(10, 300, 4 * HOUR_S),),
        limit_s=10 * MINUTE_S,
    ),
    Test(
        name="memory.errors",
        part="memory",
        proves="memory controllers have counted no errors since the machine was booted (EDAC)",
        limit_s=MINUTE_S,
    ),
    Test(
        name="memory.patterns",
        part="memory",
        proves="memory that is free keeps patterns: noise, its complement, cells against their neighbours",
        parameters=(seconds(10, 600, 8 * HOUR_S), share("percent", (10, 75, 95), "of the memory that is free")),
        limit_s=10 * MINUTE_S,
    ),
    Test(
        name="memory.bandwidth",
        part="memory",
        proves="how much all processors together can copy",
        parameters=(
            seconds(3, 10, 60),
            amount("least", "MB/s", 10_000_000, (0, 0, 0), "less is degraded; 0: only measured"),
        ),
        limit_s=5 * MINUTE_S,
    ),
    Test(
        name="disk.health",
        part="disk",
        proves="disks say that they are well (SMART, NVMe's health log), and are not worn out",
        parameters=(share("used", (90, 90, 90), "of its endurance: more is degraded"),),
        limit_s=MINUTE_S,
    ),
    Test(
        name="disk.self_test",
        part="disk",
        proves="the last self-tests that disks have done found nothing; none is begun",
        limit_s=2 * MINUTE_S,
    ),
    Test(
        name="disk.link",
        part="disk",
        proves="disks are attached as fast and as wide as they can be (SATA, PCI Express)",
        limit_s=MINUTE_S,
    ),
    Test(
        name="disk.read",
        part="disk",
        proves="disks can be read, from one end to the other and at random, and none is far slower than its siblings",
        parameters=(
            seconds(6, 30, 300, "for each of both ways of reading"),
            share("least", (70, 70, 70), "of its siblings' median: less is degraded"),
            amount("stall", "ms", 600_000, (3000, 3000, 3000), "a read that takes longer is degraded", least=1),
        ),
        limit_s=10 * MINUTE_S,
    ),
    Test(
        name="disk.surface",
        part="disk",
        proves="every byte of the disks can be read",
        profiles=("long",),
        limit_s=DAY_S,
    ),
    Test(
        name="disk.write",
        part="disk",
        proves="every byte of the disks keeps what is written to it",
        parameters=(
            amount("loops", "loops", 1000, (1, 1, 4), "whole passes of writing and reading", least=1),
            amount("stall", "ms", 600_000, (30_000,) * 3, "an order that takes longer is degraded", least=1),
        ),
        limit_s=DAY_S,
        destroys=True,
    ),
    Test(
        name="network.link",
        part="network",
        proves="NICs have a carrier, at the speed and width that they are capable of, on both of their sides",
        parameters=(amount("links", "NICs", 1024, (1, 1, 1), "that must have a carrier"),),
        limit_s=MINUTE_S,
    ),
    Test(
        name="network.neighbour",
        part="network",
        proves="which switch and port each NIC is plugged into (LLDP)",
        profiles=("standard", "long"),
        parameters=(seconds(35, 35, 65, "how long switches are listened to"),),
        limit_s=5 * MINUTE_S,
    ),
    Test(
        name="network.gateway",
        part="network",
        proves="gateways answer packets of the whole MTU, none is lost, and no NIC counts an error meanwhile",
        parameters=(
            amount("packets", "packets", 1_000_000, (20, 500, 20_000), "to each gateway", least=1),
            share("loss", (1, 1, 1), "of the packets: this much, or more, is degraded"),
        ),
        limit_s=HOUR_S,
    ),
)
BY_NAME: Mapping[str, Test] = {one.name: one for one in CATALOGUE}


def chosen(
    profile: Profile, parts: tuple[Part, ...], names: tuple[str, ...], settings: Mapping[str, int], *, wipe: bool
) -> tuple[Trial, ...]:
    """In the catalogue's order: those of the profile, of these parts if any are given; or those that are named. One
    that destroys is done only where that is allowed. Raises `InputError`.
    """
    unknown = [one for one in names if one not in BY_NAME]
    if unknown:
        raise InputError(DOING, f"no test is called {', '.join(unknown)}; there is {', '.join(BY_NAME)}")
    meant = [one for one in CATALOGUE if (one.name in names if names else profile in one.profiles)]
    meant = [one for one in meant if not parts or one.part in parts]
    forbidden = [one.name for one in meant if one.destroys and one.name in names and not wipe]
    if forbidden:
        told = f"{', '.join(forbidden)} destroys what is on a disk"
        raise InputError(DOING, told, hint="Name the disks, and say that they may be wiped: --disk SERIAL --wipe.")
    meant = [one for one in meant if wipe or not one.destroys]
    if wipe and not any(one.destroys for one in meant):
        raise InputError(DOING, "disks are to be wiped, and no test that is chosen does that")
    if not meant:
        raise InputError(DOING, "none is left")
    must_be_settings(tuple(meant), settings)
    return tuple(trial(one, profile, settings) for one in meant)


def must_be_settings(tests: tuple[Test, ...], settings: Mapping[str, int]) -> None:
    """Each sets something that is tested, by `test.parameter` or, for all tests that have it, by `parameter`."""
    there = {name for test in tests for each in test.parameters for name in (each.name, f"{test.name}.{each.name}")}
    unknown = sorted(set(settings) - there)
    if unknown:
        known = ", ".join(sorted(name for name in there if "." in name)) or "none"
        raise InputError(DOING, f"nothing that is chosen has a parameter {', '.join(unknown)}; there is {known}")


def trial(test: Test, profile: Profile, settings: Mapping[str, int]) -> Trial:
    """A test with its settings. Raises `InputError` for one that is out of bounds."""
    decided: dict[str, int] = {}
    for each in test.parameters:
        value = settings.get(f"{test.name}.{each.name}", settings.get(each.name, each.values[PROFILES.index(profile)]))
        if not each.least <= value <= each.most:
            told = f"{test.name}.{each.name} is {value}; it may be from {each.least} to {each.most} {each.unit}"
            raise InputError(DOING, told)
        decided[each.name] = value
    lasts = decided.get("seconds", 1) * (2 if test.name == "disk.read" else 1)
    return Trial(test=test.name, part=test.part, settings=decided, limit_s=test.limit_s + lasts, seconds=lasts)

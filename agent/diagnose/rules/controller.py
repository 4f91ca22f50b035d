# SPDX-License-Identifier: Apache-2.0
"""Rules about the way to the controller, and about the clock, without which nobody trusts anybody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from agent.diagnose.seen import Seen, items
from agent.model.fact import Unknown, known
from agent.model.finding import Finding, Severity
from agent.model.ladder import Ladder, Step
from agent.model.status import OPEN

CODES = {
    Step.DNS: ("CONTROLLER.NO_NAME", "its name cannot be looked up", "Check the name, and the name servers."),
    Step.ROUTE: ("CONTROLLER.NO_ROUTE", "no route leads there", "Check addresses and routes: bms-agent network show."),
    Step.TCP: (
        "CONTROLLER.NO_CONNECTION",
        "it takes no connection",
        "Check that it runs, its port, and the firewalls between.",
    ),
    Step.TLS: (
        "CONTROLLER.TLS_REFUSED",
        "TLS is refused",
        "Check the server's certificate, its name and dates, this machine's clock, and which authorities it trusts.",
    ),
    Step.HTTP: ("CONTROLLER.NO_HTTP", "what answers there is not a controller that works", "See the controller's log."),
}
OFF_S, FAR_OFF_S = 30.0, 300.0
"""Certificates of a new cloud begin to be valid now: a clock that is minutes behind finds none of them good."""
NOT_BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
"""This program is younger than that."""


def not_named(seen: Seen) -> Iterator[Finding]:
    """An agent that serves nobody."""
    if isinstance(seen.place, Unknown) or seen.place.mode != "ramdisk" or seen.place.fault is not None:
        return
    if seen.place.controllers or known(seen.status) is not None:
        return
    if seen.place.asks_around:
        yield Finding(
            severity=Severity.ERROR,
            code="CONTROLLER.NOT_FOUND",
            what="nobody on the network says where Ironic is",
            why="the kernel's command line leaves it to multicast DNS, and the agent has no answer yet",
            to_do="Set [conductor]enable_mdns and let multicast reach this network; or ipa-api-url=URL.",
        )
    else:
        yield Finding(
            severity=Severity.ERROR,
            code="CONTROLLER.NOT_NAMED",
            what="this ramdisk was booted without being told its controller",
            why="the kernel's command line has neither bms.controller nor ipa-api-url, and the agent knows of none",
            to_do="Boot it by the controller's boot script, or add bms.controller=URL.",
        )


def not_reached(seen: Seen) -> Iterator[Finding]:
    """The first rung that bears nothing says what to look at. Of several, one that answers is enough; so is that the
    agent itself is heard: it may trust an authority that came by virtual media, which this look knows nothing of.
    """
    ladders = items(seen.ladders)
    one_answers = any(ladder.broken is None for ladder in ladders) or is_heard(seen)
    for ladder in ladders:
        if (rung := ladder.broken) is not None:
            code, what, to_do = CODES[rung.step]
            yield Finding(
                severity=Severity.WARNING if one_answers else Severity.ERROR,
                code=code,
                what=f"the controller {ladder.url} is not reached: {what}",
                why=str(ladder),
                to_do=to_do,
            )


def is_heard(seen: Seen) -> bool:
    """In the agent's own words, if it lives."""
    status = known(seen.status)
    if status is None or status.doing not in OPEN or seen.is_running is False:
        return False
    return not any(fault.code.startswith("LINK.") for fault in status.faults)


def reached(seen: Seen) -> Iterator[Finding]:
    """It answers; and how long each rung takes."""
    for ladder in items(seen.ladders):
        if ladder.broken is None and ladder.rungs:
            yield Finding(
                severity=Severity.NOTICE,
                code="CONTROLLER.REACHED",
                what=f"the controller {ladder.url} answers",
                why=str(ladder),
                to_do="Nothing.",
            )


def clock_off(seen: Seen) -> Iterator[Finding]:
    """Against the controller's, which may be the wrong one of the two."""
    for ladder in items(seen.ladders):
        off_s = behind_s(ladder)
        if off_s is not None and abs(off_s) > OFF_S:
            side = "behind" if off_s > 0 else "ahead of"
            yield Finding(
                severity=Severity.ERROR if abs(off_s) > FAR_OFF_S else Severity.WARNING,
                code="CLOCK.OFF",
                what=f"this machine's clock is {abs(off_s):.0f} s {side} the controller's",
                why=f"here {ladder.our_time:%Y-%m-%d %H:%M:%S}, there {ladder.server_time:%Y-%m-%d %H:%M:%S} UTC",
                to_do="Set it (timedatectl, chronyc makestep), and see why nobody keeps it; it may be the other one.",
            )


def behind_s(ladder: Ladder) -> float | None:
    """By how much we are."""
    if ladder.server_time is None or ladder.our_time is None:
        return None
    return (ladder.server_time - ladder.our_time).total_seconds()


def clock_unset(seen: Seen) -> Iterator[Finding]:
    """A battery that is empty: the year is that of the firmware. This needs no network to be seen."""
    if not isinstance(seen.now, Unknown) and seen.now < NOT_BEFORE:
        yield Finding(
            severity=Severity.ERROR,
            code="CLOCK.UNSET",
            what="this machine's clock was never set",
            why=f"it says {seen.now:%Y-%m-%d}, which is before this program was made",
            to_do="Set it (timedatectl set-time); replace the board's battery if it forgets it again.",
        )

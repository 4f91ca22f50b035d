# SPDX-License-Identifier: Apache-2.0
"""The rules: each looks at what was seen, and yields findings. Pure: no door, no clock. A rule is added to the table.

An `ERROR` is what keeps this machine from working, or is about to; a `WARNING`, what somebody should see to; a
`NOTICE`, what helps to understand the rest. A fact that is unknown yields nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.diagnose.rules import agent, boot, controller, disk, memory, network
from agent.diagnose.seen import Seen
from agent.model.finding import Finding, Severity

Rule = Callable[[Seen], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    agent.not_asked,
    agent.configuration,
    agent.not_running,
    agent.crashed,
    agent.memory_damaged,
    agent.cannot_write,
    agent.job_failed,
    agent.job_unfinished,
    agent.disk_silent,
    agent.own_words,
    agent.reports_waiting,
    network.no_nic,
    network.no_carrier,
    network.no_address,
    network.no_default_route,
    network.gateway_silent,
    network.mtu_black_hole,
    network.name_servers_silent,
    network.links,
    network.vlan_not_announced,
    network.change_pending,
    network.not_applied,
    controller.not_named,
    controller.not_reached,
    controller.reached,
    controller.clock_off,
    controller.clock_unset,
    memory.errors,
    disk.failing,
    disk.unwell,
    disk.offline,
    disk.no_disks,
    disk.same_name_twice,
    disk.array_degraded,
    boot.wrong_mode,
    boot.wrong_order,
    boot.stale_entries,
)
ORDER = {severity: place for place, severity in enumerate(Severity)}


def judged(seen: Seen) -> tuple[Finding, ...]:
    """Everything that every rule found, worst first; within that in the table's order, which goes from the agent
    outwards. The same thing found by two rules is told once.
    """
    found = dict.fromkeys(finding for rule in RULES for finding in rule(seen))
    return tuple(sorted(found, key=lambda finding: ORDER[finding.severity]))

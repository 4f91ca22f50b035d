# SPDX-License-Identifier: Apache-2.0
"""Doing the network's steps: what the kernel is told goes out in batches, the rest one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import cast, get_args

from agent.apply.network.bandwidth import limit_bandwidth
from agent.apply.network.firewall import change_members, replace_firewall, set_eips
from agent.apply.network.persist import persist
from agent.apply.network.prove import prove
from agent.errors import AgentError, HostError, PreconditionError
from agent.host.doors import Host
from agent.host.network_doors import KernelStep
from agent.model.network import Bond
from agent.model.network.plan import NicMustBe
from agent.model.network.proof import ProveNetwork
from agent.model.network.step import (
    ChangeMembers,
    CreateLink,
    LimitBandwidth,
    NetworkStep,
    PersistNetwork,
    ReplaceFirewall,
    SetEips,
    SetSysctl,
)

KERNEL = get_args(KernelStep)
BONDING = "/sys/class/net/bonding_masters"
MODPROBE = tuple(f"{folder}/modprobe.d/systemd.conf" for folder in ("/usr/lib", "/lib"))
"""systemd's, with `options bonding max_bonds=0`: the kernel then loads the driver by itself, and rightly."""


def check_nic(host: Host, nic: NicMustBe) -> None:
    """Raises `PreconditionError` if no NIC of that name has that MAC."""
    links = host.netlink.tables().links
    found = next((link for link in links if link.name == nic.name), None)
    if found is None or (found.permanent_mac or found.mac) != nic.mac:
        there = ", ".join(f"{link.name} {link.permanent_mac or link.mac}" for link in links)
        raise PreconditionError(f"finding the NIC {nic.mac} as {nic.name}", f"links here: {there or 'none'}")


def apply_network(host: Host, steps: Sequence[NetworkStep], doing: Callable[[NetworkStep], None]) -> None:
    """In order; `doing` hears of each. Doing them again changes nothing. Raises `HostError`."""
    for in_kernel, group in groupby(steps, key=lambda step: isinstance(step, KERNEL)):
        if in_kernel:
            batch = list(group)
            for step in batch:
                doing(step)
            prepare(host, batch)
            host.netlink.change(cast(list[KernelStep], batch))
        else:
            for step in group:
                doing(step)
                one(host, step)


def prepare(host: Host, batch: Sequence[NetworkStep]) -> None:
    """The bonding driver makes a bond0 of its own when it comes, unless it is told not to (bonding.rst, max_bonds)."""
    bonds = any(isinstance(step, CreateLink) and isinstance(step.link, Bond) for step in batch)
    if bonds and not any(host.files.exists(path) for path in (BONDING, *MODPROBE)):
        try:
            host.run(["modprobe", "bonding", "max_bonds=0"])
        except AgentError as error:
            raise HostError("loading the bonding driver", hint="Its kernel has no module 'bonding'.") from error


def one(host: Host, step: NetworkStep) -> None:
    """What is no netlink message."""
    match step:
        case SetSysctl():
            set_sysctl(host, step)
        case ReplaceFirewall():
            replace_firewall(host, step)
        case ChangeMembers():
            change_members(host, step)
        case SetEips():
            set_eips(host, step)
        case LimitBandwidth():
            limit_bandwidth(host, step)
        case PersistNetwork():
            persist(host, step)
        case ProveNetwork():
            prove(host, step)
        case _:
            raise AssertionError(f"{step.kind} is netlink's")


def set_sysctl(host: Host, step: SetSysctl) -> None:
    """A key that a link that has just been made does not have (no IPv6 here) is nothing to set."""
    path = f"/proc/sys/net/{step.key}"
    if host.files.exists(path):
        host.files.tell(path, step.value)

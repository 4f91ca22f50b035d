# SPDX-License-Identifier: Apache-2.0
"""The checker of plans for the network: invariants derived again from the steps alone. What breaks one is refused."""

from __future__ import annotations

from posixpath import normpath

from agent.errors import PlanRefused
from agent.model.network.plan import NetworkPlan
from agent.model.network.step import (
    AddAddress,
    CreateLink,
    DeleteLink,
    PersistNetwork,
    RemoveAddress,
    SetUpper,
)

FOLDERS = (
    "/etc/systemd/network/",
    "/etc/systemd/networkd.conf.d/",
    "/etc/netplan/",
    "/etc/NetworkManager/",
    "/etc/network/",
    "/etc/sysconfig/network/",
    "/etc/sysconfig/network-scripts/",
    "/etc/udev/rules.d/",
    "/etc/cloud/cloud.cfg.d/",
    "/etc/sysctl.d/",
    "/etc/modprobe.d/",
    "/etc/modules-load.d/",
)
"""Where the files of networks are; nothing is written elsewhere."""


def check_network(plan: NetworkPlan) -> NetworkPlan:
    """The same plan, if it breaks nothing. Raises `PlanRefused` with all that it breaks."""
    broken = [*nics_live(plan), *addresses_once(plan), *files_are_the_networks(plan)]
    if broken:
        raise PlanRefused("checking the plan", "; ".join(broken))
    return plan


def nics_live(plan: NetworkPlan) -> list[str]:
    """No NIC is made or deleted, and none is told by two names."""
    nics = {one.name for one in plan.nics}
    macs = [one.mac for one in plan.nics]
    broken = ["one NIC has two names"] if len(set(macs)) < len(macs) else []
    for step in plan.steps:
        if isinstance(step, DeleteLink) and step.name in nics:
            broken.append(f"the NIC {step.name} would be deleted")
        if isinstance(step, CreateLink) and step.link.name in nics:
            broken.append(f"a virtual link would have the name of the NIC {step.link.name}")
    return broken


def addresses_once(plan: NetworkPlan) -> list[str]:
    """No address goes to two links that route together, none that is added is removed, and no link is without one while
    its address changes.
    """
    domains = {step.name: step.upper for step in plan.steps if isinstance(step, SetUpper)}
    added: dict[object, str] = {}
    removed: set[tuple[str, object]] = set()
    broken = []
    for step in plan.steps:
        if isinstance(step, RemoveAddress):
            removed.add((step.name, step.address))
        if not isinstance(step, AddAddress):
            continue
        other = added.setdefault((step.address.ip, domains.get(step.name)), step.name)
        if other != step.name and not step.address.ip.is_link_local:
            broken.append(f"{step.address.ip} is given to two links")
        if (step.name, step.address) in removed:
            broken.append(f"{step.address} is added and removed")
        if any(name == step.name for name, _ in removed):
            broken.append(f"{step.name} loses an address before it has {step.address}")
    return broken


def files_are_the_networks(plan: NetworkPlan) -> list[str]:
    """Files are written and removed only where networks have theirs."""
    return [
        f"{path} is not ours"
        for step in plan.steps
        if isinstance(step, PersistNetwork)
        for path in (*step.files, *step.removed)
        if not path.startswith(FOLDERS) or normpath(path) != path
    ]

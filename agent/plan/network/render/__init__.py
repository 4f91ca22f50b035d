# SPDX-License-Identifier: Apache-2.0
"""A configuration as the files of the program that brings the network up at boot, so that it is there before the agent.

The configuration is resolved: links bear the kernel's names, NICs are to be found by their permanent MACs. Each file
begins with the line by which it is known as ours; cloud-init is told to keep its hands off the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.model.network import Manager, NetworkConfig
from agent.plan.network.render import ifcfg, ifupdown, netplan, networkd, networkmanager, wicked
from agent.plan.network.render.mark import is_ours, marked

CLOUD_INIT_FOLDER = "/etc/cloud/cloud.cfg.d"
CLOUD_INIT = {f"{CLOUD_INIT_FOLDER}/99-bms-agent-network.cfg": marked("network: {config: disabled}\n")}

RENDERERS: dict[Manager, Callable[[NetworkConfig], dict[str, str]]] = {
    Manager.NETWORKD: networkd.render,
    Manager.NETPLAN: netplan.render,
    Manager.NETWORK_MANAGER: networkmanager.render,
    Manager.IFUPDOWN: ifupdown.render,
    Manager.IFCFG: ifcfg.render,
    Manager.WICKED: wicked.render,
}
FOLDERS: dict[Manager, tuple[str, ...]] = {
    Manager.NETWORKD: networkd.FOLDERS,
    Manager.NETPLAN: netplan.FOLDERS,
    Manager.NETWORK_MANAGER: networkmanager.FOLDERS,
    Manager.IFUPDOWN: ifupdown.FOLDERS,
    Manager.IFCFG: ifcfg.FOLDERS,
    Manager.WICKED: wicked.FOLDERS,
}


def render(manager: Manager, config: NetworkConfig) -> dict[str, str]:
    """Absolute path → text of every file of ours."""
    return dict(sorted((RENDERERS[manager](config) | CLOUD_INIT).items()))


def folders(manager: Manager) -> tuple[str, ...]:
    """Where all of them are."""
    return (*FOLDERS[manager], CLOUD_INIT_FOLDER)


def ours(manager: Manager, files: Mapping[str, str]) -> dict[str, str]:
    """Which of the present files we have written: those that nobody wants any more can go."""
    known = folders(manager)
    return {path: text for path, text in files.items() if path.rpartition("/")[0] in known and is_ours(path, text)}


def superseded(manager: Manager, config: NetworkConfig, files: Mapping[str, str]) -> dict[str, str]:
    """Which of the present files, though not ours, have to go, since the format has no other way to say less.

    Elsewhere our files come first, or are the same ones.
    """
    return ifupdown.superseded(config, files) if manager is Manager.IFUPDOWN else {}

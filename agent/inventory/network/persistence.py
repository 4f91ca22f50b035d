# SPDX-License-Identifier: Apache-2.0
"""Which program brings the network up at boot: in the running system, or in an image that is mounted.

What is enabled counts, not what is installed: distributions ship several. systemd.unit(5): an enabled unit is a link in
a `.wants` directory; an enabled script of System V is a link in /etc/rc.d/rc3.d (chkconfig(8)).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from agent.errors import PreconditionError
from agent.model.generalise import Look
from agent.model.network import Manager

UNITS = "/etc/systemd/system"
INTERFACES = "/etc/network/interfaces"
NETPLAN = "/etc/netplan"
LARGEST_BYTES = 1 << 20
IFACE = re.compile(r"^\s*iface\s+(\S+)", re.MULTILINE)


class Texts(Protocol):
    """Files, as far as they are looked at here; `doors.Files` is one."""

    def names(self, directory: str) -> tuple[str, ...]:
        """Names in a directory, sorted; empty if the directory is not there."""
        ...

    def read_text(self, path: str) -> str:
        """The whole file."""
        ...


@dataclass(frozen=True)
class TextsOf:
    """The same of a mounted image."""

    look: Look

    def names(self, directory: str) -> tuple[str, ...]:
        """Names in a directory, sorted; empty if the directory is not there."""
        return self.look.names(directory)

    def read_text(self, path: str) -> str:
        """The beginning of the file; nothing of what is no regular file."""
        return self.look.read(path, LARGEST_BYTES).decode("utf-8", errors="replace")


def manager_of(files: Texts) -> Manager:
    """The one whose files are read at boot. Raises `HostError`, and `PreconditionError` where none is enabled."""
    units = enabled(files)
    networkd, network_manager = "systemd-networkd.service" in units, "NetworkManager.service" in units
    netplan = any("netplan" in files.names(folder) for folder in ("/usr/sbin", "/sbin"))
    if "wicked.service" in units:
        return Manager.WICKED
    if any(re.fullmatch(r"S\d\dnetwork", name) for name in files.names("/etc/rc.d/rc3.d")):
        return Manager.IFCFG
    if netplan and has_yaml(files) and (networkd or not network_manager):
        return Manager.NETPLAN
    if "networking.service" in units and has_interfaces(files):
        return Manager.IFUPDOWN  # NetworkManager leaves alone what is in /etc/network/interfaces
    if network_manager:
        return Manager.NETWORK_MANAGER
    if networkd:
        return Manager.NETPLAN if netplan else Manager.NETWORKD
    if "networking.service" in units:
        return Manager.IFUPDOWN
    raise PreconditionError(
        "looking for what brings the network up at boot",
        "none of systemd-networkd, NetworkManager, ifupdown, network scripts, wicked is enabled",
        hint="Enable the one that the distribution means, such as `systemctl enable systemd-networkd`.",
    )


def enabled(files: Texts) -> set[str]:
    """Units that some other unit wants, by the administrator's or the distribution's will."""
    wants = [name for name in files.names(UNITS) if name.endswith((".wants", ".requires"))]
    return {unit for folder in wants for unit in files.names(f"{UNITS}/{folder}")}


def has_yaml(files: Texts) -> bool:
    """Whether netplan has anything to say."""
    return any(name.endswith(".yaml") for name in files.names(NETPLAN))


def has_interfaces(files: Texts) -> bool:
    """Whether ifupdown has: every Debian has its loopback there."""
    folder, _, name = INTERFACES.rpartition("/")
    paths = [INTERFACES] if name in files.names(folder) else []
    paths += [f"{INTERFACES}.d/{each}" for each in files.names(f"{INTERFACES}.d")]
    return any(link != "lo" for path in paths for link in IFACE.findall(files.read_text(path)))

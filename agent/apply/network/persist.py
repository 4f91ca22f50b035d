# SPDX-License-Identifier: Apache-2.0
"""Doing `PersistNetwork`: files for the next boot, and what has to be told to the manager that runs now.

No link goes down that is not named: links are as they shall be by netlink, and the manager is only asked for leases,
and to give up those of links that it has no file for any more. So no `netplan apply`, which takes links down, and no
`ifdown`, which takes a link's addresses along.

systemd-networkd alone is restarted, when its files have changed: `networkctl reload` (systemd 257) calls a bond failed
whose VLANs are there already, and knows nothing of networkd.conf, so that it takes away routes that it has not made
itself; a restart adopts the one and leaves the other. Both measured: tests/machine/test_network_boot.py.

NetworkManager only watches links that netlink has made, and takes them over at the next boot. A NIC for which it runs a
profile of its own ("Wired connection 1") it keeps, even as a bond's port: taking it over now would take the bond down.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from agent.errors import ToolMissing
from agent.host.doors import Host
from agent.model.network import Manager
from agent.model.network.step import PersistNetwork

SYSTEMD = "/run/systemd/system"
TIMEOUT_S = 120
"""A DHCP client tries for a minute (dhclient.conf(5), timeout)."""
SECRET = ("/etc/NetworkManager/system-connections/", "/etc/netplan/")
"""Folders whose files nobody else may read: NetworkManager ignores them otherwise, and netplan warns."""
INTERFACES = "/etc/network/interfaces.d/50-bms-agent"
IFENSLAVE = "/etc/network/if-pre-up.d/ifenslave"
IFCFG = re.compile(r".*/ifcfg-([^/]+)")
DHCP = re.compile(r"^iface (\S+) inet6? dhcp$", re.MULTILINE)


class Writable(Protocol):
    """Where files are written: `doors.Files`, of this system or of an image's root."""

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Replace the file atomically."""
        ...


def persist(host: Host, step: PersistNetwork) -> None:
    """Do the step. Doing it again changes nothing more. Raises `HostError`, `CommandFailed`."""
    check_tools(host, step.files)
    leased = leased_links(host, step)
    write_into(host.files, step.files)
    for path in step.removed:
        host.files.remove(path)
    changed = bool(step.files or step.removed)
    with_systemd = host.files.exists(SYSTEMD)
    told = [*telling(step.manager, step.activate, changed=changed), *restoring(step.manager, step.restore)]
    for argv in (*(apart(argv, with_systemd=with_systemd) for argv in told), *releasing(host, step, leased)):
        host.run(argv, timeout_s=TIMEOUT_S)


def write_into(files: Writable, texts: Mapping[str, str]) -> tuple[str, ...]:
    """Write these files, into the system that runs or into one that is mounted; which they were. Raises `HostError`."""
    for path, text in texts.items():
        files.write(path, text.encode(), mode=0o600 if path.startswith(SECRET) else 0o644)
    return tuple(texts)


def check_tools(host: Host, files: Mapping[str, str]) -> None:
    """Before anything is written: a bond that is not made at the next boot would cut the server off."""
    if "bond_mode" in files.get(INTERFACES, "") and not host.files.exists(IFENSLAVE):
        raise ToolMissing(f"writing {INTERFACES}", f"{IFENSLAVE} is not there", hint="Install the package ifenslave.")


def telling(manager: Manager, activate: Sequence[str], *, changed: bool) -> list[list[str]]:
    """Commands by which the manager reads its files, if they have changed, and asks for leases."""
    match manager:
        case Manager.NETWORKD:
            return networkd(activate, changed=changed)
        case Manager.NETPLAN:
            return [["netplan", "generate"], *networkd(activate, changed=changed)]
        case Manager.NETWORK_MANAGER:
            profiles = [f"bms-agent-{name}" for name in activate]
            return [
                ["nmcli", "connection", "reload"],
                *(["nmcli", "--wait", "60", "connection", "up", "id", profile] for profile in profiles),
            ]
        case Manager.IFUPDOWN:
            return [["ifup", "--force", name] for name in activate]
        case Manager.IFCFG:
            return [["ifup", f"ifcfg-{name}"] for name in activate]
        case Manager.WICKED:
            return [["wicked", "ifup", name] for name in activate]


def restoring(manager: Manager, links: Sequence[str]) -> list[list[str]]:
    """Commands by which whoever had a lease on these links before gets it again: by whatever file or profile it has."""
    match manager:
        case Manager.NETWORKD | Manager.NETPLAN:
            return [["networkctl", "reconfigure", *links]] if links else []
        case Manager.NETWORK_MANAGER:
            return [["nmcli", "--wait", "60", "device", "connect", name] for name in links]
        case _:
            return telling(manager, links, changed=False)


def apart(argv: list[str], *, with_systemd: bool) -> list[str]:
    """ifup(8) leaves a DHCP client behind: in a unit of its own it is neither shut in with this agent nor ended so."""
    if not with_systemd or argv[0] != "ifup":
        return argv
    forking = ["--property=Type=forking", f"--property=TimeoutStartSec={TIMEOUT_S}"]
    return ["systemd-run", "--quiet", "--collect", *forking, *argv]


def networkd(activate: Sequence[str], *, changed: bool) -> list[list[str]]:
    """A daemon that starts asks for all leases by itself. Unchanged files are read too: perhaps they never were."""
    if changed:
        return [["systemctl", "restart", "systemd-networkd.service"]]
    return [["networkctl", "reload"], *([["networkctl", "reconfigure", *activate]] if activate else [])]


def leased_links(host: Host, step: PersistNetwork) -> frozenset[str]:
    """Links with a DHCP client by our present files, for managers that forget their clients with their files."""
    if step.manager is Manager.IFUPDOWN:
        return frozenset(DHCP.findall(text_of(host, INTERFACES)))
    if step.manager is Manager.IFCFG:
        paths = {path: IFCFG.fullmatch(path) for path in (*step.files, *step.removed)}
        return frozenset(found[1] for path, found in paths.items() if found and "BOOTPROTO=dhcp" in text_of(host, path))
    return frozenset()


def text_of(host: Host, path: str) -> str:
    """Of a file that may not be there."""
    return host.files.read_text(path) if host.files.exists(path) else ""


def releasing(host: Host, step: PersistNetwork, leased: Iterable[str]) -> list[list[str]]:
    """Commands that end what no file wants any more: only clients that run are told."""
    if step.manager is Manager.WICKED:
        gone = sorted(found[1] for path in step.removed if (found := IFCFG.fullmatch(path)))
        return [["wicked", "ifdown", name] for name in gone]
    over = sorted(set(leased) - leased_links(host, step))
    return [argv for name in over for pid_file, argv in clients(name) if host.files.exists(pid_file)]


def clients(name: str) -> list[tuple[str, list[str]]]:
    """(file with its process id, command that ends it) of each DHCP client that ifup(8) may have started.

    `dhclient -x` leaves the link as it is; dhcpcd(8) `-x` takes its own lease's address along.
    """
    files = (f"/run/dhclient.{name}.pid", f"/run/dhclient-{name}.pid")  # Debian's, Red Hat's
    ends = [(path, ["dhclient", "-x", "-pf", path, name]) for path in files]
    return [*ends, *((f"/run/dhcpcd/{stem}.pid", ["dhcpcd", "-x", name]) for stem in (name, f"{name}-4"))]

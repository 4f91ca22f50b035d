# SPDX-License-Identifier: Apache-2.0
"""The network is there when the machine has booted, before any agent runs: by each manager that Debian has.

A real kernel, systemd and manager. The rendered files are put into the guest's disk as a deploy would do it; after its
boot the guest says what links, addresses, routes and rules it has, adds what an agent would add, restarts the manager,
and says it again.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.apply.network.persist import write_into
from agent.host.files import RealFiles
from agent.inventory.network.persistence import TextsOf, manager_of
from agent.model.network import Ethernet, Manager, NetworkConfig
from agent.plan.network.render import render
from tests.loops import command
from tests.machine.guest import booted

pytestmark = [pytest.mark.machine, pytest.mark.root]

BOOT_S = 600
BUILD = Path(__file__).parent / "network-guest"
QEMU_MAC = "52:54:00:12:34:56"
PORTS = ("52:54:00:00:00:01", "52:54:00:00:00:02")
UNITS = {
    Manager.NETWORKD: "systemd-networkd",
    Manager.NETPLAN: "systemd-networkd",
    Manager.NETWORK_MANAGER: "NetworkManager",
    Manager.IFUPDOWN: "networking",
}
NETWORK = NetworkConfig.model_validate(
    {
        "links": [
            {"kind": "ethernet", "name": "uplink", "mac": QEMU_MAC, "dhcp4": True, "accept_ra": False},
            {"kind": "ethernet", "name": "left", "mac": PORTS[0], "mtu": 2000},
            {"kind": "ethernet", "name": "right", "mac": PORTS[1], "mtu": 2000},
            {
                "kind": "bond",
                "name": "bond0",
                "mac": "fa:16:3e:00:00:01",
                "mtu": 2000,
                "mode": "active-backup",
                "miimon_ms": 100,
                "ports": ["left", "right"],
                "addresses": ["198.51.100.5/24", "2001:db8:1::5/64"],
                "accept_ra": False,
            },
            {
                "kind": "vlan",
                "name": "bond0.100",
                "mac": "fa:16:3e:00:00:02",
                "mtu": 1900,
                "parent": "bond0",
                "vlan_id": 100,
                "addresses": ["203.0.113.5/24", "203.0.113.6/24"],
                "accept_ra": False,
            },
            {"kind": "vlan", "name": "tenant", "parent": "bond0", "vlan_id": 7, "addresses": ["10.9.0.1/24"]},
            {"kind": "vrf", "name": "red", "table": 1001, "ports": ["tenant"]},
            {
                "kind": "vxlan",
                "name": "vx7",
                "vni": 7,
                "local": "198.51.100.5",
                "remotes": ["198.51.100.9"],
                "mtu": 1500,
            },
            {"kind": "bridge", "name": "br0", "ports": ["vx7"], "stp": False, "addresses": ["10.7.0.1/16"]},
            {
                "kind": "macvlan",
                "name": "mv0",
                "parent": "bond0",
                "mode": "bridge",
                "mac": "fa:16:3e:00:00:03",
                "addresses": ["198.51.100.6/24"],
            },
        ],
        "routes": [
            {"destination": "203.0.113.0/24", "link": "bond0.100", "source": "203.0.113.5", "table": 252},
            {"destination": "0.0.0.0/0", "gateway": "203.0.113.1", "link": "bond0.100", "table": 252},
            {"destination": "192.0.2.0/24", "gateway": "198.51.100.1", "link": "bond0", "metric": 50},
            {"destination": "2001:db8:2::/48", "gateway": "2001:db8:1::1", "link": "bond0"},
            {"destination": "10.10.0.0/16", "gateway": "10.9.0.254", "link": "tenant", "table": 1001},
            {"destination": "172.16.0.0/12", "type": "blackhole"},
        ],
        "rules": [
            {"priority": 1000, "table": 252, "source": "203.0.113.5/32"},
            {"priority": 1001, "table": 252, "version": 6, "source": "2001:db8:1::5/128"},
        ],
    }
)
"""Three NICs: one by DHCP, two in a bond with all that can stand on it."""

TELL = """#!/bin/sh
exec >/dev/ttyS0 2>&1
tell() {
    for each in $(seq 90); do
        ip -4 address show to 10.0.2.0/24 | grep -q inet && ! ip address show tentative | grep -q inet && break
        sleep 1
    done
    sleep 3
    echo; echo "told $1 links $(ip -j -d address)"
    for version in 4 6; do
        echo "told $1 routes$version $(ip -j -$version route show table all)"
        echo "told $1 rules$version $(ip -j -$version rule)"
    done
    echo "told $1 fdb $(bridge -j fdb show)"
}
tell booted
ip rule add priority 77 from 203.0.113.9 table 77
ip address add 203.0.113.77/32 dev bond0.100
ip route add 192.0.2.77/32 via 203.0.113.1 dev bond0.100
ip monitor link address route rule >/run/changes &
sleep 1
@RESTART@
tell restarted
grep '^Deleted' /run/changes | sed 's/^/lost /'
journalctl -b -o cat -p warning -u systemd-networkd -u NetworkManager -u networking | sed 's/^/warned /'
systemctl poweroff
"""
ADOPTION = "cp -r /root/later/. / && systemctl restart systemd-networkd"
"""What an agent does to a running networkd, which has seen none of these links' files before."""
UNIT = """[Unit]
After=network-online.target
Wants=network-online.target
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/tell
"""
Told = dict[str, Any]


@pytest.fixture(scope="module")
def guest() -> Path:
    """The folder with kernel, initrd and disk."""
    done = subprocess.run([str(BUILD)], stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.splitlines()[-1])


@contextmanager
def mounted(disk: Path, place: Path) -> Iterator[Path]:
    """The root of a disk without partitions."""
    place.mkdir()
    command("mount", "-o", "loop", str(disk), str(place))
    try:
        yield place
    finally:
        command("umount", str(place))


def prepare(root: Path, manager: Manager) -> None:
    """What a deploy does, and what tells us of it."""
    wants = root / "etc/systemd/system/multi-user.target.wants"
    command("systemctl", f"--root={root}", "--quiet", "enable", f"{UNITS[manager]}.service")
    files = RealFiles(str(root))
    if manager is Manager.IFUPDOWN:
        adopt_later(root)
        (root / "etc/network/interfaces").write_text(
            "source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n"
        )
    if manager is Manager.NETWORKD:
        (root / "usr/sbin/netplan").unlink()
    write_into(files, render(manager, NETWORK))
    assert manager_of(files) is manager_of(TextsOf(files.below("/"))) is manager
    restart = ADOPTION if manager is Manager.IFUPDOWN else f"systemctl restart {UNITS[manager]}"
    (root / "usr/local/sbin/tell").write_text(TELL.replace("@RESTART@", restart))
    (root / "usr/local/sbin/tell").chmod(0o755)
    (root / "etc/systemd/system/tell.service").write_text(UNIT)
    (wants / "tell.service").symlink_to("/etc/systemd/system/tell.service")
    (root / "etc/systemd/system/serial-getty@ttyS0.service").symlink_to("/dev/null")  # it would hang up on us


def adopt_later(root: Path) -> None:
    """networkd runs beside ifupdown without a file; later it gets those of all links but the one with a lease."""
    command("systemctl", f"--root={root}", "--quiet", "enable", "systemd-networkd.service")
    command("systemctl", f"--root={root}", "--quiet", "disable", "systemd-networkd-wait-online.service")
    later = render(Manager.NETWORKD, NETWORK)
    later = {path: text for path, text in later.items() if QEMU_MAC.replace(":", "") not in path}
    write_into(RealFiles(str(root)), {f"/root/later{path}": text for path, text in later.items()})


def boot(guest: Path, folder: Path, manager: Manager) -> tuple[dict[str, Told], list[str]]:
    """What it told after its boot, and after the manager's restart; and warnings, and what was lost meanwhile."""
    disk = folder / "root.ext4"
    command("cp", "--sparse=always", str(guest / "root.ext4"), str(disk))
    with mounted(disk, folder / "root") as root:
        prepare(root, manager)
    words = "root=/dev/vda rw console=ttyS0 quiet loglevel=1 mitigations=off systemd.show_status=0 selinux=0"
    extra = ["-kernel", str(guest / "vmlinuz"), "-initrd", str(guest / "initrd"), "-append", words]
    for number, mac in enumerate(PORTS):
        extra += ["-netdev", f"hubport,id=port{number},hubid=1"]
        extra += ["-device", f"virtio-net-pci,netdev=port{number},mac={mac},romfile="]
    with booted(folder / "guest", disk, *extra) as machine:
        console = machine.wait_for_end(BOOT_S)
    told: dict[str, Told] = {"booted": {}, "restarted": {}}
    for line in console.splitlines():
        if line.startswith("told "):
            _, when, what, text = line.split(" ", 3)
            told[when][what] = json.loads(text)
    return told, [line for line in console.splitlines() if line.startswith(("warned ", "lost "))]


def missing(told: Told) -> Iterator[str]:
    """What of the network is not there, in words. NICs may be called otherwise."""
    links = {link["ifname"]: link for link in told["links"]}
    nics = [link for link in told["links"] if "info_kind" not in link.get("linkinfo", {})]
    by_mac = {link.get("permaddr") or link["address"]: link for link in nics}
    for link in NETWORK.links:
        there = by_mac.get(link.mac) if isinstance(link, Ethernet) else links.get(link.name)
        if there is None:
            yield f"{link.name} is not there"
            continue
        kind = there.get("linkinfo", {}).get("info_kind", "ethernet")
        facts = {"kind": kind, "up": "UP" in there["flags"], "mtu": there["mtu"], "mac": there["address"]}
        for field, value in facts.items():
            wanted = getattr(link, field)
            if wanted not in (None, value) and not (field == "mac" and isinstance(link, Ethernet)):
                yield f"{field} of {link.name} is {value}, not {wanted}"
        addresses = {f"{one['local']}/{one['prefixlen']}" for one in there["addr_info"]}
        yield from (f"{link.name} has no {one}" for one in link.addresses or () if str(one) not in addresses)
        if link.dhcp4 and not any(one.startswith("10.0.2.") for one in addresses):
            yield f"{link.name} has no lease"
    yield from missing_routing(told)


def missing_routing(told: Told) -> Iterator[str]:
    """The same of routes and rules."""
    for route in NETWORK.routes or ():
        wanted = {
            "dst": "default" if route.is_default else str(route.destination),
            "gateway": route.gateway and str(route.gateway),
            "table": None if route.table == 254 else str(route.table),
            "prefsrc": route.source and str(route.source),
            "metric": route.key[2],
            "type": None if route.type == "unicast" else str(route.type),
            "dev": route.link,
        }
        wanted = {key: value for key, value in wanted.items() if value is not None}
        there = [
            one | {"table": table_of(one), "metric": one.get("metric", 0)}
            for one in told[f"routes{route.destination.version}"]
        ]
        if not any(wanted.items() <= one.items() for one in there):
            yield f"no route {wanted}"
    for rule in NETWORK.rules or ():
        there = [(one["priority"], one["src"], one.get("table")) for one in told[f"rules{rule.version}"]]
        assert rule.source is not None
        if (rule.priority, str(rule.source.network_address), str(rule.table)) not in there:
            yield f"no rule {rule}"
    defaults = [one for one in told["routes4"] if one["dst"] == "default" and "table" not in one]
    if len(defaults) != 1:
        yield f"default routes are {defaults}"


def table_of(route: Told) -> str:
    """ip(8) leaves the main table out, and calls a VRF's by its name."""
    table = str(route.get("table", ""))
    return {"red": "1001"}.get(table, table)


@pytest.mark.parametrize("manager", UNITS)
def test_the_network_is_there_after_a_boot(guest: Path, tmp_path: Path, manager: Manager) -> None:
    """All of it, by the manager alone; a restart of the manager takes nothing away, nor what an agent has added."""
    told, warned = boot(guest, tmp_path, manager)
    assert list(missing(told["booted"])) == [], warned
    floods = [
        one["dst"] for one in told["booted"]["fdb"] if one["ifname"] == "vx7" and one["mac"] == "00:00:00:00:00:00"
    ]
    assert floods == ["198.51.100.9"]
    assert list(missing(told["restarted"])) == [], warned
    after = told["restarted"]
    assert any(one["priority"] == 77 for one in after["rules4"])
    assert any(one["dst"] == "192.0.2.77" for one in after["routes4"])
    assert any(one.get("local") == "203.0.113.77" for link in after["links"] for one in link["addr_info"])
    assert not [line for line in warned if "nknown" in line or "nvalid" in line or "rror" in line]
    if manager is Manager.IFUPDOWN:
        assert not [line for line in warned if line.startswith("lost ") and "fe80::" not in line]

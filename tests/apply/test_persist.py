# SPDX-License-Identifier: Apache-2.0
"""Files for the next boot, and what a manager that runs is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.apply.network.persist import persist, write_into
from agent.errors import CommandFailed, ToolMissing
from agent.host.fake import FakeHost, failing, silent
from agent.host.files import RealFiles
from agent.model.network import Manager
from agent.model.network.step import PersistNetwork

INTERFACES = "/etc/network/interfaces.d/50-bms-agent"
SCRIPTS = "/etc/sysconfig/network-scripts"
TOOLS = ("systemctl", "networkctl", "netplan", "nmcli", "ifup", "wicked", "dhclient", "dhcpcd")


def machine(files: dict[str, str] | None = None) -> FakeHost:
    """One that has all managers' commands."""
    host = FakeHost.with_files({"/etc/hostname": "web\n", **(files or {})})
    host.machine.programs = dict.fromkeys(TOOLS, silent)
    return host


def commands(host: FakeHost) -> list[str]:
    """What was run."""
    return [" ".join(argv) for argv in host.machine.commands]


TOLD = {
    Manager.NETWORKD: ["systemctl restart systemd-networkd.service"],
    Manager.NETPLAN: ["netplan generate", "systemctl restart systemd-networkd.service"],
    Manager.NETWORK_MANAGER: ["nmcli connection reload", "nmcli --wait 60 connection up id bms-agent-bond0"],
    Manager.IFUPDOWN: ["ifup --force bond0"],
    Manager.IFCFG: ["ifup ifcfg-bond0"],
    Manager.WICKED: ["wicked ifup bond0"],
}


@pytest.mark.parametrize("manager", TOLD)
def test_what_a_manager_is_told(manager: Manager) -> None:
    """Files are written and removed before it reads them; only the links that need a lease are brought up."""
    host = machine({"/etc/old": "old"})
    persist(
        host, PersistNetwork(manager=manager, files={"/etc/new": "new"}, removed=("/etc/old",), activate=("bond0",))
    )
    assert host.files.read_text("/etc/new") == "new" and not host.files.exists("/etc/old")
    assert commands(host) == TOLD[manager]


def test_networkd_is_restarted_for_files_alone() -> None:
    """Where the files are as they were, only the links without a lease are asked for."""
    host = machine()
    persist(host, PersistNetwork(manager=Manager.NETWORKD, activate=("bond0", "eth0")))
    assert commands(host) == ["networkctl reload", "networkctl reconfigure bond0 eth0"]


def test_what_a_manager_says_is_heard() -> None:
    """A manager that refuses is an error."""
    host = machine()
    host.machine.programs["networkctl"] = failing(1, "Failed to connect to bus")
    with pytest.raises(CommandFailed, match="Failed to connect to bus"):
        persist(host, PersistNetwork(manager=Manager.NETWORKD, activate=("bond0",)))


def test_clients_end_with_their_files() -> None:
    """A DHCP client that no file wants any more is ended, and no other; the links stay up."""
    before = "iface eth0 inet dhcp\niface eth1 inet dhcp\niface eth2 inet dhcp\n"
    host = machine({INTERFACES: before, "/run/dhclient.eth1.pid": "7", "/run/dhcpcd/eth2.pid": "8"})
    persist(host, PersistNetwork(manager=Manager.IFUPDOWN, files={INTERFACES: "iface eth0 inet dhcp\n"}))
    assert commands(host) == ["dhclient -x -pf /run/dhclient.eth1.pid eth1", "dhcpcd -x eth2"]


def test_clients_end_with_their_files_where_each_link_has_one() -> None:
    """The same by RHEL's scripts: one link is gone, another has a static address now."""
    host = machine(
        {
            f"{SCRIPTS}/ifcfg-eth0": "BOOTPROTO=dhcp\n",
            f"{SCRIPTS}/ifcfg-eth1": "BOOTPROTO=dhcp\n",
            "/run/dhclient-eth0.pid": "6",
            "/run/dhclient-eth1.pid": "7",
        }
    )
    files, removed = {f"{SCRIPTS}/ifcfg-eth1": "BOOTPROTO=static\n"}, (f"{SCRIPTS}/ifcfg-eth0",)
    persist(host, PersistNetwork(manager=Manager.IFCFG, files=files, removed=removed))
    assert commands(host) == [f"dhclient -x -pf /run/dhclient-{name}.pid {name}" for name in ("eth0", "eth1")]


def test_wicked_lets_go_of_what_has_no_file() -> None:
    """It keeps its own record of links."""
    host = machine({"/etc/sysconfig/network/ifcfg-eth1": ""})
    persist(host, PersistNetwork(manager=Manager.WICKED, removed=("/etc/sysconfig/network/ifcfg-eth1",)))
    assert commands(host) == ["wicked ifdown eth1"]


def test_a_bond_that_would_not_be_made_is_not_written() -> None:
    """Without ifenslave the next boot would have no bond: nothing is written."""
    host = machine()
    step = PersistNetwork(manager=Manager.IFUPDOWN, files={INTERFACES: "auto bond0\n    bond_mode 4\n"})
    with pytest.raises(ToolMissing, match="ifenslave"):
        persist(host, step)
    assert not host.files.exists(INTERFACES)


def test_files_that_nobody_else_may_read(tmp_path: Path) -> None:
    """NetworkManager ignores profiles that others can read, and netplan warns; other files are for all to read."""
    profile, yaml = "/etc/NetworkManager/system-connections/bms-agent-x.nmconnection", "/etc/netplan/90-bms-agent.yaml"
    plain = "/etc/systemd/network/10-bms-agent-x.network"
    assert write_into(RealFiles(str(tmp_path)), {profile: "", yaml: "", plain: ""}) == (profile, yaml, plain)
    modes = [(tmp_path / path.lstrip("/")).stat().st_mode & 0o777 for path in (profile, yaml, plain)]
    assert modes == [0o600, 0o600, 0o644]

# SPDX-License-Identifier: Apache-2.0
"""Which program brings the network up at boot, by what is enabled."""

from __future__ import annotations

import pytest

from agent.errors import PreconditionError
from agent.host.fake import FakeHost
from agent.inventory.network.persistence import TextsOf, manager_of
from agent.model.network import Manager

WANTS = "/etc/systemd/system/multi-user.target.wants"
NETWORKD = {f"{WANTS}/systemd-networkd.service": ""}
NETWORK_MANAGER = {f"{WANTS}/NetworkManager.service": ""}
IFUPDOWN = {f"{WANTS}/networking.service": "", "/etc/network/interfaces": "auto lo\niface lo inet loopback\n"}
NETPLAN = {"/usr/sbin/netplan": ""}
YAML = {"/etc/netplan/50-cloud-init.yaml": "network: {}"}
SYSTEMS = {
    "Debian, by its installer": (
        Manager.IFUPDOWN,
        IFUPDOWN | {"/etc/network/interfaces": "iface lo inet loopback\niface ens3 inet dhcp\n"},
    ),
    "Debian 11 in a cloud": (
        Manager.IFUPDOWN,
        IFUPDOWN | {"/etc/network/interfaces.d/50-cloud-init": "iface eth0 inet dhcp\n"},
    ),
    "Debian with a desktop": (Manager.NETWORK_MANAGER, IFUPDOWN | NETWORK_MANAGER),
    "our own image": (Manager.NETWORKD, NETWORKD),
    "Debian 12 in a cloud": (Manager.NETPLAN, NETWORKD | NETPLAN | YAML),
    "Ubuntu's image, never booted": (Manager.NETPLAN, NETWORKD | NETPLAN),
    "Ubuntu with a desktop": (Manager.NETWORK_MANAGER, NETWORK_MANAGER | NETPLAN | YAML),
    "RHEL 9": (Manager.NETWORK_MANAGER, NETWORK_MANAGER),
    "RHEL 8": (Manager.NETWORK_MANAGER, NETWORK_MANAGER | {"/etc/sysconfig/network-scripts/ifcfg-eth0": ""}),
    "CentOS 7": (Manager.IFCFG, NETWORK_MANAGER | {"/etc/rc.d/rc3.d/S10network": ""}),
    "SLES 12": (Manager.WICKED, {f"{WANTS}/wicked.service": ""}),
    "Debian without a NIC": (Manager.IFUPDOWN, IFUPDOWN),
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_manager_of_a_system(system: str) -> None:
    """The one whose files are read at boot, whatever else is installed; in a mounted image the same."""
    manager, files = SYSTEMS[system]
    host = FakeHost.with_files(files)
    assert manager_of(host.files) is manager
    assert manager_of(TextsOf(host.files.below("/"))) is manager


def test_a_system_without_a_manager() -> None:
    """Nothing is guessed."""
    with pytest.raises(PreconditionError, match="none of systemd-networkd"):
        manager_of(FakeHost.with_files({"/etc/hostname": "web\n"}).files)

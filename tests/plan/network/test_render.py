# SPDX-License-Identifier: Apache-2.0
"""The files with which the next boot begins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.network import Ethernet, Macvlan, Manager, NetworkConfig, Vlan
from agent.plan.network.render import folders, ours, render, superseded
from tests.plan.network.configs import configs
from tests.plan.network.samples import CLOUD, RICH, SAMPLES

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("manager", Manager)
@pytest.mark.parametrize("sample", SAMPLES)
def test_golden_files(
    manager: Manager, sample: str, golden: Callable[[Path, str], None], request: pytest.FixtureRequest
) -> None:
    """Each file of each manager is as it was reviewed, and there is no other."""
    root = GOLDEN / manager / sample
    files = render(manager, SAMPLES[sample])
    for path, text in files.items():
        place = root / path.lstrip("/")
        if request.config.getoption("--rewrite-golden"):
            place.parent.mkdir(parents=True, exist_ok=True)
        golden(place, text)
    there = {f"/{place.relative_to(root)}" for place in root.rglob("*") if place.is_file()}
    assert there == set(files)


EXAMPLES = {
    (Manager.IFCFG, "/etc/sysconfig/network-scripts/ifcfg-bond0.2315"): """\
        MACADDR=fa:16:3e:87:0b:67 · USERCTL=no · PERSISTENT_DHCLIENT=1 · PHYSDEV=bond0 · VLAN=yes · NM_CONTROLLED=no ·
        BOOTPROTO=dhcp · DEVICE=bond0.2315 · TYPE=Ethernet · ONBOOT=yes""",
    (Manager.IFCFG, "/etc/sysconfig/network-scripts/ifcfg-eth0"): """\
        MTU=8888 · NM_CONTROLLED=no · BOOTPROTO=static · MASTER=bond0 · SLAVE=yes · ONBOOT=yes · USERCTL=no""",
    (Manager.IFCFG, "/etc/sysconfig/network-scripts/ifcfg-bond0"): """\
        BONDING_MASTER=yes · BONDING_OPTS="mode=1 miimon=100" · TYPE=Bond · MTU=8888 · ONBOOT=yes · NM_CONTROLLED=no""",
    (Manager.IFCFG, "/etc/sysconfig/network-scripts/ifcfg-bond0.3966"): """\
        BOOTPROTO=static · IPADDR=192.168.81.99 · NETMASK=255.255.252.0""",
    (Manager.IFUPDOWN, "/etc/network/interfaces.d/50-bms-agent"): """\
        auto bond0.2315 · iface bond0.2315 inet dhcp · mtu 8888 · hwaddress fa:16:3e:87:0b:67 ·
        vlan-raw-device bond0 · auto eth0 · iface eth0 inet manual · auto bond0 · bond_miimon 100 · bond_mode 1 ·
        iface bond0.3966 inet static · address 192.168.81.99 · netmask 255.255.252.0 · hwaddress fa:16:3e:3f:15:55""",
    (Manager.WICKED, "/etc/sysconfig/network/ifcfg-bond0"): """\
        BONDING_MASTER=yes · TYPE=Bond · STARTMODE=auto · BONDING_MODULE_OPTS="mode=1 miimon=100" · NM_CONTROLLED=no ·
        BOOTPROTO=dhcp · DEVICE=bond0 · USERCONTRL=no · LLADDR=fa:16:3e:3f:15:55 · BONDING_SLAVE1=eth1 ·
        BONDING_SLAVE0=eth0""",
    (Manager.WICKED, "/etc/sysconfig/network/ifcfg-bond0.2315"): """\
        STARTMODE=auto · ETHERDEVICE=bond0 · LLADDR=fa:16:3e:87:0b:67 · NM_CONTROLLED=no · BOOTPROTO=dhcp ·
        DEVICE=bond0.2315 · TYPE=Ethernet · VLAN_ID=2315""",
    (Manager.WICKED, "/etc/udev/rules.d/70-bms-agent-net.rules"): """\
        SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="2c:55:d3:9a:06:35", NAME="eth0\"""",
    (Manager.NETPLAN, "/etc/netplan/90-bms-agent.yaml"): """\
        macaddress: "2c:55:d3:9a:06:35" · set-name: eth0 · macaddress: "fa:16:3e:3f:15:55" · dhcp4: true · interfaces: ·
        mode: active-backup · mii-monitor-interval: 100""",
}
"""What a bare-metal cloud's own images have, line by line."""


@pytest.mark.parametrize(("manager", "path"), EXAMPLES)
def test_the_cloud_s_own_examples(manager: Manager, path: str) -> None:
    """What the cloud writes for such a link, we write too; more may be said besides."""
    lines = {line.strip() for line in render(manager, CLOUD)[path].splitlines()}
    expected = {line.strip() for line in EXAMPLES[manager, path].split("·")}
    assert expected <= lines


@settings(max_examples=60)
@given(configs())
def test_every_network_has_files(config: NetworkConfig) -> None:
    """Whatever is sound can be written, is known as ours, and lies where ours are looked for."""
    for manager in Manager:
        files = render(manager, config)
        assert ours(manager, files) == files
        assert {path.rpartition("/")[0] for path in files} <= set(folders(manager))


@settings(max_examples=40)
@given(config=configs(), data=st.data())
def test_order_tells_nothing(config: NetworkConfig, data: st.DataObject) -> None:
    """The same in another order is the same files: only the first that asks for a lease may take a default route."""
    leased = [link for link in config.links if link.dhcp4 or link.dhcp6 or link.accept_ra]
    others = [link for link in config.links if link not in leased]
    changed = {
        "links": (*leased, *data.draw(st.permutations(others))),
        "routes": config.routes and tuple(data.draw(st.permutations(config.routes))),
        "rules": config.rules and tuple(data.draw(st.permutations(config.rules))),
    }
    for manager in Manager:
        assert render(manager, config.model_copy(update=changed)) == render(manager, config)


def test_files_of_others_are_not_ours() -> None:
    """A distribution's file is not taken for ours, even where the name is one that we use."""
    theirs = {"/etc/sysconfig/network-scripts/ifcfg-eth0": "DEVICE=eth0\nBOOTPROTO=dhcp\n"}
    assert ours(Manager.IFCFG, theirs) == {}
    assert ours(Manager.IFCFG, theirs | render(Manager.IFCFG, CLOUD)) == render(Manager.IFCFG, CLOUD)


def test_cloud_init_s_stanzas_go_when_all_of_them_are_ours() -> None:
    """ifupdown carries out both files' stanzas for a link, so cloud-init's file goes, unless it has other links."""
    path = "/etc/network/interfaces.d/50-cloud-init"
    files = {path: "auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n"}
    assert superseded(Manager.IFUPDOWN, CLOUD, files) == files
    assert superseded(Manager.IFUPDOWN, CLOUD, {path: files[path] + "iface eth9 inet dhcp\n"}) == {}
    assert superseded(Manager.NETPLAN, CLOUD, files) == {}


def test_only_one_lease_brings_the_default_route() -> None:
    """The first link that asks has it; with a default route in the configuration none has."""
    text = render(Manager.NETWORKD, CLOUD)
    folder = "/etc/systemd/network/10-bms-agent"
    assert "UseGateway" not in text[f"{folder}-bond0.network"]
    assert "UseGateway=no" in text[f"{folder}-bond0.2315.network"]
    assert "UseGateway=no" in render(Manager.NETWORKD, RICH)[f"{folder}-525400000005.network"]


def test_what_is_not_said_is_not_written() -> None:
    """A link of which nothing is said asks for nothing."""
    bare = NetworkConfig.model_validate({"links": [{"kind": "ethernet", "name": "eth0", "mac": "52:54:00:00:00:01"}]})
    networkd = render(Manager.NETWORKD, bare)["/etc/systemd/network/10-bms-agent-525400000001.network"]
    assert not any(word in networkd for word in ("DHCP", "IPv6AcceptRA", "MTU", "\nAddress=", "Gateway"))
    keyfile = render(Manager.NETWORK_MANAGER, bare)
    text = keyfile["/etc/NetworkManager/system-connections/bms-agent-525400000001.nmconnection"]
    assert "[ipv4]\nmethod=disabled\n" in text and "[ipv6]\nmethod=ignore\n" in text
    assert "iface eth0 inet manual\n" in render(Manager.IFUPDOWN, bare)["/etc/network/interfaces.d/50-bms-agent"]


def test_a_shell_runs_nothing_of_a_name() -> None:
    """Formats that a shell reads have names quoted."""
    links = (
        Ethernet(name="eth0", mac="52:54:00:00:00:01"),
        Macvlan(name="$(reboot)", parent="eth0"),
        Vlan(name="`reboot`", parent="eth0", vlan_id=7),
    )
    config = NetworkConfig.model_construct(links=links)  # none that would be accepted
    assert "'$(reboot)'" in render(Manager.IFUPDOWN, config)["/etc/network/interfaces.d/50-bms-agent"]
    vlan = render(Manager.IFCFG, config)["/etc/sysconfig/network-scripts/ifcfg-`reboot`"]
    assert 'DEVICE="\\`reboot\\`"' in vlan

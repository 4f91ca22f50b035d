# SPDX-License-Identifier: Apache-2.0
"""What commands do by hand where nothing else is said: how disks are erased; what a network is shown and read as."""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import ip_interface
from pathlib import Path

import pytest

from agent.cli.network import AT_BOOT, configured, lost_at_boot
from agent.diagnose.capture import capture
from agent.diagnose.seen import items
from agent.host.fake import FakeHost, LinkTo, Machine
from agent.host.fake.erasing import AtaMind, NvmeMind
from agent.host.fake.recorded import recorded
from agent.inventory import take
from agent.model.network import Manager, NetworkConfig, NetworkState
from agent.networking import rendered
from tests.apply.erasable import DATA, MIB, SIZE, drive, machine
from tests.cli.test_machine import NETWORKD, run
from tests.hardware import link
from tests.inventory import equipped
from tests.machines import parts

OPENSTACK = {
    "links": [{"id": "a", "type": "phy", "ethernet_mac_address": "52:54:00:00:00:01", "mtu": 9000}],
    "networks": [
        {
            "id": "n", "type": "ipv4", "link": "a", "ip_address": "10.0.0.5", "netmask": "255.255.255.0",
            "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"}],
        }
    ],
    "services": [{"type": "dns", "address": "10.0.0.2"}],
}  # fmt: skip


def kept(made: Machine, folder: Path) -> Path:
    """A recording of this machine."""
    made, _ = capture(FakeHost.of(made), "a test", b"of a test")
    made.save(folder)
    return folder


def nvme(made: Machine) -> None:
    """A drive that can forget by itself."""
    drive(made, NvmeMind)


def hiding(made: Machine) -> None:
    """A drive with a part that it does not show."""
    drive(made, AtaMind, made_with=(SIZE + MIB) // 512, hidden=DATA)


@pytest.mark.parametrize(
    ("drives", "words", "said", "unsaid"),
    [
        (nvme, "", "erase all of /dev/nvme0n1", " by "),
        (nvme, "--method secure", " by nvme_sanitize_crypto, or else ", "it hides"),
        (hiding, "--method secure", "sample", "it hides"),
        (hiding, "--method secure --show-hidden", "1048576 bytes that it hides, which it is to show first", "nothing"),
    ],
)
def test_how_a_disk_is_erased(
    drives: Callable[[Machine], None], words: str, said: str, unsaid: str, tmp_path: Path
) -> None:
    """With zeroes, if nothing else is said; by the drive itself, and what it hides too, if it is said."""
    made = machine()
    drives(made)
    folder = kept(made, tmp_path / "machine")
    [disk] = items(take(recorded(Machine.load(folder))).disks)
    planned = run(folder, f"disk erase {disk.serial} {words} --plan")

    assert planned.error is None and said in planned.said and unsaid not in planned.said, planned.said


def test_a_network_as_it_is_can_be_applied(tmp_path: Path) -> None:
    """What `show --config` prints changes no link where it came from: what the next boot begins with is written."""
    made = equipped.machine()
    parts.put(made, {NETWORKD: LinkTo("/usr/lib/systemd/system/systemd-networkd.service")})
    folder = kept(made, tmp_path / "machine")
    (tmp_path / "network").write_text(run(folder, "network show --config").said)
    planned = run(folder, f"network apply {tmp_path / 'network'} --plan --allow-disconnect")
    [step] = [line for line in planned.said.splitlines() if not line.startswith("must hold: ")]

    assert step.startswith("1. write /etc/systemd/network/") and "; " not in step
    now = run(folder, f"network apply {tmp_path / 'network'} --plan --allow-disconnect --no-persist")
    assert now.error is None and "nothing to do" in now.said, now.said


def test_what_a_file_leaves_out_is_not_there_at_the_next_boot(tmp_path: Path) -> None:
    """Now nothing of it is touched; what is written for the boot has no address, and that is said of who has one."""
    made = equipped.machine()
    parts.put(made, {NETWORKD: LinkTo("/usr/lib/systemd/system/systemd-networkd.service")})
    folder = kept(made, tmp_path / "machine")
    shown = json.loads(run(folder, "network show --config").said)
    [nic, *_] = [one for one in shown["links"] if one["addresses"]]
    file = tmp_path / "network"
    for said, left in ((True, {"name": nic["name"], "mac": nic["mac"], "kind": "ethernet", "mtu": 1400}), (False, nic)):
        file.write_text(json.dumps({"links": [left]}))
        planned = run(folder, f"network apply {file} --plan --allow-disconnect")
        assert planned.error is None and (f"{AT_BOOT} {nic['name']}" in planned.said) is said, planned.said
        texts = rendered(NetworkConfig.model_validate_json(file.read_text()), Manager.NETWORKD)
        assert any("\nAddress=" in text for text in texts.values()) is not said
    assert AT_BOOT not in run(folder, f"network apply {file} --plan --allow-disconnect --no-persist").said


def test_a_lease_is_asked_for_at_the_next_boot_too() -> None:
    """A network that is shown, and applied, keeps its DHCP: of IPv4, and of the link that has it alone."""
    there = (link("eno1", up=True), link("eno2", mac="52:54:00:00:00:02", index=3, up=True))
    leased = there[0].model_copy(update={"leases": (ip_interface("10.0.2.15/24"), ip_interface("fd00::5/64"))})
    shown = configured(NetworkState(links=(leased, there[1])))

    assert [one.dhcp4 for one in shown.links] == [True, None]
    assert list(lost_at_boot(shown, NetworkState(links=(leased, there[1])))) == []
    unsaid = shown.model_copy(update={"links": (shown.links[0].model_copy(update={"dhcp4": None}), shown.links[1])})
    assert list(lost_at_boot(unsaid, NetworkState(links=(leased, there[1])))) == ["eno1"]
    files = rendered(NetworkConfig.model_validate_json(shown.model_dump_json(exclude_none=True)), Manager.NETWORKD)
    assert ["DHCP=ipv4" in text for path, text in sorted(files.items()) if path.endswith(".network")] == [True, False]


def test_openstacks_network_is_one_of_ours(tmp_path: Path) -> None:
    """Its links, addresses, routes and name servers, as a file that `apply` reads."""
    (tmp_path / "network_data.json").write_text(json.dumps(OPENSTACK))
    ended = run(kept(equipped.machine(), tmp_path / "machine"), f"network convert {tmp_path / 'network_data.json'}")
    ours = NetworkConfig.model_validate_json(ended.said)

    [link] = ours.links
    assert (str(link.mac), link.mtu, [str(one) for one in link.addresses or ()]) == (
        "52:54:00:00:00:01", 9000, ["10.0.0.5/24"],
    )  # fmt: skip
    assert [str(route.gateway) for route in ours.routes or ()] == ["10.0.0.1"]
    assert [str(one) for one in ours.dns.servers] == ["10.0.0.2"] if ours.dns else False

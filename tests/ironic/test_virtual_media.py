# SPDX-License-Identifier: Apache-2.0
"""Real Ironic boots a machine by virtual media: no DHCP, no PXE; its network comes on the disc, its token with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import artifacts
from lab.firmware import Firmware
from lab.loader import esp_image, mkisofs
from lab.machine import MachineSpec
from lab.network import CONTROLLER_ADDRESS
from lab.site import Site
from tests.ironic.chain import SHELL, Chain, running
from tests.responder import TimeServer

pytestmark = [pytest.mark.machine, pytest.mark.root, pytest.mark.ironic_long]

ADDRESS = "192.168.100.50"
"""Beside those that the lab's DHCP gives."""
CLOCK = f"ipa-ntp-server={CONTROLLER_ADDRESS}"


def network_data(mac: str) -> dict[str, Any]:
    """As an operator sets it on the node (`network_data`): one NIC with one address."""
    link = {"id": "port0", "type": "phy", "ethernet_mac_address": mac, "mtu": 1500}
    network = {
        "id": "provisioning",
        "type": "ipv4",
        "link": "port0",
        "ip_address": ADDRESS,
        "netmask": "255.255.255.0",
        "network_id": "provisioning",
        "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": CONTROLLER_ADDRESS}],
    }
    return {"links": [link], "networks": [network], "services": []}


@pytest.fixture
def site(ironic_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site[Any]]:
    """Ironic, with what it makes discs of, and a machine with a drive for them."""
    image = esp_image(tmp_path)
    monkeypatch.setenv("PATH", str(mkisofs(tmp_path / "bin")), prepend=":")
    changes = {
        "DEFAULT": {"enabled_boot_interfaces": "ipxe,redfish-virtual-media"},
        "conductor": {
            "bootloader": f"file://{image}",
            "file_url_allowed_paths": f"{artifacts.ramdisk()},{tmp_path}",
        },
    }
    spec = MachineSpec(firmware=Firmware.UEFI, virtual_cd=True)
    with running(ironic_home, tmp_path, spec, changes) as made:
        yield made


def test_cleaned_by_virtual_media(site: Site[Any]) -> None:
    """enrol → manage → provide: the disc that Ironic made boots the ramdisk; it takes its address from there, sets its
    clock, is known by the token that came with it, cleans, and the disc is taken out.
    """
    mac = site.machine.spec.mac
    with TimeServer(CONTROLLER_ADDRESS) as clock:
        chain = Chain(
            site,
            boot_interface="redfish-virtual-media",
            network_data=network_data(mac),
            driver_info={"kernel_append_params": f"{SHELL} {CLOCK}"},
        )
        chain.go("manage", "manageable")
        chain.go("provide", "available")

    said = chain.console()
    wanted = ("disc=True", f"add {ADDRESS}/24 to ", "clock set", "looked up", "command=clean.execute_clean_step")
    assert [said.find(one) for one in wanted] == sorted(said.index(one) for one in wanted)
    assert clock.asked >= 1
    assert "iPXE" not in said
    assert site.machine.disc is None

# SPDX-License-Identifier: Apache-2.0
"""What an operator and a user do with the lab's one machine under OpenStack Ironic, all of it by Ironic's own API.

Every request that changes something is shown as it is sent, with the `baremetal` command that sends the same.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.bmc import PORT, USER
from lab.command import run
from lab.fault import LabFault
from lab.firmware import Firmware
from lab.ironic import API_URL, FILES_URL, Ironic, Settings
from lab.ironic_api import IronicApi
from lab.login import WRITER, Login, make_key
from lab.network import CONTROLLER_ADDRESS, TENANT_GATEWAY
from lab.redfish import system_path
from lab.site import Site
from lab.story import Phase

# Every disk is erased whole, as an operator of strangers' servers has it.
WIPING: Settings = {"deploy": {"erase_devices_priority": "10"}}
SERVER, ADDRESS, NETMASK, PREFIX = "web-1", "192.168.1.10", "255.255.255.0", 24
VERBS = {"active": "deploy", "deleted": "undeploy"}
PLAIN_FORMATS = ("qcow2", "raw")
MODES = {Firmware.UEFI: "uefi", Firmware.BIOS: "bios"}
# For the machine is emulated, and other work may share the computer.
STATE_TIMEOUT_S, LOGIN_TIMEOUT_S, CONVERT_TIMEOUT_S = 1800.0, 1200.0, 600.0
POLL_S = 0.5
# In the sample image this project's service keeps the network, in place of cloud-init, as the embedded controller tells
# it; under Ironic it has none. Other images have their network from the drive's network_data.json.
USER_DATA = f"""#cloud-config
runcmd:
- - sh
  - -c
  - |
    systemctl cat bms-agent.service >/dev/null 2>&1 || exit 0
    systemctl disable --now bms-agent.service
    cat >/etc/systemd/network/10-drive.network <<END
    [Match]
    MACAddress={{mac}}
    [Network]
    Address={ADDRESS}/{PREFIX}
    Gateway={TENANT_GATEWAY}
    END
    networkctl reload
"""


class IronicCloud:
    """`lab.story.Cloud` by Ironic's API. `echo` is told what is sent, `say` what is seen."""

    login_timeout_s = LOGIN_TIMEOUT_S

    def __init__(
        self, site: Site[Ironic], user: str, echo: Callable[[str], object], say: Callable[[str], object]
    ) -> None:
        self.site = site
        self.user = user
        self.key = site.folder / "key"
        self.node = site.machine.spec.name
        self._api = IronicApi(API_URL, echo)
        self._echo = echo
        self._say = say

    def taking_in(self) -> list[Phase]:
        """Ironic is told where the BMC is, and does the rest."""
        return [
            Phase("enrol the node: Ironic tries its BMC", self._enrol),
            Phase("inspect: boot the ramdisk over the network, be told the inventory", self._inspect),
            Phase("provide: boot the ramdisk, clean every disk", lambda: self._order("provide", "available")),
        ]

    def creating(self, image: Path) -> list[Phase]:
        """There is no catalogue: an image is a URL with a digest."""
        return [
            Phase("put the image where servers fetch it", lambda: self._publish(image), spinner=True),
            Phase("deploy: write the image and the config drive, boot the disk", self._deploy),
        ]

    def deleting(self) -> list[Phase]:
        """Automated cleaning comes with it."""
        return [
            Phase("undeploy: boot the ramdisk again, clean every disk", lambda: self._order("deleted", "available"))
        ]

    def show_server(self) -> None:
        """The node is the server."""
        self._show()

    def check_available(self) -> None:
        """With its power off."""
        self._api.wait(self.node, "available", STATE_TIMEOUT_S)
        self._show()

    def login(self) -> Login:
        """By the address that the config drive gave it."""
        return Login(self.key, self.user, ADDRESS)

    def check_identity(self, answers: dict[str, str]) -> None:
        """What the config drive said has come true, on the machine that was meant."""
        wanted = {"hostname": SERVER, "machine serial": self.site.machine.spec.serial, WRITER: "no root"}
        for name, value in wanted.items():
            if answers[name] != value:
                raise LabFault(f"asking the server for its {name}: {answers[name]!r}, not {value!r}")

    def what_to_try(self) -> list[str]:
        """By Ironic's client, if it is installed (pip install python-ironicclient), and by ssh."""
        inside = f"ip netns exec {self.site.network.namespace}"
        orders = ("list", f"show {self.node}", f"inventory save {self.node}", f"undeploy {self.node}")
        return [
            f"export OS_AUTH_TYPE=none OS_ENDPOINT={API_URL}",
            *(f"{inside} baremetal node {order}" for order in orders),
            f"{inside} {' '.join(self.login().argv)}",
            f"tail -f {self.site.controller.log}",
        ]

    def _enrol(self) -> None:
        spec = self.site.machine.spec
        driver_info = {
            "redfish_address": f"http://{CONTROLLER_ADDRESS}:{PORT}",
            "redfish_system_id": system_path(spec),
            "redfish_username": USER,
            "redfish_password": self.site.bmc_password_file.read_text(),
        }
        capabilities = {"capabilities": f"boot_mode:{MODES[spec.firmware]}"}
        self._echo(
            f"# baremetal node create --driver redfish --name {self.node} --driver-info …; baremetal port create …"
        )
        self._api.enrol(self.node, spec.mac, driver_info, properties=capabilities)
        self._order("manage", "manageable")

    def _inspect(self) -> list[tuple[str, float]]:
        steps = self._order("inspect", "manageable")
        found = self._api.inventory(self.node)["inventory"]
        vendor = found["system_vendor"]
        self._say(f"{vendor['manufacturer']} {vendor['product_name']}, serial {vendor['serial_number']}")
        self._say(f"{found['cpu']['count']} CPU, {found['cpu']['model_name']}, {found['memory']['physical_mb']} MiB")
        for disk in found["disks"]:
            self._say(f"disk {disk['name']}: {disk['size'] >> 30} GiB, serial {disk['serial']}, WWN {disk['wwn']}")
        for nic in found["interfaces"]:
            self._say(f"NIC {nic['name']}: {nic['mac_address']}, {nic['ipv4_address']}")
        return steps

    def _publish(self, image: Path) -> None:
        served = self.site.controller.served / "debian.qcow2"
        source, packed = plain(image)
        if packed == "qcow2":
            shutil.copyfile(source, served)
        else:
            run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(source), str(served)], CONVERT_TIMEOUT_S)
        with served.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        self._say(f"{FILES_URL}/{served.name}: {served.stat().st_size / 1e6:.0f} MB")
        instance = {
            "image_source": f"{FILES_URL}/{served.name}",
            "image_os_hash_algo": "sha256",
            "image_os_hash_value": digest,
            "root_device": {"wwn": self.site.machine.spec.disks[0].wwn},
        }
        self._echo(f"# baremetal node set {self.node} --instance-info …")
        self._api.set(self.node, instance_info=instance)

    def _deploy(self) -> list[tuple[str, float]]:
        public_key = make_key(self.key).read_text().strip()
        return self._order("active", "active", configdrive=config_drive(self.site.machine.spec.mac, public_key))

    def _order(self, target: str, state: str, **more: Any) -> list[tuple[str, float]]:
        """Order it, and follow it until it has come to that state."""
        drive = " --config-drive …" if "configdrive" in more else ""
        self._echo(f"# baremetal node {VERBS.get(target, target)} {self.node}{drive}")
        self._api.order(self.node, target, **more)
        return self._follow(state)

    def _follow(self, state: str) -> list[tuple[str, float]]:
        """Say what the node is at until it is there; how long each took."""
        took: list[tuple[str, float]] = []
        began, before, deadline = time.monotonic(), "", time.monotonic() + STATE_TIMEOUT_S
        while True:
            node = self._api.node(self.node)
            now = doing(node)
            if now != before:
                took += [(before, time.monotonic() - began)] if before else []
                self._say(now)
                began, before = time.monotonic(), now
            if node["provision_state"] == state or time.monotonic() > deadline:
                break
            if "failed" in node["provision_state"] or node["provision_state"] == "error":
                break
            time.sleep(POLL_S)
        self._api.wait(self.node, state, max(1.0, deadline - time.monotonic()))
        return took

    def _show(self) -> None:
        node = self._api.node(self.node)
        self._say(f"{node['name']} {node['uuid']}: {node['provision_state']}, {node['power_state']}")


def doing(node: Any) -> str:
    """The node's state, with the step that is under way."""
    step = node["clean_step"] or node["deploy_step"] or {}
    name = f": {step['interface']}.{step['step']}" if step else ""
    return f"{node['provision_state']}{name}"


def plain(image: Path) -> tuple[Path, str]:
    """The image in a format that Ironic's users have; of the sample, which is chunked, the disk that it was made of."""
    source = image.with_suffix(".raw") if image.suffix == ".bmi" else image
    if not source.exists():
        raise LabFault(f"looking for {source}: Ironic is given {' or '.join(PLAIN_FORMATS)}")
    found = json.loads(run(["qemu-img", "info", "--output=json", str(source)]))["format"]
    if found not in PLAIN_FORMATS:
        raise LabFault(f"looking at {source}: it is {found}; Ironic is given {' or '.join(PLAIN_FORMATS)}")
    return source, found


def config_drive(mac: str, public_key: str) -> dict[str, Any]:
    """What Ironic makes a drive of: name, key and address of the server, in OpenStack's words."""
    network = {
        "id": "network0", "link": "nic0", "type": "ipv4", "ip_address": ADDRESS, "netmask": NETMASK,
        "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": TENANT_GATEWAY}],  # noqa: S104 - a route
    }  # fmt: skip
    return {
        "meta_data": {"hostname": SERVER, "name": SERVER, "public_keys": {"demo": public_key}},
        "network_data": {
            "links": [{"id": "nic0", "type": "phy", "ethernet_mac_address": mac, "mtu": 1500}],
            "networks": [network],
            "services": [],
        },
        "user_data": USER_DATA.format(mac=mac),
    }

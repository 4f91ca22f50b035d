# SPDX-License-Identifier: Apache-2.0
"""Ironic's own validator and hooks read the documents that are golden in tests/link, each in Ironic's environment."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests import link

pytestmark = [pytest.mark.machine, pytest.mark.root]

GOLDEN = Path(link.__file__).parent
PATIENCE_S = 180
READS = """
import copy, json, sys, types
from ironic.api.controllers.v1 import ramdisk
from ironic.common import utils
from ironic.conf import CONF
from ironic.drivers.modules.inspector.hooks import extra_hardware, local_link_connection, parse_lldp
from ironic.drivers.modules.inspector.hooks import validate_interfaces

CONF([], project="ironic")
node = types.SimpleNamespace(uuid="1be26c0b-03f2-4d2e-ae87-c02d7f33c123", properties={}, extra={})
task = types.SimpleNamespace(node=node)
plugin_data = json.load(sys.stdin)
ramdisk.DATA_VALIDATOR("data", copy.deepcopy(plugin_data))
inventory = plugin_data.pop("inventory")
nics = validate_interfaces.get_interfaces(node, inventory)
ports = {}
for name, tlvs in plugin_data["lldp_raw"].items():
    ports[name] = found = {}
    port = types.SimpleNamespace(
        id=1, address="", local_link_connection={}, save=lambda: None, set_local_link_connection=found.__setitem__
    )
    local_link_connection.LocalLinkConnectionHook()._get_local_link_patch(tlvs, port, node.uuid)
parse_lldp.ParseLLDPHook()(task, inventory, plugin_data)
extra_hardware.ExtraHardwareHook()(task, inventory, plugin_data)
hints = ({field: disk[field]} for disk in inventory["disks"] for field in ("serial", "wwn") if disk[field])
matched = [(hint, utils.match_root_device_hints(inventory["disks"], hint)["name"]) for hint in hints]
print(json.dumps({
    "macs": ramdisk.get_valid_mac_addresses(one["mac_address"] for one in inventory["interfaces"]),
    "pxe": [name for name, nic in nics.items() if nic["pxe_enabled"]],
    "added": list(validate_interfaces.validate_interfaces(node, inventory, nics)),
    "ports": ports,
    "lldp": plugin_data.get("parsed_lldp"),
    "extra": plugin_data["extra"],
    "matched": matched,
}))
"""


@cache
def read(home: Path, name: str) -> dict[str, Any]:
    """What Ironic makes of a machine's document."""
    document = (GOLDEN / f"inspection-{name}.json").read_text()
    done = subprocess.run(
        [str(home / "bin/python"), "-c", READS],
        input=document,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(("name", "booted_by"), [("qemu-q35", "enp0s3"), ("synthetic-dell-r650", "eno1")])
def test_ports(ironic_home: Path, name: str, booted_by: str) -> None:
    """Every NIC has a MAC that Ironic takes; the one that booted is found, by BOOTIF in either loader's form."""
    found = read(ironic_home, name)
    inventory = json.loads((GOLDEN / f"inspection-{name}.json").read_text())["inventory"]

    assert found["macs"] == [one["mac_address"] for one in inventory["interfaces"]]
    assert found["pxe"] == found["added"] == [booted_by]


def test_lldp(ironic_home: Path) -> None:
    """What the switch said ends up in the port's local link connection."""
    found = read(ironic_home, "synthetic-dell-r650")
    told = {"switch_id": "a0:b1:c2:d3:e4:f5", "port_id": "a0:b1:c2:d3:e4:01", "switch_info": "tor-7"}

    assert found["ports"] == {"eno1": told, "ens1f0np0": {}}
    assert found["lldp"]["eno1"]["switch_system_name"] == "tor-7"


@pytest.mark.parametrize("name", ["qemu-q35", "synthetic-dell-r650"])
def test_root_device_hints(ironic_home: Path, name: str) -> None:
    """A serial or a WWN that is copied from the document finds its disk in it again."""
    disks = json.loads((GOLDEN / f"inspection-{name}.json").read_text())["inventory"]["disks"]
    found = read(ironic_home, name)["matched"]
    owners = {(field, disk[field]): disk["name"] for disk in disks for field in ("serial", "wwn") if disk[field]}

    assert {next(iter(hint.items())): disk for hint, disk in found} == owners


def test_extra_hardware(ironic_home: Path) -> None:
    """The lists of four become a tree that inspection rules can look into."""
    found = read(ironic_home, "synthetic-dell-r650")["extra"]

    assert found["system"]["product"]["name"] == "PowerEdge R650"
    assert found["disk"]["sda"]["size"] == 960

# SPDX-License-Identifier: Apache-2.0
"""An inspection for Ironic in the ramdisk itself: its drivers find the BMC, its few tools make the logs."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.link.equipped import GOOD, lan, v6_entry
from tests.machine.bmc import bmc
from tests.machine.guest import booted

pytestmark = [pytest.mark.machine, pytest.mark.root]

BOOT_S, INSPECTION_S = 900, 300
CMDLINE = "console=ttyS0 quiet bms.shell systemd.unit=bms-shell@ttyS0.service ipa-agent-token=hunter2"
BMC_MAC = "52:54:00:bc:bc:bc"
V6 = {lan(1, 51): GOOD + b"\2", lan(1, 55): GOOD + b"\1\0\0", lan(1, 56): v6_entry(0x80, "2001:db8:aaaa:a0a1::aa")}
"""An address with all the bytes in it that QEMU's protocol escapes."""
ASKED = """
import base64, io, json, sys, tarfile
sys.path.insert(0, "/usr/lib/bms-agent")
from agent.host.real import host
from agent.link.ironic.collectors import KNOWN, collect
from agent.model.ironic.parameters import Parameters
body = collect(host(), Parameters(collectors=KNOWN, lldp_timeout_s=1))
with tarfile.open(fileobj=io.BytesIO(base64.b64decode(body.pop("logs")))) as tar:
    logs = {one.name: tar.extractfile(one).read().decode() for one in tar}
leaks = [name for name, text in logs.items() if "hunter" + "2" in text]
print("told " + json.dumps([body, {name: text[:2000] for name, text in logs.items()}, leaks]))
"""


class Told(NamedTuple):
    """The document, the beginnings of its logs by name, and those that have the token in them."""

    body: dict[str, Any]
    logs: dict[str, str]
    leaks: list[str]


@pytest.fixture(scope="module")
def told(ramdisk: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """An inspection of a guest."""
    folder = tmp_path_factory.mktemp("inspection")
    disk = folder / "disk"
    with disk.open("wb") as file:
        file.truncate(5 << 30)
    kernel = ("-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(ramdisk / "initrd"), "-append", CMDLINE)
    usb = ("-device", "qemu-xhci", "-device", "usb-tablet")
    script = base64.b64encode(ASKED.encode()).decode()
    with (
        bmc("192.0.2.200", BMC_MAC, V6) as management,
        booted(folder / "guest", disk, *kernel, *usb, *management) as guest,
    ):
        guest.wait_for("# ", BOOT_S)
        guest.do("udevadm settle", BOOT_S)
        guest.do(f"echo {script} | base64 -d >/run/asked.py")
        said = guest.do("python3 -I /run/asked.py", INSPECTION_S)
    return Told(*json.loads(said[said.index("told [") + 5 :]))


def test_the_bmc(told: Told) -> None:
    """Ironic finds the node by the addresses that its BMC has, in both families."""
    inventory = told.body["inventory"]

    assert (inventory["bmc_address"], inventory["bmc_v6address"]) == ("192.0.2.200", "2001:db8:aaaa:a0a1::aa")
    assert inventory["bmc_mac"] == BMC_MAC


def test_the_document(told: Told) -> None:
    """Every collector has its say."""
    body = told.body

    assert body["error"] is None
    assert {"lldp_raw", "pci_devices", "usb_devices", "numa_topology", "dmi", "data"} <= set(body)
    assert body["root_disk"]["name"] == "/dev/vda" and body["root_disk"]["size"] == 5 << 30
    assert body["inventory"]["memory"]["physical_mb"] == 1024
    assert [one["product"] for one in body["usb_devices"]] == ["QEMU USB Tablet"]
    assert all(one["revision"] and one["class"] for one in body["pci_devices"])
    assert body["dmi"]["memory"]["devices"][0]["Size"] == "1 GB"


def test_the_logs(told: Told) -> None:
    """The ramdisk has the tools that the logs are made with, and the token is nowhere in them."""
    logs = told.logs

    assert not [name for name, text in logs.items() if "is not installed" in text or "no answer within" in text]
    assert not told.leaks
    assert "ipa-agent-token=***" in logs["cmdline"]
    assert "ipa-agent-token=***" in logs["dmesg"]
    assert "ipmi" in logs["modules"] and "systemd" in logs["ps"]

# SPDX-License-Identifier: Apache-2.0
"""Real Ironic drives a machine that boots our ramdisk: inspection, cleaning, deployment, and back to available."""

from __future__ import annotations

import base64
import gzip
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from lab import artifacts
from lab.bmc import PORT, USER
from lab.boot_override import BootOverride, Enabled, Target
from lab.daemon import tail, wait_until
from lab.disk import is_bootable
from lab.ironic import API_URL, FILES_URL, Ironic, ending
from lab.ironic_api import IronicApi
from lab.machine import MachineSpec
from lab.network import CONTROLLER_ADDRESS
from lab.redfish import system_path
from lab.site import Site
from tests.ironic.image import SECTOR_BYTES, Image, partitions

pytestmark = [pytest.mark.machine, pytest.mark.root]

# The machine is emulated, and other work may share the computer.
STATE_S, BOOT_S = 400, 120
CONSOLE_LINES = 60
LOG_LINES = 80
STRIKE = """\
until [ -s /run/bms-agent/ironic/order.json ]; do sleep 0.1; done
kill -9 $(systemctl show --value -p MainPID bms-agent-ramdisk)
"""
"""The first order is to write the image, which takes seconds."""
ROOT = MachineSpec().disks[0]
# as much of an ISO 9660 filesystem as makes it one (ECMA-119, 8.1)
ISO = b"\0" * 0x8001 + b"CD001" + bytes(range(256)) * 100


class Chain:
    """One node of Ironic, from state to state; how long each took is printed."""

    def __init__(self, site: Site[Ironic]) -> None:
        self.site = site
        self.api = IronicApi(API_URL)
        spec = site.machine.spec
        driver_info = {
            "redfish_address": f"http://{CONTROLLER_ADDRESS}:{PORT}",
            "redfish_system_id": system_path(spec),
            "redfish_username": USER,
            "redfish_password": site.bmc_password_file.read_text(),
        }
        driver_info["kernel_append_params"] = "nofb vga=normal console=ttyS0 bms.shell"
        self.node = self.api.enrol("bm-1", spec.mac, driver_info)
        self.disk = site.machine.disk(ROOT.name)

    def go(self, target: str, state: str, **more: Any) -> Any:
        """Order it and wait for where it leads."""
        began = time.monotonic()
        self.api.order(self.node, target, **more)
        found = self.api.wait(self.node, state, STATE_S, poll_s=1)
        print(f"{target} -> {state}: {time.monotonic() - began:.0f} s")  # noqa: T201
        return found


@pytest.fixture
def site(ironic_home: Path, tmp_path: Path) -> Iterator[Site[Ironic]]:
    """A machine and Ironic; the logs of both stay with the test's files, and their ends are shown if it fails."""
    ramdisk = artifacts.ramdisk()
    with Site.with_engine(MachineSpec(), lambda folder: Ironic(folder, ironic_home, ramdisk)) as running:
        yield running
        for log in (running.controller.log, running.machine.console_log):
            shutil.copy(log, tmp_path)
        print(ending(tmp_path / "ironic.log", LOG_LINES))  # noqa: T201
        print(tail(tmp_path / "console.log", CONSOLE_LINES))  # noqa: T201


def check_inventory(found: Any) -> None:
    """What the ramdisk says of the machine is what QEMU was told."""
    spec = MachineSpec()
    inventory = found["inventory"]
    assert [nic["mac_address"] for nic in inventory["interfaces"]] == [spec.mac]
    assert {disk["serial"]: disk["size"] >> 30 for disk in inventory["disks"]} == {
        disk.serial: disk.size_gib for disk in spec.disks
    }
    assert next(disk for disk in inventory["disks"] if disk["serial"] == ROOT.serial)["wwn"] == ROOT.wwn
    vendor = inventory["system_vendor"]
    assert (vendor["manufacturer"], vendor["product_name"]) == (spec.manufacturer, spec.product)
    assert vendor["serial_number"] == spec.serial
    assert inventory["cpu"]["architecture"] == "x86_64"
    assert inventory["boot"]["current_boot_mode"] == "uefi"


def test_from_enrolment_to_a_deployed_disk_and_back(site: Site[Ironic], tmp_path: Path) -> None:
    """manage, inspect, provide, active, deleted: the disk holds the image, byte for byte, boots, and is empty again.

    The agent is killed while it writes the image. Ironic does not notice: it neither skips the step nor begins anew.
    """
    image = Image(tmp_path, artifacts.ramdisk() / "vmlinuz")
    chain = Chain(site)
    chain.go("manage", "manageable")
    chain.go("inspect", "manageable")
    check_inventory(chain.api.inventory(chain.node))

    with chain.disk.open("r+b") as disk:
        disk.write(image.raw.read_bytes()[: 1 << 20])  # somebody's old partition table
    chain.go("provide", "available")
    assert not is_bootable(chain.disk)

    instance: dict[str, Any] = {
        "image_source": f"{FILES_URL}/{image.serve(site.controller.served)}",
        "image_os_hash_algo": "sha256",
        "image_os_hash_value": image.sha256,
        "root_device": {"wwn": ROOT.wwn},
    }
    chain.api.set(chain.node, instance_info=instance)
    said = len(site.machine.console_log.read_bytes())
    with striking(site):
        chain.go("active", "active", configdrive=base64.b64encode(gzip.compress(ISO)).decode())
    assert "going on with a command after a restart" in console(site, said)
    assert image.differences(chain.disk) == []
    assert config_drive(chain.disk) == ISO
    assert site.machine.boot_override == BootOverride(enabled=Enabled.CONTINUOUS, target=Target.DISK)
    wait_until("the firmware to start from the disk", lambda: "HD(1,GPT" in console(site, said), BOOT_S)

    chain.go("deleted", "available")
    assert not is_bootable(chain.disk)


@contextmanager
def striking(site: Site[Ironic]) -> Iterator[None]:
    """Somebody kills the agent as soon as it writes an image, once."""
    over = Event()
    thread = Thread(target=lambda: strike(site, over), name="strike")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def strike(site: Site[Ironic], over: Event) -> None:
    """Once there is a shell, it is told what to wait for."""
    while not over.wait(1):
        with suppress(OSError), site.machine.shell() as door:
            door.settimeout(2)
            door.sendall(b"\n")
            heard = b""
            while b"# " not in heard and (more := door.recv(4096)):  # the prompt; silence, or an end, ends this try
                heard += more
            if b"# " in heard:
                door.sendall(STRIKE.encode())
                over.wait(STATE_S)


def config_drive(disk: Path) -> bytes:
    """What is in the partition of that label, as long as what was sent."""
    (found,) = [part for part in partitions(disk) if part.get("name") == "config-2"]
    with disk.open("rb") as file:
        file.seek(found["start"] * SECTOR_BYTES)
        return file.read(len(ISO))


def console(site: Site[Ironic], start: int) -> str:
    """What the machine said since then."""
    return site.machine.console_log.read_bytes()[start:].decode(errors="replace")

# SPDX-License-Identifier: Apache-2.0
"""Real Ironic drives a machine that boots our ramdisk: inspection, cleaning, deployment, and back to available."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import artifacts
from lab.daemon import wait_until
from lab.disk import is_bootable
from lab.ironic import Ironic
from lab.machine import MachineSpec
from lab.site import Site
from tests.ironic.chain import BOOT_S, DISK_FIRST, ROOT, Chain, running
from tests.ironic.image import SECTOR_BYTES, Image, partitions
from tests.ironic.strike import answered, struck, under_way, when

pytestmark = [pytest.mark.machine, pytest.mark.root]

# as much of an ISO 9660 filesystem as makes it one (ECMA-119, 8.1)
ISO = b"\0" * 0x8001 + b"CD001" + bytes(range(256)) * 100


@pytest.fixture
def site(ironic_home: Path, tmp_path: Path) -> Iterator[Site[Ironic]]:
    """The usual machine, and Ironic as it comes."""
    with running(ironic_home, tmp_path, MachineSpec()) as made:
        yield made


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

    chain.want(image.file)
    said = chain.said
    with struck(
        site, when(answered(under_way("deploy.execute_deploy_step")))
    ):  # the first such order is to write the image
        chain.go("active", "active", configdrive=base64.b64encode(gzip.compress(ISO)).decode())
    assert "going on with a command after a restart" in chain.console(said)
    assert image.differences(chain.disk) == []
    assert config_drive(chain.disk) == ISO
    assert site.machine.boot_override == DISK_FIRST
    wait_until("the firmware to start from the disk", lambda: "HD(1,GPT" in chain.console(said), BOOT_S)

    chain.go("deleted", "available")
    assert not is_bootable(chain.disk)


def config_drive(disk: Path) -> bytes:
    """What is in the partition of that label, as long as what was sent."""
    (found,) = [part for part in partitions(disk) if part.get("name") == "config-2"]
    with disk.open("rb") as file:
        file.seek(found["start"] * SECTOR_BYTES)
        return file.read(len(ISO))

# SPDX-License-Identifier: Apache-2.0
"""Other ways to deploy by Ironic: without reboots between, by a template of steps, on BIOS, never powered off."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import artifacts
from lab.daemon import wait_until
from lab.disk import is_bootable
from lab.firmware import Firmware
from lab.machine import MachineSpec
from tests.ironic.chain import BOOT_S, DISK_FIRST, Chain, running, step
from tests.ironic.image import Image

pytestmark = [pytest.mark.machine, pytest.mark.root, pytest.mark.ironic_long]

TRAIT = "CUSTOM_BY_STEPS"


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """What is deployed."""
    return Image(tmp_path, artifacts.ramdisk() / "vmlinuz")


def test_fast_track(ironic_home: Path, tmp_path: Path, image: Image) -> None:
    """Inspected, cleaned and deployed by the same boot of the ramdisk, which knows its token all the time."""
    with running(ironic_home, tmp_path, MachineSpec()) as site:
        chain = Chain(site, driver_info={"fast_track": True})
        chain.go("manage", "manageable")
        chain.go("inspect", "manageable")
        process = site.machine.process()
        assert process is not None
        chain.go("provide", "available")
        chain.want(image.file)
        chain.go("active", "active")
        assert not process.is_running()  # the deployed system is another start of the machine
        assert image.differences(chain.disk) == []
        ramdisks = [line for line in chain.console().splitlines() if "looked up" in line]
        assert len(ramdisks) == 1, ramdisks


def by_steps(chain: Chain, image: Image) -> None:
    """The deploy template that an operator makes of our steps, and the trait that leads to it."""
    steps = [
        step("erase_devices_metadata") | {"priority": 90},
        step("write_image", image_info=chain.image_info(image.file, "qcow2")) | {"priority": 80},
    ]
    chain.api.ask("POST", "/v1/deploy_templates", {"name": TRAIT, "steps": steps})
    chain.api.ask("PUT", f"/v1/nodes/{chain.node}/traits", {"traits": [TRAIT]})
    chain.api.set(chain.node, instance_info__traits=[TRAIT])


def test_bios_directly_and_by_a_template_of_steps(ironic_home: Path, tmp_path: Path, image: Image) -> None:
    """On a machine with BIOS: a whole-disk qcow2 by `direct`, then another by `custom-agent` and a deploy template."""
    second = Image(tmp_path, artifacts.ramdisk() / "vmlinuz", seed=2)
    with running(ironic_home, tmp_path, MachineSpec(firmware=Firmware.BIOS)) as site:
        chain = Chain(site, automated_clean=False, properties={"capabilities": "boot_mode:bios"})
        chain.available()
        chain.want(image.file)
        chain.go("active", "active")
        assert image.differences(chain.disk) == []
        assert site.machine.boot_override == DISK_FIRST

        chain.go("deleted", "available")
        assert is_bootable(chain.disk)  # nobody asked for cleaning
        chain.api.set(chain.node, deploy_interface="custom-agent")
        by_steps(chain, second)
        chain.go("active", "active")
        assert second.differences(chain.disk) == []
        assert site.machine.boot_override == DISK_FIRST


def test_a_machine_that_is_never_powered_off(ironic_home: Path, tmp_path: Path, image: Image) -> None:
    """`disable_power_off`: the ramdisk locks itself down once the image is on the disk, and is reset from outside."""
    with running(ironic_home, tmp_path, MachineSpec()) as site:
        site.machine.power_on()
        chain = Chain(site, disable_power_off=True, automated_clean=False)
        chain.available()
        chain.want(image.file)
        said = chain.said
        chain.go("active", "active")
        assert image.differences(chain.disk) == []
        assert "locked down: all NICs are down" in chain.console(said)
        assert site.machine.boot_override == DISK_FIRST
        wait_until("the firmware to start from the disk", lambda: "HD(1,GPT" in chain.console(said), BOOT_S)

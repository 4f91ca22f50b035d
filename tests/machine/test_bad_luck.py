# SPDX-License-Identifier: Apache-2.0
"""Bad luck in the middle of a deploy, on BIOS: the controller is killed, and then the machine."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest

from lab.cloud import JOB_TIMEOUT_S, LOGIN_TIMEOUT_S, Cloud
from lab.daemon import wait_until
from lab.disk import allocated_bytes, is_bootable
from lab.firmware import Firmware
from lab.machine import MachineSpec
from lab.site import Site

pytestmark = pytest.mark.machine

MIB = 1 << 20
# Some 500 MiB of the image are data: both deaths fall into the time of its writing.
CONTROLLER_DIES_MIB = (20, 150)
MACHINE_DIES_MIB = (200, 400)
CONTROLLER_AWAY_S = 15


def wait_for_writing(disk: Path, mib: int) -> None:
    """Until so much of the image is on the disk."""
    wait_until(f"{mib} MiB to be written", lambda: allocated_bytes(disk) >= mib * MIB, JOB_TIMEOUT_S)


def test_a_deploy_survives_the_death_of_controller_and_machine(ramdisk: Path, image: Path, lot: Random) -> None:
    """Controller killed and started again: the write goes on where it was. Machine killed: its disk cannot boot, and
    when the power comes back the image is written anew, up to a server that one can log in to."""
    with Site.create(MachineSpec(firmware=Firmware.BIOS), ramdisk) as site:
        cloud = Cloud(site)
        disk = site.machine.disk("system")
        site.machine.power_on()
        cloud.give_bmc(cloud.wait_for_node("available"))
        cloud.register(image)
        job = cloud.create_server()

        wait_for_writing(disk, lot.randint(*CONTROLLER_DIES_MIB))
        site.controller.daemon.kill()
        time.sleep(CONTROLLER_AWAY_S)
        site.controller.start()
        wait_for_writing(disk, lot.randint(*MACHINE_DIES_MIB))
        site.machine.power_off()
        assert not is_bootable(disk), "half an image can boot"
        site.machine.power_on()
        over = cloud.wait_for_end(job)

        assert over["status"] == "SUCCESS", over["fault"]
        assert cloud.server()["status"] == "ACTIVE"
        login = cloud.login()
        login.wait(LOGIN_TIMEOUT_S)
        cloud.check_identity(login.answers(site.machine.console_log))
        assert [name for name, _ in cloud.phases(job)].count("write_image") == 2

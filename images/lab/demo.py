# SPDX-License-Identifier: Apache-2.0
"""`images/demo`: the main job from a machine's first power-on to a server, and back to an empty, available node.

It ends with status 0 only if all of it happened and was seen from outside: by ssh, and on the disks themselves.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab import artifacts
from lab.cloud import ENROL_TIMEOUT_S, JOB_TIMEOUT_S, LOGIN_TIMEOUT_S, SERVER, Cloud
from lab.daemon import tail
from lab.disk import first_nonzero_byte
from lab.fault import LabFault
from lab.firmware import Firmware
from lab.machine import MachineSpec
from lab.site import Site, tear_down
from lab.timeline import Timeline

SECRET = "what the tenant left behind"  # noqa: S105 - it is to be found, and then not to be found


def story(site: Site, cloud: Cloud, image: Path, timeline: Timeline) -> None:
    """The main job, up to the server that somebody is logged in to."""
    show = site.controller.show
    with timeline.phase("power on, boot the ramdisk over the network, enrol", spinner=True):
        site.machine.power_on()
        node = cloud.wait_for_node("available", ENROL_TIMEOUT_S)
    with timeline.phase("inventory and BMC of the node"):
        show("node", "show", node)
        cloud.give_bmc(node)
    with timeline.phase("flavor, image, subnet, key pair"):
        cloud.register(image)
    with timeline.phase("create the server: write the image, boot it, hear from it"):
        show(*cloud.order(), "--wait", timeout_s=JOB_TIMEOUT_S)
        _add_details(cloud, timeline)
    with timeline.phase("log in by ssh"):
        login = cloud.login()
        login.wait(LOGIN_TIMEOUT_S)
        answers = login.answers()
        for name, value in answers.items():
            timeline.console.print(f"  {name:>15}: {value}", highlight=False)
        cloud.check_identity(answers)


def ending(site: Site, cloud: Cloud, timeline: Timeline) -> None:
    """The server is given back: the node comes out of it empty and available."""
    with timeline.phase("leave data on both disks"):
        data = site.machine.spec.disks[1]
        cloud.login().run(f"echo {SECRET} | sudo dd of=/dev/disk/by-id/virtio-{data.serial} bs=4k seek=1000 conv=fsync")
        for disk in site.machine.spec.disks:
            _report(timeline, disk.name, empty := first_nonzero_byte(site.machine.disk(disk.name)) is None)
            if empty:
                raise LabFault(f"looking for the tenant's data: nothing is on disk {disk.name}")
    with timeline.phase("delete the server: boot the ramdisk again, wipe"):
        job = cloud.server()["id"]
        site.controller.show("server", "delete", SERVER, "--wait", timeout_s=JOB_TIMEOUT_S)
        _add_details(cloud, timeline)
    with timeline.phase("prove that the node is wiped and available"):
        cloud.wait_for_node("available")
        site.controller.show("node", "list")
        for disk in site.machine.spec.disks:
            place = first_nonzero_byte(site.machine.disk(disk.name))
            if place is not None:
                raise LabFault(f"looking at disk {disk.name} after the wipe: byte {place} is not zero")
            _report(timeline, disk.name, empty=True)

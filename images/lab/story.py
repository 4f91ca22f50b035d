# SPDX-License-Identifier: Apache-2.0
"""The main job, told in phases: what `images/demo` plays, one method a phase.

Each phase ends only when what it is about was seen; else it raises `LabFault`. Nothing is decided here about the lab.
"""

from __future__ import annotations

from pathlib import Path

from lab.cloud import JOB_TIMEOUT_S, LOGIN_TIMEOUT_S, Cloud
from lab.disk import first_nonzero_byte
from lab.fault import LabFault
from lab.timeline import Timeline

LEFT_BEHIND = "a tenant's secret"


class Story:
    """The phases, in their order."""

    def __init__(self, cloud: Cloud, timeline: Timeline) -> None:
        self.cloud = cloud
        self.timeline = timeline
        self.machine = cloud.site.machine

    def take_in(self) -> None:
        """The machine boots the ramdisk, which enrols it; its inventory is there."""
        with self.timeline.phase("power on, boot the ramdisk over the network, enrol", spinner=True):
            self.machine.power_on()
            node = self.cloud.wait_for_node("available")
        with self.timeline.phase("look at the node, tell its BMC"):
            self.cloud.show("node", "show", node)
            self.cloud.give_bmc(node)

    def create(self, image: Path) -> None:
        """The user's catalogue, and a server of it."""
        with self.timeline.phase("register flavor, image, subnet, security group, key pair"):
            self.cloud.register(image)
        with self.timeline.phase("create the server: write the image, boot it, be told by it"):
            self._follow(self.cloud.create_server())

    def log_in(self) -> None:
        """The server itself says who it is."""
        with self.timeline.phase("log in by ssh"):
            self.cloud.show("server", "show", self.cloud.server()["name"])
            login = self.cloud.login()
            login.wait(LOGIN_TIMEOUT_S)
            answers = login.answers()
            for name, value in answers.items():
                self.timeline.console.print(f"{name:>15}: {value}")
            self.cloud.check_identity(answers)

    def delete(self) -> None:
        """The node comes back empty and available, whatever the tenant left on its disks."""
        with self.timeline.phase("leave something on the second disk, as a tenant"):
            data = self.machine.spec.disks[1]
            to = f"of=/dev/disk/by-id/virtio-{data.serial} bs=4k seek=1000 conv=fsync status=none"
            self.cloud.login().run(f'echo "{LEFT_BEHIND}" | sudo dd {to}')
            self._look_at_disks(empty=False)
        with self.timeline.phase("delete the server: boot the ramdisk again, wipe every disk"):
            self._follow(self.cloud.delete_server())
        with self.timeline.phase("prove that the node is wiped and available"):
            self.cloud.wait_for_node("available")
            self.cloud.show("node", "list")
            self._look_at_disks(empty=True)

    def _follow(self, job_id: str) -> None:
        """Show the job until it is over; its phases go into the timeline."""
        self.cloud.show("job", "wait", job_id, timeout_s=JOB_TIMEOUT_S)
        for name, seconds in self.cloud.phases(job_id):
            self.timeline.add_detail(name, seconds)

    def _look_at_disks(self, *, empty: bool) -> None:
        """Read the disks from outside: all zeroes, or something on each."""
        for disk in self.machine.spec.disks:
            place = first_nonzero_byte(self.machine.disk(disk.name))
            found = "nothing but zeroes" if place is None else f"data, first at byte {place}"
            self.timeline.console.print(f"disk {disk.name} ({disk.size_gib} GiB): {found}")
            if (place is None) is not empty:
                raise LabFault(f"looking at disk {disk.name}: {found}")

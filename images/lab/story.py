# SPDX-License-Identifier: Apache-2.0
"""The main job, told in phases: what `images/demo` plays, whichever controller has the machine.

Each phase ends only when what it is about was seen; else it raises `LabFault`. Nothing is decided here about the lab.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lab.disk import first_nonzero_byte
from lab.fault import LabFault
from lab.login import Login
from lab.site import Site
from lab.timeline import Timeline

LEFT_BEHIND = "a tenant's secret"


@dataclass(frozen=True)
class Phase:
    """Something that an operator or a user does. `run` gives the parts of it that somebody else has timed."""

    name: str
    run: Callable[[], Iterable[tuple[str, float]] | None]
    spinner: bool = False


class Cloud(Protocol):
    """The lab's controller as its operator and its user see it: what the story needs of it."""

    site: Site[Any]
    login_timeout_s: float

    def taking_in(self) -> Iterable[Phase]:
        """From the machine's first power-on to a node that is known and available."""

    def creating(self, image: Path) -> Iterable[Phase]:
        """From a catalogue to a server of this image."""

    def show_server(self) -> None:
        """What the user sees of it."""

    def login(self) -> Login:
        """The way in."""

    def check_identity(self, answers: dict[str, str]) -> None:
        """Raises `LabFault` where the server is not the one that was ordered."""

    def deleting(self) -> Iterable[Phase]:
        """The server's end."""

    def check_available(self) -> None:
        """The node can be had again; shown, too."""

    def what_to_try(self) -> list[str]:
        """For somebody who wants to go on by hand: lines to copy."""


class Story:
    """The phases, in their order."""

    def __init__(self, cloud: Cloud, timeline: Timeline) -> None:
        self.cloud = cloud
        self.timeline = timeline
        self.machine = cloud.site.machine

    def take_in(self) -> None:
        """The controller has the machine, and knows what it is."""
        self._play(self.cloud.taking_in())

    def create(self, image: Path) -> None:
        """The user has a server."""
        self._play(self.cloud.creating(image))

    def log_in(self) -> None:
        """The server itself says who it is."""
        with self.timeline.phase("log in by ssh"):
            self.cloud.show_server()
            login = self.cloud.login()
            login.wait(self.cloud.login_timeout_s)
            answers = login.answers(self.machine.console_log)
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
        self._play(self.cloud.deleting())
        with self.timeline.phase("prove that the node is wiped and available"):
            self.cloud.check_available()
            self._look_at_disks(empty=True)

    def _play(self, phases: Iterable[Phase]) -> None:
        for phase in phases:
            with self.timeline.phase(phase.name, spinner=phase.spinner):
                for name, seconds in phase.run() or ():
                    self.timeline.add_detail(name, seconds)

    def _look_at_disks(self, *, empty: bool) -> None:
        """Read the disks from outside: all zeroes, or something on each."""
        for disk in self.machine.spec.disks:
            place = first_nonzero_byte(self.machine.disk(disk.name))
            found = "nothing but zeroes" if place is None else f"data, first at byte {place}"
            self.timeline.console.print(f"disk {disk.name} ({disk.size_gib} GiB): {found}")
            if (place is None) is not empty:
                raise LabFault(f"looking at disk {disk.name}: {found}")

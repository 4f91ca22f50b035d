# SPDX-License-Identifier: Apache-2.0
"""The story that the demo plays, whoever has the machine: its order, its times, and that it believes disks alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lab.fault import LabFault
from lab.login import QUESTIONS, WRITER, Login, written_by
from lab.machine import Machine, MachineSpec
from lab.site import Site
from lab.story import LEFT_BEHIND, Cloud, Phase, Story
from lab.timeline import Timeline

IMAGE = Path("/images/debian")


class Engine:
    """A controller that nobody starts."""

    boot_script = "http://192.0.2.1/boot"

    def __init__(self, log: Path) -> None:
        self.log = log

    def start(self) -> None:
        """Not here."""
        raise AssertionError

    def stop(self) -> None:
        """Not here."""
        raise AssertionError


class Typed(Login):
    """Whatever is typed is done to the second disk of the machine."""

    def __init__(self, machine: Machine, told: list[str]) -> None:
        super().__init__(Path("key"), "debian", "192.0.2.2")
        self._machine = machine
        self._told = told

    def run(self, command: str) -> str:
        """A tenant's traces, or answers."""
        self._told.append("ssh")
        if LEFT_BEHIND in command:
            for disk in self._machine.spec.disks:
                mark(self._machine.disk(disk.name))
        return "\n".join("an answer" for _ in QUESTIONS)


@dataclass
class Told:
    """A cloud that notes what it is asked for. `wipes` says whether it does what deleting is for."""

    site: Site[Any]
    wipes: bool = True
    login_timeout_s: float = 1.0
    told: list[str] = field(default_factory=list)

    def taking_in(self) -> Iterable[Phase]:
        """Two phases."""
        return [self._phase("enrol"), self._phase("clean")]

    def creating(self, image: Path) -> Iterable[Phase]:
        """One, with a part that somebody else has timed."""
        return [Phase(f"deploy {image.name}", lambda: [("write_image", 12.0)])]

    def show_server(self) -> None:
        """Noted."""
        self.told.append("show")

    def login(self) -> Login:
        """Whatever the address."""
        return Typed(self.site.machine, self.told)

    def check_identity(self, answers: dict[str, str]) -> None:
        """Noted, with what there is to be judged."""
        assert set(answers) == {*QUESTIONS, WRITER}
        self.told.append("identity")

    def deleting(self) -> Iterable[Phase]:
        """Perhaps."""
        return [Phase("undeploy", self._wipe)]

    def check_available(self) -> None:
        """Noted."""
        self.told.append("available")

    def what_to_try(self) -> list[str]:
        """Nothing."""
        return []

    def _phase(self, name: str) -> Phase:
        return Phase(name, lambda: self.told.append(name))

    def _wipe(self) -> None:
        for disk in self.site.machine.spec.disks if self.wipes else ():
            path = self.site.machine.disk(disk.name)
            path.write_bytes(b"")


def mark(disk: Path) -> None:
    """Something that is no zero."""
    with disk.open("r+b") as file:
        file.seek(4096)
        file.write(b"x")


@pytest.fixture
def cloud(tmp_path: Path) -> Told:
    """On a machine that nobody switches on."""
    machine = Machine.create(tmp_path / "machine", MachineSpec())
    return Told(Site(tmp_path, machine, Engine(tmp_path / "log")))


def told(cloud: Cloud) -> Timeline:
    """The whole story."""
    timeline = Timeline(Console(file=StringIO()))
    story = Story(cloud, timeline)
    story.take_in()
    story.create(IMAGE)
    story.log_in()
    story.delete()
    return timeline


def test_in_order(cloud: Told) -> None:
    """Each phase is timed under its name, what others timed stands before its whole, and all is asked for in order."""
    names = [name.strip() for name, _ in told(cloud).rows]

    assert cloud.told == ["enrol", "clean", "show", "ssh", "ssh", "identity", "ssh", "available"]
    assert names[:5] == ["enrol", "clean", "write_image", "deploy debian", "log in by ssh"]
    assert names[-2:] == ["undeploy", "prove that the node is wiped and available"]


def test_a_controller_is_not_believed(cloud: Told) -> None:
    """Where the disks still have something, the story fails, whatever state the node is said to be in."""
    cloud.wipes = False
    with pytest.raises(LabFault, match="looking at disk system: data, first at byte 4096"):
        told(cloud)


@pytest.mark.parametrize(
    ("said", "known"),
    [
        (b"writing an image as user 64321\r\n", "no root"),
        (b"writing an image as user 64321\r\nwriting an image as user 0\r\n", "user 0"),
        (b"images are written by this very process\r\n", "nobody said so"),
    ],
)
def test_who_has_written_the_image(tmp_path: Path, said: bytes, known: str) -> None:
    """The ramdisk's console tells; one image that root has written is one too many."""
    (tmp_path / "console.log").write_bytes(said)

    assert written_by(tmp_path / "console.log") == known

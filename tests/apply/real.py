# SPDX-License-Identifier: Apache-2.0
"""Deploying to a loop device through the real doors. As a program: the same in a process of its own, to be killed.

python -m tests.apply.real STEP.json SPOOL
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event

from agent.apply.resume import PLACE_BYTES
from agent.host import real
from agent.host.block import RealBlock
from agent.host.clock import RealClock
from agent.host.doors import BlockDevice, Host
from agent.host.files import RealFiles
from agent.model.config_drive import ConfigDrive
from agent.model.disk import MIB, Disk
from agent.model.image import ImageRef
from agent.model.plan import Step, WriteImage
from agent.operations import Operations
from agent.plan.image import plan_deploy
from tests.hardware import DRIVE, deploy, machine
from tests.loops import command


class HurriedClock(RealClock):
    """Waits for nothing."""

    def wait(self, stop: Event, timeout_s: float) -> bool:
        """At once."""
        return stop.is_set()


class Block(RealBlock):
    """The real door; where the kernel was built without partition tables, partx reads them in its place."""

    @contextmanager
    def open_exclusive(self, path: str) -> Iterator[BlockDevice]:
        """With another `reread_table`."""
        with super().open_exclusive(path) as device:
            order = device.reread_table

            def reread() -> None:
                order()
                if not partitions(path):
                    subprocess.run(["partx", "--update", path], check=False, capture_output=True)

            device.reread_table = reread  # type: ignore[method-assign]
            yield device


def partitions(node: str) -> list[tuple[int, int]]:
    """(offset, size) in bytes of the partitions that the kernel has."""
    folder = Path("/sys/block") / Path(node).name
    return sorted(
        (int((part / "start").read_text()) * 512, int((part / "size").read_text()) * 512)
        for part in folder.iterdir()
        if (part / "partition").exists()
    )


def host() -> Host:
    """This machine, in a hurry."""
    return replace(real.host(), files=RealFiles(), block=Block(), clock=HurriedClock())


def steps(
    node: str, image: ImageRef, spool: Path, *, drive: ConfigDrive | None = DRIVE, verify: bool = False
) -> tuple[Step, ...]:
    """What the planner wants for that disk."""
    size, sector = (int(command("blockdev", flag, node)) for flag in ("--getsize64", "--getss"))
    disk = Disk(name=Path(node).name, path=node, size_bytes=size, serial="LOOP", logical_sector_bytes=sector)
    wanted = deploy(serial="LOOP", image=image, drive=drive).model_copy(update={"verify": verify})
    return plan_deploy(machine(disk), wanted, str(spool)).steps


def write_of(node: str, image: ImageRef, spool: Path, *, verify: bool = False) -> WriteImage:
    """The image alone, on all of the disk but its last MiB."""
    found = steps(node, image, spool, drive=None, verify=verify)
    return next(step for step in found if isinstance(step, WriteImage))


def cannot_boot(content: bytes) -> bool:
    """No boot code and no table, at either end. A record of how far the image was may begin the last MiB."""
    return not any(content[:MIB]) and not any(content[-MIB + 2 * PLACE_BYTES :])


def carry_out(node: str, image: ImageRef, spool: Path) -> dict[str, str | int]:
    """Every step, in order."""
    doer = Operations(host(), None, str(spool))
    result: dict[str, str | int] = {}
    for step in steps(node, image, spool):
        result |= doer.do(step, lambda *_: None)
    return result


def process_of(step: WriteImage, spool: Path) -> subprocess.Popen[str]:
    """A process that does it."""
    file = spool / "step.json"
    file.write_text(step.model_dump_json())
    argv = [sys.executable, "-m", "tests.apply.real", str(file), str(spool)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def main() -> None:
    """The image alone; prints by how many bytes the process grew."""
    step, spool = WriteImage.model_validate_json(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    doer = Operations(host(), None, str(spool))
    import requests  # noqa: F401 - it belongs to the program, not to the image

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    doer.do(step, lambda *_: None)
    sys.stdout.write(f"{(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024}\n")


if __name__ == "__main__":
    main()

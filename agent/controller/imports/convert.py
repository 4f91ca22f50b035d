# SPDX-License-Identifier: Apache-2.0
"""One import, from its file to a whole chunked image. Everything that reads the file runs in the sandbox.

magic, head and tail       by us: what is it, does it name other files?
qemu-img info, check, map  does it stand alone, is it sound, does the file hold all that it names?
qemu-img convert           into a raw disk with holes
bms-agent image pack       into a chunked image, which is then checked like one that was uploaded
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import agent as this_program
from agent.controller.durable import settle
from agent.controller.images import Announced, Kept
from agent.controller.imports import qemu
from agent.controller.imports.download import Download, Networks, Tell
from agent.controller.imports.incoming import SOURCE
from agent.controller.imports.kinds import DRIVERS, importable
from agent.controller.imports.sandbox import Box, Limits, ProgramFailed, run_boxed, tool
from agent.controller.measure.chunked import Chunked
from agent.controller.refusal import NoSpace
from agent.model.disk import GB, MIB
from agent.model.image import Access, ImageFormat
from agent.model.image_kind import HEAD_BYTES, TAIL_BYTES, ImageKind

WORK = "work"
OUT, DISK, PACKED = "/out", "disk.raw", "image.zst"
RAW = DRIVERS[ImageKind.DISK]
HOME = Path(this_program.__file__).resolve().parent.parent
AGENT = (sys.executable, "-m", "agent")
THREADS = 16
"""Of CPU time, no more than so many seconds a second."""
RESERVE_BYTES = GB
"""So much stays free, whatever is imported: the database and uploads need it too."""
GIB = 1024**3
LOOKING_S, WALKING_S = 60.0, 1800.0
BYTES_PER_S = 4_000_000
"""Slower than any machine that works: who is slower is ended."""


@dataclass(frozen=True)
class Order:
    """What is imported: the file, what its owner calls its kind, and the name that it came with."""

    directory: Path
    kind: str | None
    name: str

    @property
    def source(self) -> Path:
        """The file."""
        return self.directory / SOURCE

    @property
    def work(self) -> Path:
        """Where the sandbox may write."""
        return self.directory / WORK


class Workshop:
    """The real importer."""

    def must_be_equipped(self) -> None:
        """Raises `ToolMissing`."""
        for name in ("bwrap", "prlimit", "qemu-img", *(["setpriv"] if os.geteuid() == 0 else [])):
            tool(name)

    def fetch(
        self, url: str, access: Access, announced: Announced, path: Path, tell: Tell, *, inside: Networks | None
    ) -> None:
        """The file of an import, from its URL. Raises `AgentError`."""
        Download(url, access, announced, tell, inside=inside).to(path)

    def convert(self, order: Order, target: Path, tell: Tell) -> Kept:
        """The chunked image, whole, at `target`. Raises `AgentError`, and what `tell` raises."""
        self.must_be_equipped()
        shutil.rmtree(order.work, ignore_errors=True)
        order.work.mkdir(mode=0o700)
        try:
            return Conversion(order, tell).run(target)
        finally:
            shutil.rmtree(order.work, ignore_errors=True)


class Conversion:
    """One at work."""

    def __init__(self, order: Order, tell: Tell) -> None:
        self._order = order
        self._tell = tell
        self._told: tuple[str, int, int | None] = ("looking at the file", 0, None)
        self._file_bytes = order.source.stat().st_size

    def run(self, target: Path) -> Kept:
        """All of it."""
        driver = DRIVERS[self._kind()]
        if driver == RAW:
            disk, disk_bytes = self._order.source, self._file_bytes
            self._must_have_room(disk_bytes)
        else:
            disk_bytes = self._disk_bytes(driver)
            data_bytes = self._data_bytes(driver)
            self._must_have_room(2 * data_bytes)
            disk = self._converted(driver, disk_bytes, data_bytes)
        return self._kept(self._packed(disk, disk_bytes), target)

    def _kind(self) -> ImageKind:
        self._order.source.chmod(0o444)  # whoever the sandbox runs as must read it; the directories around it are shut
        with self._order.source.open("rb") as file:
            head = file.read(HEAD_BYTES)
            file.seek(max(0, self._file_bytes - TAIL_BYTES))
            return importable(head, file.read(), self._order.name, self._order.kind)

    def _disk_bytes(self, driver: str) -> int:
        """The image's disk, if it stands alone."""
        answer = qemu.Answer()
        self._run(qemu.info(driver), (), Limits(GIB, LOOKING_S, int(LOOKING_S)), answer.tell)
        return qemu.virtual_bytes(answer.json(), driver)

    def _data_bytes(self, driver: str) -> int:
        """How much there is to convert, at most; the file's tables are sound."""
        walking = Limits(GIB, WALKING_S, int(WALKING_S))
        extents = qemu.Extents(self._file_bytes)
        self._run(qemu.extents(driver), (), walking, extents.tell)
        if driver in qemu.CHECKED:
            try:
                self._run(qemu.check(driver), (), walking, qemu.Answer().tell)
            except ProgramFailed as error:
                if error.status != qemu.LEAKS_ONLY:
                    raise
        return min(extents.data_bytes, self._file_bytes) if driver in qemu.UNPACKED else extents.data_bytes

    def _must_have_room(self, needed: int) -> None:
        free = shutil.disk_usage(self._order.directory).free
        if free < needed + RESERVE_BYTES:
            told = f"up to {(needed + RESERVE_BYTES) / GB:.1f} GB are needed for a while, {free / GB:.1f} are free"
            raise NoSpace("importing an image", told)

    def _converted(self, driver: str, disk_bytes: int, data_bytes: int) -> Path:
        """The disk as a raw file with holes."""
        output = self._room("disk")
        limits = working(data_bytes, disk_bytes, GIB)

        def tell(piece: bytes) -> None:
            share = qemu.percent(piece)
            if share is not None:
                self._told = ("converting", int(disk_bytes * share / 100), disk_bytes)

        self._told = ("converting", 0, disk_bytes)
        self._run(qemu.convert(driver, f"{OUT}/{DISK}"), (output, OUT), limits, tell)
        return plain(output / DISK)

    def _packed(self, disk: Path, disk_bytes: int) -> Path:
        """The disk as a chunked image."""
        output = self._room("packed")
        allocated = disk.stat().st_blocks * 512
        self._told = ("packing", 0, None)
        argv = [*AGENT, "image", "pack", qemu.IMAGE, f"{OUT}/{PACKED}", "--format", "raw", "--json"]
        limits = working(allocated, disk_bytes, 4 * GIB)
        self._run(argv, (output, OUT), limits, qemu.Answer().tell, disk)
        return plain(output / PACKED)

    def _room(self, name: str) -> Path:
        """An empty directory of its own for the output of one program."""
        directory = self._order.work / name
        directory.mkdir(mode=0o700)
        return directory

    def _run(
        self,
        argv: Sequence[str],
        output: tuple[Path, str] | tuple[()],
        limits: Limits,
        tell: Callable[[bytes], None],
        image: Path | None = None,
    ) -> None:
        inputs = ((image or self._order.source, qemu.IMAGE), *(program_paths() if argv[0] == AGENT[0] else ()))
        environment = (("PYTHONPATH", str(HOME)),) if argv[0] == AGENT[0] else ()
        box = Box(inputs, output or None, environment)
        run_boxed(argv, box, limits, tell=tell, look=self._look)

    def _look(self) -> None:
        self._must_have_room(0)
        self._tell(*self._told)

    def _kept(self, packed: Path, target: Path) -> Kept:
        """Checked like one that was uploaded, and only then moved to where images are."""
        file_bytes = packed.stat().st_size
        with packed.open("rb") as file:
            check = Chunked(qemu.LARGEST_BYTES, lambda done: self._tell("checking", done, file_bytes))
            unpacked = check.finish(file)
            os.fsync(file.fileno())
        assert unpacked.sha256 is not None, "a chunked image has a digest of its own"
        if os.geteuid() == 0:
            os.chown(packed, 0, 0)
        packed.chmod(0o600)
        packed.rename(target)
        settle(target.parent)
        return Kept(ImageFormat.CHUNKED, unpacked.sha256, file_bytes, unpacked)


def working(data_bytes: int, disk_bytes: int, memory_bytes: int) -> Limits:
    """Time by how much there is to do, and a file as large as the disk."""
    wall_s = WALKING_S + data_bytes / BYTES_PER_S
    return Limits(memory_bytes, wall_s, int(wall_s) * THREADS, disk_bytes + disk_bytes // 64 + 64 * MIB)


def plain(path: Path) -> Path:
    """What came out of the box must be a file: a link would have us read, or hand to the next, what it points to.

    Raises `ProgramFailed`.
    """
    found = path.lstat() if os.path.lexists(path) else None
    if found is None or not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        raise ProgramFailed(f"looking at {path.name}", "it is not the plain file that should have been made")
    return path


def program_paths() -> tuple[tuple[Path, str], ...]:
    """Where Python and this program are, beyond /usr; inside, at the same place."""
    places = {Path(sys.prefix), Path(sys.base_prefix), HOME / "agent"}
    outside = sorted(place for place in places if not place.is_relative_to("/usr"))
    return tuple((place, str(place)) for place in outside)

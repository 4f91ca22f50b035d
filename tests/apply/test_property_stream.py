# SPDX-License-Identifier: Apache-2.0
"""Random faults of server, connection, disk and process while streams are written to a loop device.

Whatever happens, the end is either an error or a death with a disk that cannot boot, or success with every byte right.
Each round is made from its seed alone: `Round(folder, node, seed).run()` does it again, but for the threads' order.
"""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import zstandard

from agent.apply.image import write_image
from agent.errors import AgentError
from agent.host.doors import Host
from agent.model.image import ImageFormat, ImageRef
from agent.model.plan import WriteImage
from agent.model.qcow2 import Compression
from tests import hostile
from tests.apply.disks import MIB, gpt_image
from tests.apply.faulty import SILENT, FaultyBlock, Trouble
from tests.apply.packed import STREAMS, digest_of, file_of
from tests.apply.qcow2 import Shape, qcow2
from tests.apply.real import cannot_boot, host, process_of, write_of
from tests.hostile import Answer, Handler, Server, serving
from tests.loops import loop

pytestmark = pytest.mark.root

SEED = 20261121
LONGEST_S = 60.0
IN_MEMORY = "/dev/shm"
"""Where a flush costs nothing."""
MOST_ROUNDS = 150
DISK = 24 * MIB
SOFT = random.Random(SEED).randbytes(6 * MIB).translate(bytes(byte & 0x3F for byte in range(256)))
IMAGE = gpt_image()[: 3 * MIB] + SOFT + bytes(5 * MIB) + SOFT[: 2 * MIB - 512] + gpt_image()[-512:]
NAMES = (*STREAMS, "many frames", "qcow2, zlib", "qcow2, zstd")


@cache
def file_called(name: str) -> tuple[ImageFormat, bytes]:
    """The image in one of its forms."""
    match name:
        case "many frames":
            frames = (zstandard.compress(IMAGE[at : at + MIB // 3]) for at in range(0, len(IMAGE), MIB // 3))
            return ImageFormat.RAW_ZST, b"".join(frames)
        case "qcow2, zlib":
            return ImageFormat.QCOW2, qcow2(IMAGE, Shape(packed=0.7, zeroes=0.4, seed=1))
        case "qcow2, zstd":
            return ImageFormat.QCOW2, qcow2(IMAGE, Shape(3, 18, Compression.ZSTD, 0.8, 0.4, 2))
        case _:
            return ImageFormat(name), file_of(IMAGE, ImageFormat(name))


def flipped(at: int, bit: int) -> Answer:
    """What was asked for, with one bit of the file changed if it is in there."""

    def answer(handler: Handler) -> None:
        first = handler.part[0] if handler.part else 0
        body = bytearray(handler.begin_body())
        if first <= at < first + len(body):
            body[at - first] ^= 1 << bit
        handler.wfile.write(body)

    return answer


def becoming(other: bytes, count: int, etag: str) -> Answer:
    """Some of the file; from then on the server has another one."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(handler.begin_body()[:count])
        handler.server.body, handler.server.etag = other, etag

    return answer


def killing(pid: int, count: int, pause_s: float) -> Answer:
    """Some of the file, and the agent is dead a moment later."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(handler.begin_body()[:count])
        handler.wfile.flush()
        time.sleep(pause_s)
        os.kill(pid, signal.SIGKILL)

    return answer


class Round:
    """One image on one disk, with what is to happen."""

    def __init__(self, folder: Path, node: str, seed: str) -> None:
        self._noise = random.Random(seed)
        self._folder = folder
        self._node = node
        self.told = [str(self._noise.choice(NAMES))]
        image_format, self._file = file_called(self.told[0])
        self._image = ImageRef(
            url="http://127.0.0.1:1/image",
            format=image_format,
            sha256=digest_of(self._file, image_format),
            file_bytes=len(self._file) if self._noise.random() < 0.5 else None,
            size_bytes=len(IMAGE) if self._noise.random() < 0.5 else None,
        )

    def run(self) -> str:
        """Perhaps a death, then a try; how it ended. Raises `AssertionError` if it ended wrong."""
        self._spoil()
        if self._noise.random() < 0.25:
            with serving(self._file) as server:
                self._die(server)
        with serving(self._file) as server:
            server.script = [self._answer() for _ in range(self._noise.choice([0, 1, 1, 2, 4]))]
            return self._try(server)

    def _spoil(self) -> None:
        """Something else on the disk; sometimes all or most of what the last round left."""
        kind = self._noise.randrange(4)
        with (self._folder / "disk").open("r+b") as disk:
            if kind:
                disk.write(b"\xff" * MIB)
            if kind > 1:
                disk.seek(self._noise.randrange(MIB, DISK - 2 * MIB))
                disk.write(b"\xff" * MIB)
            if kind > 2:
                disk.seek(0)
                disk.write(b"\xff" * DISK)

    def _answer(self) -> Answer:
        size, noise = len(self._file), self._noise
        at = noise.randrange(size)
        name, answer = noise.choice(
            [
                (f"cut after {at}", hostile.cut_after(at)),
                (f"reset after {at}", hostile.reset_after(at)),
                (f"chunks, cut after {at}", hostile.chunks_cut_after(at)),
                (f"bit of byte {at}", flipped(at, at % 8)),
                (f"another file after {at}", becoming(noise.randbytes(size), at, '"second"')),
                (f"silently another file after {at}", becoming(noise.randbytes(size), at, '"first"')),
                ("no ranges", hostile.without_ranges),
                ("no length", hostile.without_length),
                ("wrong range", hostile.part(f"bytes {at}-{size - 1}/{size}", size - at)),
                ("wrong length", hostile.part(f"bytes 0-{at}/{at + 1}", at + 1)),
                ("encoded", hostile.encoded),
                *((str(number), hostile.status(number)) for number in (404, 416, 429, 500, 502, 503, 504)),
            ]
        )
        self.told.append(name)
        return answer

    def _step(self, server: Server, *, verify: bool) -> WriteImage:
        image = self._image.model_copy(update={"url": server.url})
        return write_of(self._node, image, self._folder, verify=verify)

    def _die(self, server: Server) -> None:
        """A real process, killed at any byte of the file, or soon after its end."""
        before = self._medium()
        with process_of(self._step(server, verify=self._noise.random() < 0.5), self._folder) as process:
            at = self._noise.choice([self._noise.randrange(len(self._file)), len(self._file)])
            pause_s = self._noise.choice([0.0, 0.02, 0.3])
            self.told.append(f"killed {pause_s} s after byte {at}")
            tables = [hostile.good] * self._noise.choice([0, 3, 4]) if self._image.format is ImageFormat.QCOW2 else []
            server.script = [*tables, killing(process.pid, at, pause_s)]
            process.wait(timeout=60)
        heads = list(self._folder.glob("*.head"))
        if heads:  # it was done before
            self._must_hold(heads[0])
        else:
            self._must_not_boot(before)

    def _try(self, server: Server) -> str:
        """In this process, perhaps on a disk that goes wrong."""
        before, silent = self._medium(), False
        doors: Host = host()
        if self._noise.random() < 0.4:
            block = FaultyBlock(self._noise.choice(list(Trouble)), self._noise.randint(1, 30))
            self.told.append(f"{block.trouble} at call {block.at} of the disk")
            doors, silent = replace(doors, block=block), block.trouble in SILENT
        step = self._step(server, verify=silent or self._noise.random() < 0.3)
        try:
            write_image(doors, step, lambda *_: None)
        except AgentError as error:
            assert not list(self._folder.glob("*.head")), "an error, and yet a head"
            self._must_not_boot(before)
            return error.code
        self._must_hold(Path(step.head_path))
        return "success"

    def _medium(self) -> bytes:
        return (self._folder / "disk").read_bytes()

    def _must_not_boot(self, before: bytes) -> None:
        """No boot code and no table; or, where it did not come to be written, nothing but the first MiB was touched."""
        content = self._medium()
        assert cannot_boot(content) or content[MIB:] == before[MIB:], "old or new parts of a disk might boot"

    def _must_hold(self, head: Path) -> None:
        content = self._medium()
        assert head.read_bytes() == IMAGE[:MIB], "another head"
        assert content[MIB : len(IMAGE)] == IMAGE[MIB:], "success with wrong bytes"
        assert not any(content[:MIB]), "the first MiB was written before the head"
        head.unlink()


def test_any_fault() -> None:
    """Never success with wrong bytes, whatever goes wrong at whatever time; and nothing but success and our errors."""
    began_s, ends, rounds = time.monotonic(), dict[str, int](), 0
    with TemporaryDirectory(dir=IN_MEMORY) as folder, loop(Path(folder), DISK) as node:
        while rounds < MOST_ROUNDS and time.monotonic() - began_s < LONGEST_S:
            seed = f"{SEED}-{rounds}"
            this = Round(Path(folder), node, seed)
            try:
                end = this.run()
            except BaseException as error:
                raise AssertionError(f"round {seed}: {', '.join(this.told)}: {error}") from error
            ends[end] = ends.get(end, 0) + 1
            rounds += 1
            print(f"{time.monotonic() - began_s:.1f}", seed, *this.told, "->", end, sep="  ")  # noqa: T201 - shown if the test fails
    assert rounds < 20 or ends["success"] > rounds // 5, f"hardly anything succeeded: {ends}"

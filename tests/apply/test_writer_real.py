# SPDX-License-Identifier: Apache-2.0
"""The process that writes images, as it is: another user's, on loop devices of the real kernel, killed by it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from agent.apply.chunked.pack import Options, Packing
from agent.apply.image import write_image
from agent.apply.writer.relay import relayed
from agent.errors import DiskChanged, DiskInUse, WriterDistrusted
from agent.host.block import RealBlock
from agent.host.line import Line, close_all, dialled
from agent.model.image import ImageFormat, ImageRef
from agent.model.plan import WriteImage
from agent.model.writing import Begin, FromWriter
from tests.apply.disks import MIB, gpt_image
from tests.apply.lending import listening, written
from tests.apply.packed import digest_of, file_of
from tests.apply.real import cannot_boot, host, write_of
from tests.apply.started import Started, started
from tests.controller.chunks import Bytes
from tests.hostile import Server, good, serving, stall_after
from tests.loops import loop
from tests.nobody import NOBODY

DISK = 192 * MIB
IMAGE = gpt_image(96 * MIB)
KILLED_AT = 3
"""So many times has it said that it lives."""
WITHIN_S = 30.0

pytestmark = pytest.mark.root


@pytest.fixture
def server() -> Iterator[Server]:
    """With the image."""
    with serving(IMAGE) as running:
        yield running


@pytest.fixture
def used(tmp_path: Path) -> Iterator[str]:
    """A disk that is full of somebody's data."""
    (tmp_path / "disk").write_bytes(b"\xff" * DISK)
    with loop(tmp_path, DISK) as node:
        yield node


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Started]:
    """Asked for by root."""
    with started(tmp_path) as found:
        yield found


def reference(server: Server, image_format: ImageFormat) -> ImageRef:
    """Serve the image, and say what it is."""
    if image_format is ImageFormat.CHUNKED:
        packed = Packing(Bytes(IMAGE), Options(threads=1, level=1, chunk_bytes=MIB))
        server.body = b"".join(packed.pieces())
        return ImageRef(url=server.url, format=image_format, sha256=packed.digest)
    server.body = file_of(IMAGE, image_format)
    return ImageRef(url=server.url, format=image_format, sha256=digest_of(server.body, image_format))


def medium(tmp_path: Path) -> bytes:
    """What is behind the device."""
    os.sync()
    return (tmp_path / "disk").read_bytes()


def must_be_there(tmp_path: Path, step: WriteImage) -> None:
    """The image, but for its head, which was handed on."""
    content = medium(tmp_path)
    assert content[MIB : len(IMAGE)] == IMAGE[MIB:]
    assert cannot_boot(content) and Path(step.head_path).read_bytes() == IMAGE[:MIB]


@pytest.mark.parametrize("image_format", [ImageFormat.CHUNKED, ImageFormat.RAW, ImageFormat.QCOW2, ImageFormat.RAW_GZ])
def test_nobody_writes_it(
    server: Server, tmp_path: Path, used: str, writer: Started, image_format: ImageFormat
) -> None:
    """A process without any right writes, zeroes and flushes by the file that it was lent, reads back, and lets go."""
    step = write_of(used, reference(server, image_format), tmp_path, verify=True)
    result = write_image(host(), step, lambda *_: None, writer.path)

    must_be_there(tmp_path, step)
    assert f"writing an image as user {NOBODY if os.geteuid() == 0 else os.geteuid()}" in writer.log
    assert result["verified_bytes"] == len(IMAGE) - MIB


@pytest.mark.parametrize(
    ("image_format", "times"), [(ImageFormat.CHUNKED, 1), (ImageFormat.RAW, 2), (ImageFormat.RAW_ZST, 2)]
)
def test_killed(
    server: Server, tmp_path: Path, used: str, writer: Started, image_format: ImageFormat, times: int
) -> None:
    """By SIGKILL while it writes: the next goes on, where the format can, and brings it to its end."""
    step = write_of(used, reference(server, image_format), tmp_path)
    in_pieces = image_format is ImageFormat.CHUNKED
    stalling = [good] * 3 * in_pieces + [stall_after(1000 if in_pieces else len(server.body) // 2)] * 40
    server.script = [*stalling]
    beats, left = 0, times

    def advance(*_: object) -> None:
        nonlocal beats, left
        beats += 1
        if left and beats % KILLED_AT == 0:
            left -= 1
            server.script = [*stalling] if left else []
            writer.kill()

    result = write_image(host(), step, advance, writer.path)

    must_be_there(tmp_path, step)
    assert left == 0 and writer.log.count("writing an image as user") == times + 1
    assert image_format is ImageFormat.RAW_ZST or int(result["reused_bytes"]) > 0


def test_one_that_hangs_is_killed(server: Server, tmp_path: Path, used: str, writer: Started) -> None:
    """It is stopped while it has the disk, and says nothing any more: the kernel gives the disk to the next, which
    brings the image to its end.
    """
    step = write_of(used, reference(server, ImageFormat.RAW), tmp_path)
    server.script = [stall_after(len(server.body) // 2)] * 40
    stopped: list[int] = []

    def advance(done_bytes: int, *_: object) -> None:
        if done_bytes and not stopped:
            server.script = []
            stopped.append(writer.stop())
            with pytest.raises(DiskInUse), RealBlock().open_exclusive(used):
                pass

    relayed(host(), step, writer.path, advance, silent_s=15)

    must_be_there(tmp_path, step)
    assert writer.log.count("writing an image as user") == 2 and not Path(f"/proc/{stopped[0]}").exists()


def test_it_says_that_it_runs(tmp_path: Path) -> None:
    """To systemd, which ends it where it does not: root, which knows it by what it says, could not end one that keeps
    the socket and has said nothing.
    """
    unit = (Path(__file__).parents[2] / "systemd" / "bms-agent-writer.service").read_text(encoding="utf-8")
    name = f"bms-agent-test-{os.getpid()}"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as ear:
        ear.bind(f"\0{name}")
        ear.settimeout(WITHIN_S)
        watched = {"NOTIFY_SOCKET": f"@{name}", "WATCHDOG_USEC": "300000"}
        with started(tmp_path, **watched) as writer, dialled(writer.path, "saying nothing"):
            heard = [ear.recv(4096) for _ in range(4)]

    assert heard == [b"READY=1"] + 3 * [b"WATCHDOG=1"] and "WatchdogSec=60" in unit.splitlines()


def test_two_orders_for_one_disk(server: Server, tmp_path: Path, used: str, writer: Started) -> None:
    """An operator's waits for the process that writes the controller's, and is then refused: the disk is not the one
    any more that it was found to be. What the first wrote stays.
    """
    first = write_of(used, reference(server, ImageFormat.RAW), tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    second = write_of(used, first.image, other)
    server.script = [stall_after(len(server.body) // 2)]
    refused: list[str] = []

    def operator() -> None:
        with pytest.raises((DiskChanged, DiskInUse)) as error:
            write_image(host(), second, lambda *_: None, writer.path)
        refused.append(error.value.code)

    thread = Thread(target=operator)

    def advance(*_: object) -> None:
        if not thread.ident:
            thread.start()

    write_image(host(), first, advance, writer.path)
    with RealBlock().open_exclusive(used) as disk:  # as sealing does
        disk.write(0, IMAGE[:MIB])
        disk.flush()
    thread.join(60)

    assert refused == ["DISK.CHANGED"] and not Path(second.head_path).exists()
    assert medium(tmp_path)[: len(IMAGE)] == IMAGE


def test_who_keeps_a_real_disk(server: Server, tmp_path: Path, used: str) -> None:
    """The kernel gives no disk exclusively that somebody else has so: what one keeps is not sealed."""
    step = write_of(used, reference(server, ImageFormat.RAW), tmp_path)
    kept: list[int] = []

    def lies(line: Line) -> None:
        piece = line.receive_files(30, 1)
        assert piece is not None
        close_all(piece[2])
        line.send(FromWriter(said=Begin()).model_dump_json().encode(), IMAGE[:MIB], 30)
        answer = line.receive_files(30, 1)
        assert answer is not None
        kept.extend(answer[2])
        line.send(FromWriter(said=written(len(IMAGE), step.image.sha256)).model_dump_json().encode(), b"", 30)

    try:
        with pytest.raises(WriterDistrusted, match="has not let go"), listening(lies) as path:
            write_image(host(), step, lambda *_: None, path)
        assert not Path(step.head_path).exists()
    finally:
        os.close(kept[0])
    with RealBlock().open_exclusive(used) as disk:
        assert disk.size_bytes == DISK

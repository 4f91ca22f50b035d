# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C while an image is written to a loop device: what is said, what is left on the medium, and how it goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli.job import BEGUN, OTHERS, left
from agent.model.disk import MIB
from agent.model.image import ImageFormat, ImageRef
from agent.model.request import CaptureRequest, DeleteRaidRequest, EraseRequest
from tests.apply.disks import gpt_image
from tests.apply.packed import digest_of
from tests.apply.real import cannot_boot
from tests.hardware import deploy
from tests.hostile import Handler, Server, serving
from tests.loops import loop

IMAGE = gpt_image(64 * MIB)
DISK = 192 * MIB
PLACED_BYTES, SEEN_BYTES = 15 * MIB, 28 * MIB
"""The first place to go on from; and one by which that is written down."""
FAST_BYTES, PIECE_BYTES = 34 * MIB, MIB // 4
PATIENCE = 600


def slowly(handler: Handler) -> None:
    """Most of it at once; the rest piece by piece, for a minute, which nobody waits for."""
    body = handler.begin_body()
    handler.wfile.write(body[:FAST_BYTES])
    for at in range(FAST_BYTES, len(body), PIECE_BYTES):
        if handler.server.over.wait(0.5):
            return
        handler.wfile.write(body[at : at + PIECE_BYTES])


def silent(handler: Handler) -> None:
    """Shortly before the end, and nothing more: what is on its way to the disk is some MiB."""
    handler.wfile.write(handler.begin_body()[:-MIB])
    handler.wfile.flush()
    handler.server.over.wait(300)


@pytest.fixture
def server() -> Iterator[Server]:
    """With the image."""
    with serving(IMAGE) as running:
        yield running


@pytest.fixture
def node(tmp_path: Path) -> Iterator[str]:
    """A disk that is full of somebody's data."""
    (tmp_path / "disk").write_bytes(b"\xff" * DISK)
    with loop(tmp_path, DISK) as found:
        yield found


def writing(node: str, server: Server, directory: Path) -> subprocess.Popen[str]:
    """The same command each time; its request has a new id, as one that is typed has."""
    image = ImageRef(url=server.url, format=ImageFormat.RAW, sha256=digest_of(IMAGE, ImageFormat.RAW))
    request = deploy(serial="LOOP", image=image, overwrite=True, drive=None, request_id=f"r{time.monotonic_ns()}")
    file = directory / "request.json"
    file.write_text(request.model_dump_json())
    argv = [sys.executable, "-m", "tests.cli.interrupted", node, str(directory), str(file)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def medium(directory: Path) -> bytes:
    """What is behind the device."""
    os.sync()
    return (directory / "disk").read_bytes()


def wait_until_written(directory: Path) -> None:
    """So far that there is a place to go on from."""
    for _ in range(PATIENCE):
        with (directory / "disk").open("rb") as disk:
            disk.seek(SEEN_BYTES)
            if disk.read(MIB) == IMAGE[SEEN_BYTES : SEEN_BYTES + MIB]:
                return
        time.sleep(0.1)
    pytest.fail("nothing was written")


def interrupted(process: subprocess.Popen[str], signals: int, directory: Path) -> str:
    """What it says of that on its standard error."""
    try:
        wait_until_written(directory)
        for at in range(signals):
            time.sleep(1.0 if at else 0.0)
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == -signal.SIGINT, said
    return said


@pytest.mark.root
def test_an_image_is_written(server: Server, node: str, tmp_path: Path) -> None:
    """It ends, the disk cannot boot, which is said, and the same command fetches what is missing only."""
    server.script = [slowly]
    said = interrupted(writing(node, server, tmp_path), 1, tmp_path)

    assert "ending what was begun; once more ends it at once" in said and BEGUN["image.deploy"] in said
    assert "controller" not in said and cannot_boot(medium(tmp_path))

    asked = len(server.asked)
    with writing(node, server, tmp_path) as again:
        out, said = again.communicate(timeout=120)
    assert again.returncode == 0 and out.endswith("done\n"), said
    starts = [int((one or "bytes=0-").removeprefix("bytes=").partition("-")[0]) for one in server.asked[asked:]]
    assert max(starts) >= PLACED_BYTES, server.asked
    assert f"reused_bytes={max(starts)}" in out or "reused_bytes=0" not in out, out
    assert medium(tmp_path)[MIB : len(IMAGE) - MIB] == IMAGE[MIB : len(IMAGE) - MIB]
    assert not cannot_boot(medium(tmp_path))


@pytest.mark.root
def test_the_second_ends_it_at_once(server: Server, node: str, tmp_path: Path) -> None:
    """Also where the image's server has fallen silent; the same is said, and the disk cannot boot."""
    server.script = [silent]
    said = interrupted(writing(node, server, tmp_path), 2, tmp_path)

    assert BEGUN["image.deploy"] in said
    assert cannot_boot(medium(tmp_path))


def test_what_is_left_of_others() -> None:
    """Each verb's own; a captured disk is as it was, an erased one is not proven."""
    erase = EraseRequest(request_id="r", node_id="n", serials=("A",))
    capture = CaptureRequest(request_id="r", node_id="n", path="/dev/sda", to="file:///a.bmi")

    assert "nothing is proven" in left(erase)
    assert "The disk is as it was" in left(capture)
    assert left(DeleteRaidRequest(request_id="r", node_id="n")) == OTHERS and "--plan" in OTHERS

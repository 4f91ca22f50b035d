# SPDX-License-Identifier: Apache-2.0
"""Killed while an image is written to a loop device, and started again: how much is fetched twice."""

from __future__ import annotations

import hashlib
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agent.apply.image import write_image
from agent.model.image import ImageFormat, ImageRef
from tests import hostile
from tests.apply.disks import MIB, gpt_image
from tests.apply.real import cannot_boot, host, process_of, write_of
from tests.hostile import Handler, serving
from tests.loops import command, loop

pytestmark = pytest.mark.root

SIZE = 768 * MIB
DATA_BYTES = SIZE - 64 * MIB
KILLED_AT = 0.92
"""Of what was sent: of that, sockets hold up to a dozen MB (net.ipv4.tcp_rmem, tcp_wmem), so the agent has 90 %."""
MOST = 0.15


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory: the disk's own speed is of no interest here."""
    with TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


def image() -> bytes:
    """A disk's image: data, and a little nothing at its end."""
    noise = random.Random(11).randbytes(64 * MIB)
    return gpt_image()[: 2 * MIB] + (noise * 12)[: DATA_BYTES - 2 * MIB] + bytes(SIZE - DATA_BYTES)


def file_of(content: bytes, image_format: ImageFormat, folder: Path) -> bytes:
    """The file as it travels: as QEMU makes it."""
    if image_format is ImageFormat.RAW:
        return content
    raw, made = folder / "raw", folder / "qcow2"
    raw.write_bytes(content)
    command("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(made))
    raw.unlink()
    file = made.read_bytes()
    made.unlink()
    return file


@pytest.mark.parametrize("image_format", [ImageFormat.RAW, ImageFormat.QCOW2])
def test_killed_at_90_percent(folder: Path, image_format: ImageFormat) -> None:
    """At most 15 % of the file is fetched again, the rest is read from the disk and verified; every byte is right."""
    content = image()
    file = file_of(content, image_format, folder)
    digest = hashlib.sha256(file).hexdigest()
    with serving(file) as server, loop(folder, SIZE + 2 * MIB) as node:
        ref = ImageRef(url=server.url, format=image_format, sha256=digest)
        step = write_of(node, ref, folder)

        def kill(handler: Handler) -> None:
            """Tables come in small ranges; the data in one long answer."""
            part = handler.part
            if part is not None and part[1] - part[0] < len(file) // 2:
                hostile.good(handler)
                return
            body = handler.begin_body()
            handler.wfile.write(memoryview(body)[: int(KILLED_AT * len(file))])
            os.kill(process.pid, signal.SIGKILL)

        server.script = [kill] * 100
        with process_of(step, folder) as process:
            assert process.wait(timeout=120) == -signal.SIGKILL
        assert cannot_boot((folder / "disk").read_bytes()) and not list(folder.glob("*.head"))
        server.script = []
        result = write_image(host(), step, lambda *_: None)
        disk = (folder / "disk").read_bytes()

    fetched = result["fetched_bytes"]
    assert isinstance(fetched, int)
    print(f"{image_format}: {fetched / len(file):.1%} fetched again")  # noqa: T201 - a measurement
    assert fetched <= MOST * len(file), f"{fetched / len(file):.1%} of the file was fetched again"
    assert disk[MIB:SIZE] == content[MIB:]
    assert Path(step.head_path).read_bytes() == content[:MIB]

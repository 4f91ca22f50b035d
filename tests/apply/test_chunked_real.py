# SPDX-License-Identifier: Apache-2.0
"""Chunked images on loop devices of the real kernel: ordinary tools, redeploying, kill -9, random faults."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agent.apply.chunked.hands import LONGEST_BATCH_BYTES, MOST_HANDS
from agent.errors import AgentError, DeviceError, HostError
from agent.model.image import ImageRef
from agent.model.partition_table import fit
from agent.model.plan import Partition, WriteImage
from tests import hostile
from tests.apply.chunks import packing, reference, serve_store, sparse_disk
from tests.apply.disks import MIB, gpt_image, machine
from tests.apply.real import cannot_boot, carry_out, process_of, steps
from tests.hostile import Handler, Server, serving
from tests.loops import command, loop

DISK = 260 * MIB
SMALL_DISK = 80 * MIB
SECONDS = 45.0

pytestmark = pytest.mark.root


def noisy(size_bytes: int, seed: int = 1) -> bytes:
    """A disk nearly all of which is data that cannot be compressed."""
    disk = bytearray(gpt_image(size_bytes, seed=seed))
    disk[3 * MIB : size_bytes - 2 * MIB] = random.Random(seed).randbytes(size_bytes - 5 * MIB)
    return bytes(disk)


IMAGE = noisy(192 * MIB)
PACKED, FILE = packing(IMAGE, chunk_bytes=MIB, threads=2)


@pytest.fixture
def server() -> Iterator[Server]:
    """With the image."""
    with serving(FILE) as running:
        yield running


@pytest.fixture
def used(tmp_path: Path) -> Iterator[str]:
    """A disk that is full of somebody's data."""
    (tmp_path / "disk").write_bytes(b"\xff" * DISK)
    with loop(tmp_path, DISK) as node:
        yield node


def content_of(tmp_path: Path) -> bytes:
    """What is behind the device."""
    os.sync()
    return (tmp_path / "disk").read_bytes()


def must_hold(tmp_path: Path, image: bytes) -> None:
    """The image, its table fitted to the disk, and nothing old behind it."""
    content = content_of(tmp_path)
    size = len(content)
    drive = Partition(label="config-2", offset_bytes=size - 65 * MIB, size_bytes=64 * MIB)
    fitted = fit(image[:MIB], size, 512, (drive,))
    assert content[:MIB] == fitted.head
    assert content[MIB : len(image)] == image[MIB:]
    assert not any(content[len(image) : len(image) + MIB])
    assert content[size - len(fitted.tail) :] == fitted.tail


def number(result: dict[str, str | int], name: str) -> int:
    """A count of the result."""
    value = result[name]
    assert isinstance(value, int)
    return value


def test_ordinary_tools(tmp_path: Path) -> None:
    """zstd unpacks the file to the raw disk, tests it, and counts its frames."""
    image = gpt_image()
    made, file = packing(image, chunk_bytes=512 * 1024)
    (tmp_path / "disk.zst").write_bytes(file)
    unpacked = subprocess.run(["zstd", "-dqc", str(tmp_path / "disk.zst")], capture_output=True, check=True).stdout
    command("zstd", "-tq", str(tmp_path / "disk.zst"))
    listed = command("zstd", "-lv", str(tmp_path / "disk.zst"))

    assert unpacked == image
    assert f"# Zstandard Frames: {-(-len(image) // made.chunk_bytes)}" in listed and "Skippable Frames: 2" in listed


def test_redeployed(server: Server, tmp_path: Path, used: str) -> None:
    """The same image on the same disk again: less than 1 % is fetched and written, and it is right."""
    first = carry_out(used, reference(PACKED.digest, server.url), tmp_path)
    second = carry_out(used, reference(PACKED.digest, server.url), tmp_path)

    must_hold(tmp_path, IMAGE)
    assert number(second, "fetched_bytes") < number(first, "fetched_bytes") / 100
    assert number(second, "written_bytes") < number(first, "written_bytes") / 100
    assert number(second, "reused_bytes") > 0.99 * number(first, "written_bytes")


def test_only_what_differs(server: Server, tmp_path: Path, used: str) -> None:
    """A disk that was used since gets its image back by what changed, data and holes."""
    carry_out(used, reference(PACKED.digest, server.url), tmp_path)
    places = random.Random(1).sample(range(4 * MIB, len(IMAGE) - 4 * MIB), 5)
    with Path(used).open("r+b") as disk:
        for place in places:
            disk.seek(place)
            disk.write(b"changed")
    os.sync()
    result = carry_out(used, reference(PACKED.digest, server.url), tmp_path)

    must_hold(tmp_path, IMAGE)
    assert number(result, "written_bytes") <= (len(places) * 2 + 1) * MIB


def writing(node: str, image: ImageRef, spool: Path) -> subprocess.Popen[str]:
    """A process that writes the image."""
    return process_of(next(step for step in steps(node, image, spool) if isinstance(step, WriteImage)), spool)


def killing(server: Server, writer: list[subprocess.Popen[str]], place: int) -> hostile.Answer:
    """Serves well until a request reaches that byte of the file; then the process is gone."""

    def answer(handler: Handler) -> None:
        part = handler.part or (0, len(server.body) - 1)
        body = handler.begin_body()
        if part[0] <= place <= part[1] and len(body) > MIB:
            handler.wfile.write(body[: place - part[0]])
            handler.wfile.flush()
            writer[0].send_signal(signal.SIGKILL)
        else:
            handler.wfile.write(body)

    return answer


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_killed_and_gone_on(server: Server, tmp_path: Path, used: str, share: float) -> None:
    """Killed while it writes, it fetches what was missing and the one batch that each hand had in work."""
    image, writer = reference(PACKED.digest, server.url), list[subprocess.Popen[str]]()
    server.script = [killing(server, writer, int(share * len(FILE)))] * 200
    with writing(used, image, tmp_path) as process:
        writer.append(process)
        assert process.wait(timeout=120) == -signal.SIGKILL
    os.sync()
    assert cannot_boot((tmp_path / "disk").read_bytes())
    server.script = []
    result = carry_out(used, image, tmp_path)

    must_hold(tmp_path, IMAGE)
    in_work = MOST_HANDS * LONGEST_BATCH_BYTES
    assert number(result, "fetched_bytes") <= min((1 - share) * len(FILE) + in_work, 0.99 * len(FILE))


def test_disk_that_is_full(tmp_path: Path) -> None:
    """What the device cannot take is an error, at the latest when it is flushed; the disk cannot boot."""
    small = tmp_path / "small"
    small.mkdir()
    command("mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(small))
    try:
        with serving(FILE) as server, loop(small, DISK) as node:
            with pytest.raises(HostError) as caught:
                carry_out(node, reference(PACKED.digest, server.url), tmp_path)
            head = subprocess.run(["head", "-c", str(MIB), node], capture_output=True, check=True).stdout
    finally:
        command("umount", str(small))

    assert isinstance(caught.value, DeviceError) and not any(head)


def test_store_behind_a_server(tmp_path: Path, used: str) -> None:
    """A store on a real server is written as the file is."""
    made = machine(DISK)
    image = serve_store(made, gpt_image(24 * MIB))
    store = tmp_path / "www"
    for url, page in made.web.items():
        path = store / url.removeprefix("http://images.example/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(page.body)
    argv = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(store), "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split("(")[1].split("/)")[0]
            there = image.model_copy(update={"url": image.url.replace("http://images.example", address)})
            carry_out(used, there, tmp_path)
        finally:
            process.terminate()
            process.wait(10)

    must_hold(tmp_path, gpt_image(24 * MIB))


def flipping(chance: random.Random) -> hostile.Answer:
    """A good answer, but for one bit."""

    def answer(handler: Handler) -> None:
        body = bytearray(handler.begin_body())
        if body:
            body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        handler.wfile.write(body)

    return answer


def anything(chance: random.Random) -> hostile.Answer:
    """One answer of a bad server."""
    count = chance.choice((0, 1, 1000, chance.randrange(4 * MIB)))
    return chance.choice((
        hostile.good, hostile.good, hostile.cut_after(count), hostile.reset_after(count), hostile.status(503),
        hostile.status(429), hostile.chunks_cut_after(count), hostile.part("bytes 5-9/10", 5), flipping(chance),
        hostile.without_ranges,
    ))  # fmt: skip


def killed_at_random(node: str, what: ImageRef, spool: Path, chance: random.Random) -> None:
    """A process writes it, and is gone after some time."""
    with writing(node, what, spool) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.8, 3.0))
        process.kill()


def test_random_faults(tmp_path: Path, lot: random.Random, pytestconfig: pytest.Config) -> None:
    """Any disk from any bad server, killed at any moment: never a success with a wrong byte; then whole, byte for byte.

    By the run's seed; rounds go on for as long as a test may take.
    """
    seed, end, rounds = pytestconfig.getoption("--seed"), time.monotonic() + SECONDS, 0
    chance = lot
    (tmp_path / "disk").write_bytes(b"\xff" * SMALL_DISK)
    with loop(tmp_path, SMALL_DISK) as node:
        while time.monotonic() < end:
            rounds += 1
            image = bytearray(gpt_image(12 * MIB, seed=rounds % 3 + 1))
            image[3 * MIB : 9 * MIB] = sparse_disk(6 * MIB, chance.randrange(1 << 32))
            image[4 * MIB : 6 * MIB] = chance.randbytes(2 * MIB)
            made, file = packing(bytes(image), chunk_bytes=chance.choice((64, 256, 1024)) * 1024)
            before = content_of(tmp_path)
            with serving(file) as server:
                what = reference(made.digest, server.url)
                server.script = [anything(chance) for _ in range(chance.randrange(12))]
                if chance.random() < 0.4:
                    killed_at_random(node, what, tmp_path, chance)
                    there = content_of(tmp_path)
                    assert there == before or cannot_boot(there), f"seed {seed}, round {rounds}: killed"
                    before = there
                try:
                    carry_out(node, what, tmp_path)
                except AgentError as error:
                    there = content_of(tmp_path)
                    assert there == before or cannot_boot(there), f"seed {seed}, round {rounds}: {error}"
                    server.script = []
                    carry_out(node, what, tmp_path)
            must_hold(tmp_path, bytes(image))
    sys.stdout.write(f"{rounds} rounds\n")
    assert rounds > 1

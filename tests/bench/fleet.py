# SPDX-License-Identifier: Apache-2.0
"""What many machines cost an image's server, with a rack's cache and without: namespaces, links of a limited speed,
and our writer in a process for each machine, onto a disk of its own.

Everything is a tenth of a real rack, so that the links and not this machine's cores are what limits: a server at
100 Mbit/s, machines at 100 Mbit/s, the rack's cache at 1 Gbit/s.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import repeat
from pathlib import Path
from statistics import median

from agent.model.image import ImageRef
from tests.bench.bars import MB
from tests.bench.disk import MIB, Disk, data_extents, disk, first_difference
from tests.bench.files import CACHE, REPOSITORY, Image, say
from tests.bench.links import Machine, switch
from tests.bench.nginx import Server, cache, origin

SOURCE_MBIT, NODE_MBIT, CACHE_MBIT = 100, 100, 1000
COUNTS = (1, 8, 32)
DATA_BYTES = 256 * MIB
DISK_BYTES = 10 * 1024**3
TIMEOUT_S = 1200.0


@dataclass(frozen=True)
class Wave:
    """So many machines at once."""

    nodes: int
    way: str
    file_bytes: int
    source_bytes: int
    wall_s: float
    node_s: tuple[float, ...]

    def line(self) -> str:
        """Of the table."""
        copies = self.source_bytes / self.file_bytes
        rate = self.source_bytes * 8 / self.wall_s / 1e6
        middle, last = median(self.node_s), max(self.node_s)
        moved = f"{self.source_bytes / MB:12.1f}{copies:10.2f}{rate:10.0f}"
        return f"{self.nodes:5}  {self.way:18}{moved}{self.wall_s:9.1f}{middle:9.1f}{last:9.1f}"


HEADING = f"{'nodes':>5}  {'':18}{'source MB':>12}{'copies':>10}{'Mbit/s':>10}{'wall s':>9}{'median s':>9}{'last s':>9}"


def main(whole: Image, *, is_quick: bool, as_json: bool) -> None:
    """Waves of several sizes: from the source, through an empty cache, through one that has the image."""
    made = beginning_of(whole)
    say(f"{made.chunked.stat().st_size / MB:.0f} MB, chunked")
    waves: list[Wave] = []
    for count in COUNTS[:2] if is_quick else COUNTS:
        waves += waves_of(made, count)
    if as_json:
        sys.stdout.write(json.dumps([asdict(one) for one in waves], indent=1) + "\n")
    else:
        sys.stdout.write("\n".join([HEADING, *(one.line() for one in waves)]) + "\n")


def waves_of(made: Image, count: int) -> list[Wave]:
    """Three, each on disks that hold nothing."""
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=CACHE / "bench")))
        net = stack.enter_context(switch())
        far, rack = net.machine(SOURCE_MBIT), net.machine(CACHE_MBIT)
        nodes = [net.machine(NODE_MBIT) for _ in range(count)]
        source = stack.enter_context(origin(made.folder, work / "source", address=far.address, inside=far.inside))
        near = stack.enter_context(cache(source.url, work / "rack", address=rack.address, inside=rack.inside))
        folders = [work / f"node{number}" for number in range(count)]
        for folder in folders:
            folder.mkdir()
        disks = [stack.enter_context(disk(folder, DISK_BYTES)) for folder in folders]
        direct = made.reference("chunked", source.url)
        ways = {"direct": direct, "cache, empty": direct.through(near.url), "cache, filled": direct.through(near.url)}
        return [wave(way, made, reference, source, nodes, disks) for way, reference in ways.items()]


def wave(
    way: str, made: Image, reference: ImageRef, source: Server, nodes: Sequence[Machine], disks: Sequence[Disk]
) -> Wave:
    """All begin at once; the wave is over with the last."""
    for one in disks:
        one.reset()
    before, began = len(source.requests()), time.monotonic()
    with ThreadPoolExecutor(len(nodes)) as pool:
        ends = list(pool.map(deployed, nodes, disks, repeat(reference)))
    wall_s = time.monotonic() - began
    found = first_difference(made.raw, disks[-1].file, MIB, made.size_bytes - MIB)
    if found is not None:
        told = f"{way}: the last disk differs at byte {found}"
        raise RuntimeError(
            f"{told}; read again, {first_difference(made.raw, disks[-1].file, MIB, made.size_bytes - MIB)}"
        )
    sent = source.sent_bytes(before)
    done = Wave(len(nodes), way, made.chunked.stat().st_size, sent, wall_s, tuple(end - began for end in ends))
    say(done.line())
    return done


def deployed(node: Machine, target: Disk, reference: ImageRef) -> float:
    """One machine; when it was ready."""
    spool = target.file.parent
    (spool / "image.json").write_text(reference.model_dump_json())
    argv = [*node.inside, sys.executable, "-m", "tests.bench.write", target.node, str(spool / "image.json"), str(spool)]
    done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    if done.returncode:
        raise RuntimeError(f"{node.namespace}: {done.stderr[-2000:]}")
    target.flush()
    return time.monotonic()


def beginning_of(whole: Image) -> Image:
    """The disk with no more than its first 256 MiB of data: a small image with the same table."""
    folder = whole.folder.with_name(f"{whole.folder.name}-fleet")
    if not (folder / "disk.raw").exists():
        folder.mkdir(parents=True, exist_ok=True)
        left = DATA_BYTES
        with whole.raw.open("rb") as source, (folder / "partial").open("wb") as out:
            os.truncate(out.fileno(), whole.size_bytes)
            for first, last in data_extents(source.fileno(), 0, whole.size_bytes):
                for offset in range(first, min(last, first + left), MIB):
                    os.pwrite(out.fileno(), os.pread(source.fileno(), min(MIB, last - offset), offset), offset)
                left -= min(left, last - first)
        (folder / "partial").rename(folder / "disk.raw")
    return Image(folder)

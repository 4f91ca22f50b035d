# SPDX-License-Identifier: Apache-2.0
"""Making an image of a disk: capture against `qemu-img convert -c` and `dd | zstd`. As a program: one capture, ours.

python -m tests.bench.capture DISK OUT [LEVEL]

The disk is the Debian of 8 GiB behind a loop device with direct I/O. All write a file, which is flushed; nothing is
generalised, since the others cannot.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.apply.capture.take import capture_disk
from agent.host import real
from agent.model.disk import DiskIdentity
from agent.model.plan import CaptureDisk
from tests.bench.bars import MB, Bar, ratio_bar
from tests.bench.files import CACHE, REPOSITORY, Image, say
from tests.bench.measure import Cost, Pipe, cost_of
from tests.loops import command

OURS, FASTER = "capture", "capture, level 3"
QEMU = ("qemu-img", "convert", "-W", "-m", "8", "-c", "-T", "none", "-f", "raw")
WRITERS: dict[str, Callable[[str, str], Pipe]] = {
    OURS: lambda disk, out: [[sys.executable, "-m", "tests.bench.capture", disk, out]],
    FASTER: lambda disk, out: [[sys.executable, "-m", "tests.bench.capture", disk, out, "3"]],
    "qemu-img, qcow2 zlib": lambda disk, out: [[*QEMU, "-O", "qcow2", disk, out]],
    "qemu-img, qcow2 zstd": lambda disk, out: [[*QEMU, "-O", "qcow2", "-o", "compression_type=zstd", disk, out]],
    "dd | zstd -T0": lambda disk, out: [
        ["dd", f"if={disk}", "bs=4M", "iflag=direct", "status=none"],
        ["zstd", "-q", "-T0", "-f", "-o", out],
    ],
}
WALL = ((OURS, "qemu-img, qcow2 zlib", 0.5), (FASTER, "qemu-img, qcow2 zstd", 1.0), (FASTER, "dd | zstd -T0", 1.0))
"""The others compress at their level 6 (zlib) and 3 (zstd)."""


def captures(made: Image, rounds: int) -> tuple[dict[str, list[Cost]], list[Bar]]:
    """Everybody in turn, each round begun by another."""
    runs: dict[str, list[Cost]] = defaultdict(list)
    names = list(WRITERS)
    with tempfile.TemporaryDirectory(dir=CACHE / "bench") as folder, looped(made.raw) as node:
        for number in range(rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                out = Path(folder, "image")
                out.unlink(missing_ok=True)
                cost = cost_of(WRITERS[name](node, str(out)), lambda out=out: flush(out), cwd=REPOSITORY)  # type: ignore[misc]
                runs[name].append(cost)
                speed = made.allocated_bytes / MB / cost.wall_s
                say(f"{name}: {cost.wall_s:.1f} s, {speed:.0f} MB/s of what is allocated, {size(out):.0f} MB")
    bars = []
    for ours, peer, limit in WALL:
        both = [(a.wall_s, b.wall_s) for a, b in zip(runs[ours], runs[peer], strict=True)]
        bars.append(ratio_bar(f"{ours} / {peer}: wall", both, limit))
    return runs, bars


def size(out: Path) -> float:
    """In MB."""
    return out.stat().st_size / MB


def flush(out: Path) -> None:
    """It is on the disk."""
    with out.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def looped(file: Path) -> Iterator[str]:
    """A device over it, that nobody writes to."""
    node = command("losetup", "--read-only", "--direct-io=on", "--find", "--show", str(file)).strip()
    try:
        yield node
    finally:
        command("losetup", "--detach", node)


def main() -> None:
    """Ours, as the agent does it."""
    disk, out, *level = sys.argv[1:]
    with real.host().block.open_read(disk) as device:
        length = device.size_bytes
    identity = DiskIdentity(path=disk, wwn=None, serial=None, size_bytes=length, logical_sector_bytes=512)
    step = CaptureDisk(disk=identity, to=Path(out).absolute().as_uri(), level=int(level[0]) if level else None)
    capture_disk(real.host(), step, lambda *_: None)


if __name__ == "__main__":
    main()

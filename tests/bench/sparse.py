# SPDX-License-Identifier: Apache-2.0
"""Memory and bytes for an image of 200 GiB that holds little: each of our writers, once."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tests.bench.bars import Bar, of_each
from tests.bench.disk import MIB, disk
from tests.bench.files import CACHE, Image, say
from tests.bench.image import Bench
from tests.bench.nginx import origin
from tests.bench.writers import OUR_FORMS, Place

SIZE_BYTES = 200 * 1024**3
DISK_BYTES = SIZE_BYTES + 1024**3
EVERY_BYTES = 1024**3 + 192 * 1024
"""Not a multiple of any chunk."""
PIECE_BYTES = 3 * MIB


def large(small: Image, only: str) -> tuple[Bench, list[Bar]]:
    """One run each."""
    made = spread_out(small)
    with tempfile.TemporaryDirectory(dir=CACHE / "bench") as name, disk(Path(name), DISK_BYTES) as target:
        work = Path(name)
        with origin(made.folder, work / "nginx") as server:
            bench = Bench(Place(made, server.url, target.node, work), target, server)
            for form in OUR_FORMS:
                if only in form:
                    bench.run(form)
            return bench, of_each(bench.runs, tuple(OUR_FORMS), made.allocated_bytes)


def spread_out(small: Image) -> Image:
    """The small image's bytes, a piece every GiB or so; its table first."""
    folder = small.folder.with_name(f"{small.folder.name}-200G")
    if not (folder / "disk.raw").exists():
        say("making an image of 200 GiB")
        folder.mkdir(parents=True, exist_ok=True)
        with small.raw.open("rb") as source, (folder / "partial").open("wb") as out:
            os.truncate(out.fileno(), SIZE_BYTES)
            for number, offset in enumerate(range(0, SIZE_BYTES - PIECE_BYTES, EVERY_BYTES)):
                os.pwrite(out.fileno(), os.pread(source.fileno(), PIECE_BYTES, number * 8 * MIB), offset)
        (folder / "partial").rename(folder / "disk.raw")
    return Image(folder)

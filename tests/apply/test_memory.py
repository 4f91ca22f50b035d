# SPDX-License-Identifier: Apache-2.0
"""How much memory the whole program takes while it writes an image: every format, and 200 GiB like half a GiB.

A raw.zst of 200 GiB takes two minutes to unpack, so it is 16 GiB here; the benchmark has the large ones.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from agent.apply.chunked.pack import Options, Packing
from agent.host.files import RealFiles
from agent.model.image import ImageFormat, ImageRef
from tests.apply.disks import MIB, gpt_image
from tests.loops import command, loop
from tests.servers import Nginx, running

pytestmark = pytest.mark.root

MOST_BYTES = 80_000_000
GIB = 1024 * MIB
SMALL, LARGE, LONG = 512 * MIB, 200 * GIB, 16 * GIB
PIECE_BYTES = 8 * MIB
NOISE = random.Random(9).randbytes(PIECE_BYTES)
LIMIT_S = 300
TRIES = [
    *((f"small.{name}", ()) for name in ("raw", "raw.gz", "raw.zst", "qcow2", "zlib.qcow2", "zstd.qcow2", "chunked")),
    *((f"thin.{name}", ()) for name in ("raw.xz", "raw.bz2")),
    *((f"small.{name}", ("verify",)) for name in ("raw.zst", "zlib.qcow2", "chunked")),
    *((f"large.{name}", ()) for name in ("qcow2", "chunked")),
    ("large.chunked", ("resumed",)),
    ("long.raw.zst", ()),
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """A server that has the disks in the formats that are tried."""
    server = Nginx(tmp_path_factory.mktemp("images"))
    sparse_disk(server.www / "small.raw", SMALL, 36 * MIB)
    sparse_disk(server.www / "thin.raw", SMALL, 160 * MIB)
    sparse_disk(server.www / "large.raw", LARGE, 8 * GIB + 192 * 1024)
    for name, _ in dict(TRIES).items():
        disk, _, form = name.partition(".")
        if form in PACKERS and disk != "long":
            PACKERS[form](server.www / f"{disk}.raw", server.www / name)
    long_zst(server.www / "long.raw.zst")
    with running(server):
        yield server


def sparse_disk(path: Path, size_bytes: int, every_bytes: int) -> None:
    """With a piece of data at every so many bytes."""
    with path.open("wb") as file:
        file.truncate(size_bytes)
        file.write(gpt_image(6 * MIB)[:MIB])
        for place in range(PIECE_BYTES, size_bytes - PIECE_BYTES, every_bytes):
            file.seek(place)
            file.write(half(place))


def half(offset: int) -> bytes:
    """A piece of a disk: one half of it can be packed, as in life."""
    piece = bytearray(NOISE)
    for at in range(0, len(piece), 8192):
        piece[at : at + 4096] = (offset + at).to_bytes(8, "little") * 512
    return bytes(piece)


def long_zst(path: Path) -> None:
    """Frames of a GiB each, nearly all of it zero."""
    compressor = zstandard.ZstdCompressor(level=1)
    hole = compressor.compress(bytes(GIB - PIECE_BYTES))
    with path.open("wb") as file:
        for number in range(LONG // GIB):
            file.write(compressor.compress(half(number) if number else gpt_image(PIECE_BYTES)) + hole)


def by(*argv: str) -> Callable[[Path, Path], None]:
    """A packer that writes to its stdout."""

    def pack(disk: Path, file: Path) -> None:
        with file.open("wb") as out:
            subprocess.run([*argv, str(disk)], stdout=out, check=True, timeout=LIMIT_S)

    return pack


def converted(*flags: str) -> Callable[[Path, Path], None]:
    """qemu-img's."""

    def pack(disk: Path, file: Path) -> None:
        command("qemu-img", "convert", *flags, "-O", "qcow2", str(disk), str(file))

    return pack


def chunked(disk: Path, file: Path) -> None:
    """Ours. Its digest is kept beside it."""
    packing: Packing
    with RealFiles().open_large(str(disk)) as source, file.open("wb") as out:
        packing = Packing(source, Options(threads=2, level=1))
        out.writelines(packing.pieces())
    file.with_suffix(".sha256").write_text(packing.digest)


PACKERS: dict[str, Callable[[Path, Path], None]] = {
    "raw.gz": by("gzip", "-1c"),
    "raw.xz": by("xz", "-T2", "-0c"),
    "raw.zst": by("zstd", "-qc"),
    "raw.bz2": by("bzip2", "-9c"),
    "qcow2": converted(),
    "zlib.qcow2": converted("-c"),
    "zstd.qcow2": converted("-c", "-o", "compression_type=zstd"),
    "chunked": chunked,
}


def digest_of(file: Path) -> str:
    """What its owner names it by."""
    if file.suffix == ".chunked":
        return file.with_suffix(".sha256").read_text()
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@pytest.mark.parametrize(("name", "flags"), TRIES)
def test_peak(images: Nginx, tmp_path: Path, name: str, flags: tuple[str, ...]) -> None:
    """All of the process, with Python and all that it imports, stays below 80 MB."""
    size = {"large": LARGE, "long": LONG}.get(name.partition(".")[0], SMALL)
    form = ImageFormat("qcow2" if name.endswith("qcow2") else name.partition(".")[2])
    reference = ImageRef(url=f"{images.url}/{name}", format=form, sha256=digest_of(images.www / name))
    (tmp_path / "image.json").write_text(reference.model_dump_json())
    with loop(tmp_path, size + GIB) as node:
        argv = [sys.executable, "-m", "tests.apply.weighed", node, str(tmp_path / "image.json"), str(tmp_path), *flags]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["image_bytes"] == size
    assert told["peak_bytes"] <= MOST_BYTES, f"{told['peak_bytes'] - told['before_bytes']} bytes more than before"

# SPDX-License-Identifier: Apache-2.0
"""What each stage can do alone on this machine, as programs that time themselves, without their own start.

python -m tests.bench.limit write NODE BYTES      sequential direct writes
python -m tests.bench.limit read NODE IMAGE       sequential direct reads of what the raw image has allocated
python -m tests.bench.limit decode FILE THREADS   every frame of a chunked image, from memory into memory
python -m tests.bench.limit gunzip FILE           a gzip file, likewise, by the library that we use
python -m tests.bench.limit unzstd FILE           a zstd file, likewise
python -m tests.bench.limit hash FILE             SHA-256 of so many bytes of memory, on one thread
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import local

from agent.host.memory import aligned
from tests.bench.disk import MIB, data_extents

PIECE_BYTES = 4 * MIB
GRAIN_BYTES = 64 * 1024


@contextmanager
def timed() -> Iterator[None]:
    """Prints how long it took."""
    began = time.monotonic()
    yield
    sys.stdout.write(f"{time.monotonic() - began}\n")


def write(node: str, size: str) -> None:
    """Random bytes, so that nothing below can make less of them."""
    piece = aligned(PIECE_BYTES)
    piece[:] = os.urandom(PIECE_BYTES)
    fd = os.open(node, os.O_WRONLY | os.O_DIRECT | os.O_EXCL)
    with timed():
        for offset in range(0, int(size), PIECE_BYTES):
            os.pwrite(fd, piece, offset)
        os.fsync(fd)


def read(node: str, image: str) -> None:
    """In order, each extent in pieces."""
    piece = aligned(PIECE_BYTES)
    fd = os.open(node, os.O_RDONLY | os.O_DIRECT)
    with Path(image).open("rb") as raw:
        extents = whole_grains(raw.fileno(), os.fstat(raw.fileno()).st_size)
    with timed():
        for first, last in extents:
            for offset in range(first, last, PIECE_BYTES):
                os.preadv(fd, [piece[: min(PIECE_BYTES, last - offset)]], offset)


def whole_grains(fd: int, size: int) -> list[tuple[int, int]]:
    """The extents that hold data, in units of 64 KiB; those that touch are one."""
    found: list[tuple[int, int]] = []
    for first, last in data_extents(fd, 0, size):
        start, end = first // GRAIN_BYTES * GRAIN_BYTES, -(-last // GRAIN_BYTES) * GRAIN_BYTES
        if found and found[-1][1] >= start:
            start = found.pop()[0]
        found.append((start, end))
    return found


def decode(file: str, threads: str) -> None:
    """Whatever frames there are; zstandard's own buffers are made once a thread."""
    import zstandard

    data = memoryview(Path(file).read_bytes())
    mine = local()

    def one(frame: tuple[int, int]) -> None:
        if not hasattr(mine, "decompressor"):
            mine.decompressor, mine.raw = zstandard.ZstdDecompressor(), bytearray(8 * MIB)
        with mine.decompressor.stream_reader(data[frame[0] : sum(frame)]) as reader:
            while reader.readinto(mine.raw):
                pass

    with ThreadPoolExecutor(int(threads)) as pool, timed():
        list(pool.map(one, frames(data), chunksize=8))


def gunzip(file: str) -> None:
    """One thread: the format has no more in it."""
    from isal import igzip_lib

    data = Path(file).read_bytes()
    unpacker = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    with timed():
        unpacker.decompress(data, PIECE_BYTES)
        while not unpacker.eof:
            unpacker.decompress(b"", PIECE_BYTES)


def unzstd(file: str) -> None:
    """One thread."""
    import zstandard

    data, raw = Path(file).read_bytes(), bytearray(PIECE_BYTES)
    with timed(), zstandard.ZstdDecompressor().stream_reader(data) as reader:
        while reader.readinto(raw):
            pass


def digest(file: str) -> None:
    """One thread: each byte of a file's digest waits for the one before."""
    piece, left = memoryview(os.urandom(PIECE_BYTES)), Path(file).stat().st_size
    whole = hashlib.sha256()
    with timed():
        while left > 0:
            whole.update(piece[:left])
            left -= PIECE_BYTES


def frames(data: memoryview) -> list[tuple[int, int]]:
    """(offset, length) of each data frame, from the seek table at the file's end (zstd seekable format)."""
    count = int.from_bytes(data[-9:-5], "little")
    entry_bytes = 12 if data[-5] & 0x80 else 8
    table = data[-9 - count * entry_bytes : -9]
    found, offset = [], 0
    for at in range(0, len(table), entry_bytes):
        length, raw = (int.from_bytes(table[at + 4 * i : at + 4 * i + 4], "little") for i in (0, 1))
        if raw and length * 4096 > raw:  # a shorter one is a chunk of zeroes, which nobody unpacks
            found.append((offset, length))
        offset += length
    return found


STAGES: dict[str, Callable[..., None]] = {
    "write": write,
    "read": read,
    "decode": decode,
    "gunzip": gunzip,
    "unzstd": unzstd,
    "hash": digest,
}

if __name__ == "__main__":
    STAGES[sys.argv[1]](*sys.argv[2:])

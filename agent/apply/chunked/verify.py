# SPDX-License-Identifier: Apache-2.0
"""Reading a written image back from the medium: every chunk hashed, every hole seen to be zero."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock

from agent.apply.chunked.compare import Comparer
from agent.apply.chunked.hands import Hands, Worker
from agent.errors import NotAsObserved
from agent.host.doors import BlockDevice, Clock
from agent.model.chunked import Chunk, Manifest
from agent.model.job import Advance, Result

MOST_TOLD = 8
PIECE_BYTES = 64 * 1024 * 1024
"""So much of a hole is one hand's work."""


def read_back(
    manifest: Manifest, disk: BlockDevice, head: bytes, hands: Hands, clock: Clock, advance: Advance, doing: str
) -> Result:
    """The whole image but its head, which is not on the disk yet; how much that was, and how long it took.

    Raises `NotAsObserved`, which names the places.
    """
    began_s = clock.monotonic_s()
    wrong = differences(manifest, disk, head, hands, advance)
    if wrong:
        told = ", ".join(str(offset) for offset in wrong[:MOST_TOLD]) + (" …" if len(wrong) > MOST_TOLD else "")
        raise NotAsObserved(doing, f"what was read back differs from the image in {len(wrong)} places, at byte {told}")
    verified = manifest.disk_bytes - min(len(head), manifest.disk_bytes)
    return {"verified_bytes": verified, "verify_ms": round((clock.monotonic_s() - began_s) * 1000)}


def differences(manifest: Manifest, disk: BlockDevice, head: bytes, hands: Hands, advance: Advance) -> list[int]:
    """Where the disk is not as the manifest says, ascending; `head` stands for its first bytes."""
    lock, wrong, done = Lock(), list[int](), 0

    def look(worker: Worker, piece: Chunk | tuple[int, int]) -> None:
        nonlocal done
        comparer = Comparer(disk, manifest, hands.meter, worker.raw, heals=False)
        if isinstance(piece, Chunk):
            size = manifest.raw_bytes(piece)
            places = [] if comparer.holds(piece, head) else [manifest.place(piece)]
        else:
            size = piece[1]
            places = [offset for offset, _ in comparer.data_in(*piece)]
        with lock:
            done += size
            wrong.extend(places)

    hands.share(
        "disk-reader",
        pieces(manifest, len(head)),
        look,
        lambda: advance(min(done, manifest.disk_bytes), manifest.disk_bytes, hands.meter.limit()),
    )
    return sorted(wrong)


def pieces(manifest: Manifest, head_bytes: int) -> Iterator[Chunk | tuple[int, int]]:
    """All there is to look at: chunks, and (offset, length) of holes behind the head that no chunk covers."""
    yield from manifest
    for offset, length in manifest.empty():
        end = offset + length
        for at in range(max(offset, head_bytes), end, PIECE_BYTES):
            yield at, min(PIECE_BYTES, end - at)

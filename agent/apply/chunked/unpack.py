# SPDX-License-Identifier: Apache-2.0
"""Unpacking a chunked image into a new sparse file, and verifying one without writing it anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from threading import Lock

from agent.apply.chunked.hands import Hands, Worker, batches
from agent.apply.chunked.locate import opened
from agent.apply.chunked.write import Pouring
from agent.apply.crew import Crew
from agent.apply.meter import meter_of
from agent.apply.place import FilePlace
from agent.apply.target import runs
from agent.errors import DigestMismatch
from agent.host.doors import Host
from agent.model.chunked import Chunk, Manifest
from agent.model.image import ImageRef
from agent.model.job import Advance, Result
from agent.model.url import named


def unpack_chunked(host: Host, image: ImageRef, path: str, trusted_keys: Sequence[str], advance: Advance) -> Result:
    """Into a file of exactly the disk's size, which is not there after an error."""
    place = FilePlace(host, path, f"unpacking {named(image.url)} to {path}")
    crew, meter = Crew(), meter_of(host)
    with ExitStack() as stack:
        found, frames = opened(host, image, trusted_keys, crew, meter, stack, place.doing)
        hands = Hands(found.manifest, frames, crew, meter, host.counters.threads(), place.doing)
        work = Pouring(found.manifest, hands, place, stack)
        work.run(advance, compares=False, trusts_zeroing=True)
        result = work.result
    host.files.truncate(path, found.manifest.disk_bytes)  # what was written are whole sectors
    return result


def verify_chunked(host: Host, image: ImageRef, trusted_keys: Sequence[str], advance: Advance) -> Result:
    """Every frame and what it unpacks to, against the manifest. Raises `DigestMismatch`, and as a write does."""
    doing = f"verifying {named(image.url)}"
    crew, meter = Crew(), meter_of(host)
    with ExitStack() as stack:
        found, frames = opened(host, image, trusted_keys, crew, meter, stack, doing)
        hands = Hands(found.manifest, frames, crew, meter, host.counters.threads(), doing)
        verify_frames(found.manifest, hands, advance, doing)
        told: Result = {"image_bytes": found.manifest.disk_bytes, "sha256": found.manifest.digest}
        return {**told, **meter.result(), "verdict": "every chunk is as its manifest says"}


def verify_frames(manifest: Manifest, hands: Hands, advance: Advance, doing: str) -> None:
    """All that the manifest says is so."""
    lock, done = Lock(), 0

    def look(worker: Worker, chunks: list[Chunk]) -> None:
        nonlocal done
        for chunk, raw in worker.unpacked(chunks):
            hands.crew.check()
            if hashlib.sha256(raw).digest() != chunk.raw_sha256 or not is_mapped(manifest, chunk, raw):
                raise DigestMismatch(f"{doing}, chunk {chunk.number}", "it unpacks to other bytes than were packed")
            with lock:
                done += len(raw)

    total = manifest.listed_bytes
    work = batches(manifest, 0, hands.count)
    hands.share("image-verifier", work, look, lambda: advance(done, total, hands.meter.limit()))


def is_mapped(manifest: Manifest, chunk: Chunk, raw: memoryview) -> bool:
    """Whether all outside its map is zero."""
    at = 0
    for start, end in [*manifest.runs(chunk), (len(raw), len(raw))]:
        if not all(is_zero for _, _, is_zero in runs(raw[at:start])):
            return False
        at = end
    return True

# SPDX-License-Identifier: Apache-2.0
"""Small files beside an image, read whole: checksum files, manifests of registries."""

from __future__ import annotations

from agent.apply.source import Source
from agent.errors import ImageRefused


def read_small(source: Source, most_bytes: int) -> bytes:
    """All of it. Raises `ImageRefused` if it is longer, and what the source's reader raises."""
    content = memoryview(bytearray(most_bytes + 1))
    with source.reader() as reader:
        got = reader.fill(content)
    if got > most_bytes:
        raise ImageRefused(f"reading {source.name}", f"it is longer than {most_bytes} bytes")
    return bytes(content[:got])

# SPDX-License-Identifier: Apache-2.0
"""Stage 2: the bytes as they travelled are the image that was named, or an error comes at their end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from agent.errors import DigestMismatch


def verified(chunks: Iterable[bytes], sha256: str, doing: str) -> Iterator[bytes]:
    """The chunks; raises `DigestMismatch` after the last if their SHA-256 is another.

    Who uses them must not call anything done before the iteration has ended.
    """
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != sha256:
        raise DigestMismatch(doing, f"sha256 is {digest.hexdigest()}, it should be {sha256}")

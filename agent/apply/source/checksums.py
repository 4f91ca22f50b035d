# SPDX-License-Identifier: Apache-2.0
"""Checksum files, such as SHA256SUMS: which digest a file has there. Pure.

Lines of coreutils ("HASH  NAME", "HASH *NAME"), of BSD ("SHA256 (NAME) = HASH"), or nothing but one hash. All else is
passed over: comments, signatures, weaker digests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from agent.errors import ImageRefused

LARGEST_BYTES = 1024 * 1024
NAMES = {64: "sha256", 128: "sha512"}
HASH = r"(?P<hash>[0-9A-Fa-f]{64}|[0-9A-Fa-f]{128})"
COREUTILS = re.compile(rf"{HASH}(?: [ *](?P<file>.+))?")
BSD = re.compile(rf"SHA(?P<bits>256|512) ?\((?P<file>.+)\) ?= ?{HASH}")

Digest = tuple[str, str]
"""sha256 or sha512, and its hexadecimal digits."""


def digest_of(url: str, text: str, doing: str) -> Digest:
    """The digest of the file that the URL names, by its last part. Raises `ImageRefused`."""
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    lines = list(parsed(text))
    found = {digest for file, digest in lines if file is not None and file.rpartition("/")[2] == name}
    if not found and len(lines) == 1 and lines[0][0] is None:
        found = {lines[0][1]}
    for algorithm in ("sha256", "sha512"):  # a file may have both: one is enough
        digests = sorted(digest for digest in found if digest[0] == algorithm)
        if len(digests) > 1:
            raise ImageRefused(doing, f"it has {len(digests)} different {algorithm} digests of {name}", hint=HINT)
        if digests:
            return digests[0]
    raise ImageRefused(doing, f"it has no sha256 or sha512 of {name or 'a file without a name'}", hint=HINT)


HINT = "Give the digest itself, or the URL of the checksum file that belongs to this image."


def parsed(text: str) -> Iterator[tuple[str | None, Digest]]:
    """File name, if there is one, and digest of every line that has one."""
    for line in text.splitlines():
        bare = line.strip().removeprefix("\\")  # coreutils begins lines so whose names are escaped
        if found := COREUTILS.fullmatch(bare):
            yield found["file"], (NAMES[len(found["hash"])], found["hash"].lower())
        elif found := BSD.fullmatch(bare):
            digest = (f"sha{found['bits']}", found["hash"].lower())
            if NAMES[len(found["hash"])] == digest[0]:
                yield found["file"], digest

# SPDX-License-Identifier: Apache-2.0
"""The file's digest, taken by a thread of its own while others use the same bytes."""

from __future__ import annotations

import hashlib

from agent.apply.meter import Meter, Stage
from agent.apply.ring import Feed
from agent.errors import DigestMismatch
from agent.model.image import ImageRef
from agent.model.job import Result


class Hasher:
    """Hashes the whole file. Nothing is done before `run` has ended without an error."""

    def __init__(self, image: ImageRef, doing: str) -> None:
        """`image` has a digest of its own by now."""
        self._doing = doing
        self.algorithm, expected = image.digest
        self._expected = expected or ""

    def run(self, feed: Feed, meter: Meter) -> None:
        """Raises `DigestMismatch` at the file's end if it is another file."""
        digest = hashlib.new(self.algorithm)
        while view := feed.read():
            with meter.busy(Stage.VERIFY, len(view)):
                digest.update(view)
        if digest.hexdigest() != self._expected:
            told = f"{self.algorithm} is {digest.hexdigest()}, it should be {self._expected}"
            raise DigestMismatch(self._doing, told)

    @property
    def result(self) -> Result:
        """What was verified."""
        return {self.algorithm: self._expected}

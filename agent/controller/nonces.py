# SPDX-License-Identifier: Apache-2.0
"""Calls that were made already: what is signed is taken once. In memory, and bounded: agents' messages do no harm when
they are doubled, so what a restart forgets costs nothing but secrecy on a wire without TLS."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

MOST = 200_000


class Nonces:
    """Of the last calls, at most so many, each for so many seconds."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._until: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._until)

    def is_new(self, nonce: str, now_s: float, keep_s: float) -> bool:
        """Whether it was not seen; from now on it was."""
        with self._lock:
            while self._until and (len(self._until) >= self._most or next(iter(self._until.values())) < now_s):
                self._until.popitem(last=False)
            if nonce in self._until:
                return False
            self._until[nonce] = now_s + keep_s
            return True

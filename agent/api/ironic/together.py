# SPDX-License-Identifier: Apache-2.0
"""What is costly and the same for all who ask for it at one time is made once, and each of them gets it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock


class Together:
    """Whoever asks while it is being made waits for that one."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._lock = Lock()
        self._under_way: Future[bytes] | None = None

    def __call__(self) -> bytes:
        """What `make` gives, or raises."""
        with self._lock:
            waited = self._under_way
            mine: Future[bytes] = waited or Future()
            self._under_way = mine
        if waited is None:
            self._fulfil(mine)
        return mine.result()

    def _fulfil(self, mine: Future[bytes]) -> None:
        try:
            mine.set_result(self._make())
        except BaseException as error:  # noqa: BLE001 - each of those who wait raises it
            mine.set_exception(error)
        finally:
            with self._lock:
                self._under_way = None

# SPDX-License-Identifier: Apache-2.0
"""Long polls sleep here until their node's desired state changes. Flows run in threads, polls in the event loop."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from threading import Lock


class Wakeups:
    """Who waits for which node."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: defaultdict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = defaultdict(set)
        self._closed = False

    def wake(self, node_id: str) -> None:
        """From any thread: this node's desired state may be another now."""
        with self._lock:
            for loop, event in self._waiting.get(node_id, ()):
                loop.call_soon_threadsafe(event.set)

    def waiting(self, node_id: str) -> int:
        """How many polls of this node do."""
        with self._lock:
            return len(self._waiting.get(node_id, ()))

    def close(self) -> None:
        """The process ends: everybody gets an answer."""
        with self._lock:
            self._closed = True
            nodes = list(self._waiting)
        for node_id in nodes:
            self.wake(node_id)

    @property
    def closed(self) -> bool:
        """Nobody may wait any more."""
        return self._closed

    def join(self, node_id: str) -> asyncio.Event:
        """In the event loop: an event that is set at the next wake-up. `leave` it afterwards."""
        event = asyncio.Event()
        with self._lock:
            self._waiting[node_id].add((asyncio.get_running_loop(), event))
            if self._closed:
                event.set()
        return event

    def leave(self, node_id: str, event: asyncio.Event) -> None:
        """Stop waiting."""
        with self._lock:
            self._waiting[node_id].discard((asyncio.get_running_loop(), event))
            if not self._waiting[node_id]:
                del self._waiting[node_id]

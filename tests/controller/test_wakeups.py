# SPDX-License-Identifier: Apache-2.0
"""Wake-ups: from any thread, for those who wait for that node, and for all when the process ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Thread

from agent.controller.wakeups import Wakeups

LONG_S = 30


def in_a_thread(call: Callable[[], None]) -> None:
    """Call it in another thread, as flows are called."""
    thread = Thread(target=call)
    thread.start()
    thread.join()


def test_a_waiting_poll_is_woken() -> None:
    """By a change of its own node, and not by another's."""

    async def wait() -> tuple[bool, bool]:
        wakeups = Wakeups()
        mine, other = wakeups.join("mine"), wakeups.join("other")
        in_a_thread(lambda: wakeups.wake("mine"))
        await asyncio.wait_for(mine.wait(), LONG_S)
        wakeups.leave("mine", mine)
        wakeups.wake("mine")
        return mine.is_set(), other.is_set()

    assert asyncio.run(wait()) == (True, False)


def test_everybody_is_woken_at_the_end() -> None:
    """Those who wait, and those who come afterwards."""

    async def wait() -> bool:
        wakeups = Wakeups()
        early = wakeups.join("a")
        in_a_thread(wakeups.close)
        await asyncio.wait_for(early.wait(), LONG_S)
        return wakeups.closed and wakeups.join("b").is_set()

    assert asyncio.run(wait())

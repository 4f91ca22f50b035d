# SPDX-License-Identifier: Apache-2.0
"""Collectors side by side, all with one limit: one that fails, or hangs in the kernel, costs its own part only.

All at once begin those that surely wait. The others do not: threads of small calls take the interpreter from each other
at every one, and all at once need three times as long as in turn. So they begin `at_once`, and more threads come, twice
as many each time, while all that began wait. One that computes is let finish, for a while.

A thread that hangs is left behind; it is a daemon, so the process can end. What it would bring later, nobody hears.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from threading import Condition, Thread
from typing import Generic, TypeVar

from agent.errors import AgentError
from agent.host.threads import others_compute
from agent.model.fact import Unknown
from agent.program.log import Logger

PATIENCE_S, AT_WORK_S = 0.05, 0.5
T = TypeVar("T")
log = Logger("inventory")


class Collectors(Generic[T]):
    """Who is still to be asked, and what was brought."""

    def __init__(self, asked: Mapping[str, Callable[[], T]], slow: Collection[str]) -> None:
        self._asked = asked
        self._slow = slow
        self._waiting = deque((name, bring) for name, bring in asked.items() if name not in slow)
        self._brought: dict[str, T | Unknown] = {}
        self._died: BaseException | None = None
        self._news = Condition()
        self._moved_s = time.monotonic()

    def brought(self, at_once: int, limit_s: float) -> dict[str, T | Unknown]:
        """What there is when all have answered, or the time is over, in the order in which they were asked."""
        end_s = time.monotonic() + limit_s
        threads = 0
        with self._news:
            for name in self._slow:
                Thread(
                    target=self._bring, args=(name, self._asked[name]), name=f"inventory {name}", daemon=True
                ).start()
            more = min(at_once, len(self._waiting))
            while not self._is_over() and (left_s := end_s - time.monotonic()) > 0:
                for number in range(threads, threads + more):
                    Thread(target=self._work, name=f"inventory {number}", daemon=True).start()
                threads += more
                patience_s = min(PATIENCE_S, left_s) if self._waiting else left_s
                more = min(threads, len(self._waiting)) if self._is_stuck(patience_s) else 0
            if self._died is not None:
                raise self._died
            late = Unknown(unknown=f"no answer within {limit_s:g} s")
            return {name: self._brought.get(name, late) for name in self._asked}

    def _is_stuck(self, patience_s: float) -> bool:
        """After that long, unless it is over before: nothing was brought, and nobody computes, or does so too long."""
        count = len(self._brought)
        if self._news.wait_for(self._is_over, patience_s) or len(self._brought) > count:
            self._moved_s = time.monotonic()
            return False
        return time.monotonic() - self._moved_s > AT_WORK_S or not others_compute()

    def _is_over(self) -> bool:
        return self._died is not None or len(self._brought) == len(self._asked)

    def _work(self) -> None:
        while True:
            with self._news:
                if not self._waiting or self._died is not None:
                    return
                name, bring = self._waiting.popleft()
            self._bring(name, bring)

    def _bring(self, name: str, bring: Callable[[], T]) -> None:
        found = self._asked_of(name, bring)
        with self._news:
            if isinstance(found, Died):
                self._died = found.why
            else:
                self._brought[name] = found
            if self._is_over():
                self._news.notify()

    def _asked_of(self, name: str, bring: Callable[[], T]) -> T | Unknown | Died:
        try:
            return bring()
        except AgentError as error:
            return Unknown(unknown=str(error))
        except Exception as error:
            log.exception("a collector has a fault", collector=name)
            return Unknown(unknown=f"a fault of bms-agent: {type(error).__name__}: {error}")
        except BaseException as error:  # noqa: BLE001 - what ends a process ends it in the thread that asks
            return Died(error)


class Died:
    """What ends a process."""

    def __init__(self, why: BaseException) -> None:
        self.why = why


def side_by_side(
    asked: Mapping[str, Callable[[], T]], limit_s: float, *, at_once: int | None = None, slow: Collection[str] = ()
) -> dict[str, T | Unknown]:
    """What each brings, in the order in which they were asked; so many begin at once, or all, and beside them the
    `slow`, which wait for their devices.
    """
    return Collectors(asked, slow).brought(at_once or len(asked), limit_s)

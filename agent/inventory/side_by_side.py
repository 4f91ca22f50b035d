# SPDX-License-Identifier: Apache-2.0
"""Collectors that run side by side, each with a limit: one that fails, or hangs in the kernel, costs its own part only.

A thread that hangs is left behind; it is a daemon, so the process can end. What it would bring later, nobody hears.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Thread
from typing import Generic, TypeVar

import structlog

from agent.errors import AgentError
from agent.model.fact import Unknown

T = TypeVar("T")
log = structlog.get_logger("inventory")


class Collector(Thread, Generic[T]):
    """One thread, and what it brings."""

    def __init__(self, name: str, bring: Callable[[], T]) -> None:
        super().__init__(name=f"inventory {name}", daemon=True)
        self._bring = bring
        self._brought: T | Unknown | None = None
        self._is_there = False
        self._died: BaseException | None = None

    def run(self) -> None:
        """Whatever goes wrong is kept for whoever asks."""
        try:
            self._brought = self._bring()
        except AgentError as error:
            self._brought = Unknown(unknown=str(error))
        except Exception as error:
            log.exception("a collector has a fault", collector=self.name)
            self._brought = Unknown(unknown=f"a fault of bms-agent: {type(error).__name__}: {error}")
        except BaseException as error:  # noqa: BLE001 - what ends a process ends it in the thread that asks
            self._died = error
        self._is_there = True

    def brought(self, end_s: float, limit_s: float) -> T | Unknown:
        """What it brings until then."""
        self.join(max(0.0, end_s - time.monotonic()))
        if self._died is not None:
            raise self._died
        if not self._is_there:
            return Unknown(unknown=f"no answer within {limit_s:g} s")
        return self._brought  # type: ignore[return-value] # it is there: `None` may be what was brought


def side_by_side(asked: Mapping[str, Callable[[], T]], limit_s: float) -> dict[str, T | Unknown]:
    """What each brings, in the order in which they were asked."""
    collectors = {name: Collector(name, bring) for name, bring in asked.items()}
    for one in collectors.values():
        one.start()
    end_s = time.monotonic() + limit_s
    return {name: one.brought(end_s, limit_s) for name, one in collectors.items()}

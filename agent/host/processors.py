# SPDX-License-Identifier: Apache-2.0
"""The door to the processors: which there are, and on which of them a thread runs.

In: numbers as in /sys/devices/system/cpu. It must not decide how many threads there are.
"""

from __future__ import annotations

import os
import threading

from agent.errors import HostError

NICENESS = 10
"""Of threads that are there to load a processor: heartbeats come before them."""


class RealProcessors:
    """`doors.Processors`."""

    def numbers(self) -> tuple[int, ...]:
        """Those that this process may run on."""
        return tuple(sorted(os.sched_getaffinity(0)))

    def bind(self, number: int) -> None:
        """On Linux both calls are of the thread that makes them (sched_setaffinity(2), setpriority(2), NOTES)."""
        try:
            os.sched_setaffinity(0, {number})
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        except OSError as error:
            raise HostError(f"binding a thread to processor {number}", error.strerror or str(error)) from error

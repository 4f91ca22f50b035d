# SPDX-License-Identifier: Apache-2.0
"""A sign of life on a terminal while something takes its time, and nobody can say how far it is. Elsewhere nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

LATE_S = 1.0
"""What is over sooner needs no sign."""


@contextmanager
def waiting(doing: str, seconds: float = 0.0) -> Iterator[None]:
    """For as long as the block runs: what is done, and since when; of how long it takes, where that is known. It is on
    standard error, and gone afterwards. Where that is no terminal, nothing is even imported.
    """
    if not sys.stderr.isatty():
        yield
        return
    from rich.progress import Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
    from rich.progress_bar import ProgressBar

    from agent.program.screen import Screen

    class TimeBar(ProgressColumn):
        """As far as the time is."""

        def render(self, task: Task) -> ProgressBar:
            """Without an end, it moves."""
            passed_s = min(task.elapsed or 0.0, seconds)
            return ProgressBar(total=seconds or None, completed=passed_s, width=20, pulse=not seconds)

    columns = (TextColumn("{task.description}", markup=False), TimeBar(), TimeElapsedColumn())
    with Progress(*columns, console=Screen(stderr=True), transient=True) as drawn:
        drawn.add_task(doing, total=None)
        yield


@contextmanager
def waiting_if_late(doing: str) -> Iterator[None]:
    """The same for what is mostly over at once: drawn once it takes longer than that."""
    if not sys.stderr.isatty():
        yield
        return
    over = Event()
    sign = Thread(target=_drawn, args=(doing, over), daemon=True)
    sign.start()
    try:
        yield
    finally:
        over.set()
        sign.join()


def _drawn(doing: str, over: Event) -> None:
    if not over.wait(LATE_S):
        with waiting(doing):
            over.wait()

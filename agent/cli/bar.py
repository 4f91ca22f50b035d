# SPDX-License-Identifier: Apache-2.0
"""The progress bar of whatever takes long: on standard error, so that results can be piped; gone when all is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.progress import BarColumn, DownloadColumn, Progress, Task, TextColumn, TimeElapsedColumn, TransferSpeedColumn
from rich.table import Column
from rich.text import Text

from agent.model.job import Advance
from agent.program.screen import Screen

if TYPE_CHECKING:
    from agent.apply.convert import Show


class SpeedColumn(TransferSpeedColumn):
    """Until it is said what is the limit, and with it how fast it goes: a terminal of 80 columns has room for one."""

    def render(self, task: Task) -> Text:
        """One of them."""
        return Text() if task.fields["limit"] else super().render(task)


@contextmanager
def bar() -> Iterator[Show]:
    """For as long as the block runs. Nothing is drawn where standard error is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(table_column=Column(no_wrap=True)),
        SpeedColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[limit]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    console = Screen(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as drawn:
        task = drawn.add_task("starting", total=None, limit="")

        def show(doing: str, done_bytes: int, total_bytes: int | None, limited_by: str | None = None) -> None:
            limit = f"limited by {limited_by}" if limited_by else ""
            drawn.update(task, description=doing, completed=done_bytes, total=total_bytes, limit=limit)

        yield show


@contextmanager
def time_bar(seconds: float) -> Iterator[Show]:
    """The same for what is measured in time: it shall take about that long, and says in words how far it is."""
    console = Screen(stderr=True)
    columns = (
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("of about {task.fields[about]}"),
        TextColumn("{task.fields[doing]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
    )
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden, expand=True) as drawn:
        task = drawn.add_task("", total=seconds, about=timedelta(seconds=round(seconds)), doing="")

        def show(doing: str, done_bytes: int, total_bytes: int | None, said: str | None = None) -> None:
            drawn.update(task, completed=drawn.tasks[0].elapsed or 0.0, doing=said or doing)

        yield show


@contextmanager
def advancing(doing: str) -> Iterator[Advance]:
    """The same for one thing that is done."""
    with bar() as show:

        def advance(done_bytes: int, total_bytes: int | None, limited_by: str | None = None) -> None:
            show(doing, done_bytes, total_bytes, limited_by)

        yield advance

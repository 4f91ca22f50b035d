# SPDX-License-Identifier: Apache-2.0
"""Where the time goes: phases as they happen, shown while they last, and a table of them at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table


@dataclass
class Timeline:
    """The phases so far. `current` is the one that a failure happened in."""

    console: Console
    current: str = ""
    rows: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def phase(self, name: str, *, spinner: bool = False) -> Iterator[None]:
        """Time what happens inside; with a spinner where nothing else shows that it goes on."""
        self.current = name
        self.console.rule(f"[bold]{name}", align="left")
        began = time.monotonic()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True, disable=not spinner) as progress:
            progress.add_task(name)
            yield
        self.rows.append((name, time.monotonic() - began))

    def add_detail(self, name: str, seconds: float) -> None:
        """A part of the phase under way, timed by somebody else; it comes to stand before its whole."""
        self.rows.append((f"  {name}", seconds))

    def table(self) -> Table:
        """All of it; details are not counted twice."""
        table = Table("phase", title="Timeline", title_justify="left")
        table.add_column("seconds", justify="right")
        for name, seconds in self.rows:
            table.add_row(name, f"{seconds:.1f}", style="dim" if name.startswith(" ") else "")
        table.add_section()
        table.add_row("total", f"{sum(seconds for name, seconds in self.rows if not name.startswith(' ')):.1f}")
        return table

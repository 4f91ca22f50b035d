# SPDX-License-Identifier: Apache-2.0
"""A list in as much room as there is: words stay whole, columns that matter less go first, and what went is said.

In: cells, and the room in characters. Out: a table. It must not break a word, or leave a column out, that fits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

GAP = 2
"""Between two columns."""
EDGES = 2
WORD = re.compile(r"[0-9.]+ [kMGT]i?B(?!\S)|\S+")
"""A number and its unit are one."""


@dataclass(frozen=True)
class Columns:
    """A list. `spare` are the columns that go where there is no room, the first one first."""

    names: tuple[str, ...]
    lines: tuple[tuple[Text, ...], ...]
    spare: tuple[str, ...] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width - EDGES
        kept = self.fitting(room)
        widths = shared_out([self._whole(at) for at in kept], [self._word(at) for at in kept], room)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for at, width in zip(kept, widths, strict=True):
            table.add_column(self.names[at], overflow="fold", width=width)
        for line in self.lines:
            table.add_row(*(line[at] for at in kept))
        yield table
        left_out = [name for at, name in enumerate(self.names) if at not in kept]
        if left_out:
            yield Text(f" no room for {', '.join(left_out)}: a wider terminal, or --json, has it", style="dim")

    def fitting(self, room: int) -> list[int]:
        """The places of the columns that are shown: all, or as many as leave words whole."""
        kept = list(range(len(self.names)))
        for name in self.spare:
            if sum(map(self._word, kept)) + GAP * (len(kept) - 1) <= room:
                break
            kept.remove(self.names.index(name))
        return kept

    def _whole(self, at: int) -> int:
        """How wide a column is if nothing in it is wrapped."""
        return max(line.cell_len for text in self._cells(at) for line in text.split() or [text])

    def _word(self, at: int) -> int:
        """Its longest word; half a name is none, so the first column's are lines."""
        if at == 0:
            return self._whole(at)
        return max(Text(word).cell_len for text in self._cells(at) for word in WORD.findall(text.plain) or [""])

    def _cells(self, at: int) -> list[Text]:
        return [Text(self.names[at]), *(line[at] for line in self.lines)]


def shared_out(whole: Sequence[int], words: Sequence[int], room: int) -> list[int]:
    """How wide each column is: the widest give way first, down to their longest words, and further where all must."""
    widths = list(whole)
    for least in (words, [1] * len(widths)):
        while sum(widths) + GAP * (len(widths) - 1) > room:
            at = max((at for at, width in enumerate(widths) if width > least[at]), key=widths.__getitem__, default=None)
            if at is None:
                break
            widths[at] -= 1
    return widths

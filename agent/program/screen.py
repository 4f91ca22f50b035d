# SPDX-License-Identifier: Apache-2.0
"""Where people read: rich's console, on which what others have made is text and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from agent.program.printable import printable


class Screen(Console):
    """Colours and the cursor are moved by our own words alone, never by what is shown."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As it is drawn, piece by piece."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment(printable(piece.text), piece.style)

# SPDX-License-Identifier: Apache-2.0
"""Logs on standard error: an event's name and its keys; text for people, JSON lines for machines."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import partial
from io import StringIO

from agent.program.log import SETTINGS, harmless


def configure(level: str, form: str) -> None:
    """`level` is debug, info, warning or error; `form` is text or json."""
    SETTINGS.wanted(level, partial(set_up, form))


def set_up(form: str) -> None:
    """Once there is a line to write."""
    import structlog

    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR"), pad_event_to=28
        )
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            harmless,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(Present()),
    )


class Present(StringIO):
    """Standard error as it is when something is said: while a bar is drawn, it stands below all lines (rich takes
    the stream's place).
    """

    def write(self, text: str) -> int:
        """Where nobody can be told, nothing fails for it. The colours in it are the log's own."""
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

# SPDX-License-Identifier: Apache-2.0
"""The log: one line per event on stderr, an event name and its facts, as text or as JSON."""

from __future__ import annotations

import sys
from functools import partial
from typing import TextIO

from agent.program.log import SETTINGS, harmless


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """For this process. `form` is `text` or `json`."""
    SETTINGS.wanted(level, partial(set_up, form, stream))


def set_up(form: str, stream: TextIO | None) -> None:
    """Once there is a line to write."""
    import structlog

    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks if form == "json" else structlog.processors.format_exc_info,
            harmless,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )

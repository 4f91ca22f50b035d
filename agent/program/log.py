# SPDX-License-Identifier: Apache-2.0
"""Where a process tells what it does: events by name, with their facts.

The library that writes the lines (structlog) brings asyncio and a terminal's colours along, 9 MB and a tenth of a short
command's time. So it is loaded with the first line that somebody wants to see: most commands, and the process that
writes an image, write none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from threading import Lock
from typing import Any

from agent.program.printable import printable


class Logger:
    """Of one part of the program."""

    def __init__(self, name: str) -> None:
        self._name = name

    def debug(self, event: str, **facts: Any) -> None:
        """What only who looks for a fault wants to know."""
        SETTINGS.tell(self._name, "debug", event, facts)

    def info(self, event: str, **facts: Any) -> None:
        """What happens."""
        SETTINGS.tell(self._name, "info", event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        """What should not be, and did no harm."""
        SETTINGS.tell(self._name, "warning", event, facts)

    def error(self, event: str, **facts: Any) -> None:
        """What failed."""
        SETTINGS.tell(self._name, "error", event, facts)

    def exception(self, event: str, **facts: Any) -> None:
        """What failed, with where: for whoever handles an exception."""
        SETTINGS.tell(self._name, "exception", event, facts)


class Settings:
    """Of this process: what it wants to see, and how its lines are set up once there is one."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._least = 0
        self._set_up: Callable[[], None] | None = None

    def wanted(self, level: str, set_up: Callable[[], None]) -> None:
        """From this level on; `set_up` configures structlog."""
        with self._lock:
            self._least, self._set_up = logging.getLevelNamesMapping()[level.upper()], set_up

    def forgotten(self) -> None:
        """As in a process that has just begun."""
        import structlog

        with self._lock:
            self._least, self._set_up = 0, None
            structlog.reset_defaults()

    def tell(self, name: str, kind: str, event: str, facts: dict[str, Any]) -> None:
        """One line, if it is wanted."""
        if logging.getLevelNamesMapping()["ERROR" if kind == "exception" else kind.upper()] < self._least:
            return
        import structlog

        with self._lock:
            if self._set_up is not None:
                self._set_up()
                self._set_up = None
        getattr(structlog.get_logger(name), kind)(event, **facts)


SETTINGS = Settings()


def harmless(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A step of every log, behind what makes text of errors: what others have called things does nothing to a terminal.
    What is no text is quoted by what writes the line.
    """
    return {name: printable(value) if isinstance(value, str) else value for name, value in event.items()}

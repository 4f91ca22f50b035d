# SPDX-License-Identifier: Apache-2.0
"""Watching an import until it is active or killed: a bar on a terminal, elsewhere a line for each of its steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.live import Live

from agent.bmsctl.answers import Image, ImportProgress
from agent.bmsctl.client import JobFailed, read
from agent.bmsctl.named import escaped
from agent.bmsctl.watch import PERIOD_S, Answers, bar
from agent.errors import LinkError
from agent.model.fault import Fault
from agent.model.job import Progress
from agent.program.streams import tell

FINAL = ("active", "killed")


def watch_import(
    client: Answers, image_id: str, console: Console, pause: Callable[[float], None] = time.sleep
) -> Image:
    """Until nothing more happens to it. A controller that is away for a while is waited for. Raises `JobFailed`."""
    shown = _Screen(console) if console.is_terminal else _Lines(console)
    try:
        with shown:
            image = _look(client, image_id)
            while image is None or image.status not in FINAL:
                if image is not None and image.progress is not None:
                    shown.update(image.progress)
                pause(PERIOD_S)
                image = _look(client, image_id)
    except KeyboardInterrupt:
        tell(f"what was ordered goes on: bmsctl image show {image_id}\n")
        raise
    if image.status == "killed":
        raise JobFailed(image.fault or Fault(code="IMAGE.IMPORT_FAILED", message="importing an image: it was killed"))
    return image


def _look(client: Answers, image_id: str) -> Image | None:
    try:
        answer: Any = client.get(f"/v1/images/{escaped(image_id)}")
    except LinkError:
        return None
    return read(Image, answer)


class _Screen:
    """On a terminal: a bar, drawn again each second."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *_reason: object) -> None:
        self._live.stop()

    def update(self, progress: ImportProgress) -> None:
        """Draw it."""
        done, total = progress.done_bytes, progress.total_bytes
        shown = Progress(request_id="", step=progress.doing, done_bytes=done, total_bytes=total)
        self._live.update(bar(shown), refresh=True)


class _Lines:
    """Elsewhere: a line when it does something else."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._doing = ""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_reason: object) -> None:
        pass

    def update(self, progress: ImportProgress) -> None:
        """Tell what is new."""
        if progress.doing != self._doing:
            self._doing = progress.doing
            self._console.print(f"… {progress.doing}")

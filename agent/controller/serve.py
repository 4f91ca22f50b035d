# SPDX-License-Identifier: Apache-2.0
"""The controller's process: its threads, its signals, its HTTP server.

FastAPI, uvicorn and SQLAlchemy are imported when it runs, not when this module is: the ramdisk has none of them.
"""

from __future__ import annotations

from agent.controller.options import Options


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Raises `ConfigError`."""
    from agent.controller import process

    process.run(options)

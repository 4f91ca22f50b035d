# SPDX-License-Identifier: Apache-2.0
"""A process that goes on by itself: out of its parent's session, without its terminal (daemon(7)).

Call it before any thread is started: fork(2) copies only the one that calls.
"""

from __future__ import annotations

import os


def detach() -> None:
    """The caller goes on as a process of its own; the one that was started ends well."""
    for becoming in (os.setsid, lambda: None):
        if os.fork() > 0:
            raise SystemExit(0)
        becoming()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)

# SPDX-License-Identifier: Apache-2.0
"""A process that goes on by itself: out of its parent's session, without its terminal (daemon(7)).

Call it before any thread is started: fork(2) copies only the one that calls.
"""

from __future__ import annotations

import os


def detach() -> None:
    """The caller goes on as a process of its own; the one that was started ends well.

    It ends last: of a unit of Type=forking, systemd takes the process that is left for the main one. Were that the one
    in between, its end would be the unit's, and the caller would be killed (systemd.service(5), GuessMainPID=).
    """
    for becoming in (os.setsid, lambda: None):
        if (child := os.fork()) > 0:
            if becoming is os.setsid:
                os.waitpid(child, 0)
            raise SystemExit(0)
        becoming()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)

# SPDX-License-Identifier: Apache-2.0
"""What systemd does before a command of ours begins: its socket is the fourth file, and its user is another."""

from __future__ import annotations

NOBODY = 65534


def as_nobody(socket: str, before: str, run: str) -> str:
    """A program of Python that is given the number of a listening socket: it makes ready (`before`), and then runs as
    nobody, where this test may do that, with that socket under its name. What is imported late has to be imported
    before: nobody may not read an administrator's virtual environment.
    """
    return f"""
import os, sys
{before.strip()}
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_FDNAMES={socket!r}, LISTEN_PID=str(os.getpid()))
if os.geteuid() == 0:
    os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})
{run}
"""

# SPDX-License-Identifier: Apache-2.0
"""The progress bar in a terminal of 80 columns: each time it is drawn, it is one line."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

DRAWN = """
from agent.cli.bar import bar
import time
with bar() as show:
    for done in (0, 700, 2400):
        show("{doing}", done * 10**6, 2400 * 10**6, {limit!r} if done else None)
        time.sleep(0.25)
"""
pytestmark = pytest.mark.commands


@pytest.mark.parametrize("limit", ["the image's source, 3.95 Gbit/s", "the disk, which has not answered for 31 s"])
@pytest.mark.parametrize("doing", ["verifying", "write_image", "erase_disks"])
@pytest.mark.parametrize("columns", [60, 80, 200])
def test_it_is_one_line(doing: str, limit: str, columns: int) -> None:
    """How far it is and what holds it up are both there from 80 columns on; nothing is folded into a second line."""
    ours_end, its_end = os.openpty()
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": str(columns), "LC_ALL": "C.UTF-8"}
    argv = [sys.executable, "-c", DRAWN.format(doing=doing, limit=limit)]
    with subprocess.Popen(argv, env=environment, stdin=its_end, stdout=its_end, stderr=its_end) as process:
        os.close(its_end)
        shown = b"".join(iter(lambda: piece_of(ours_end), b""))
        assert process.wait(timeout=60) == 0
    os.close(ours_end)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "\n", shown.decode())
    lines = [line for line in map(str.strip, re.split(r"[\r\n]+", text)) if line]

    assert shown.count(b"\x1b[1A") == 1  # up a line once, to take the one away at the end
    assert any(doing in line for line in lines)
    if columns >= 80:
        whole = "".join(text.split("\n"))
        assert limit[:24] in whole and re.search(r"2\.4/2\.4 GB", whole)


def piece_of(terminal: int) -> bytes:
    """The next, or nothing once everybody has hung up (EIO)."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""

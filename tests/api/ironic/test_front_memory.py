# SPDX-License-Identifier: Apache-2.0
"""A process that Ironic calls, in somebody else's hands, has no more of root's memory than one honest order."""

from __future__ import annotations

import struct
import tracemalloc
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.api.ironic.desk import LONGEST_WORDS, MOST_VALUES, read
from agent.api.ironic.refusal import Refusal
from agent.api.ironic.relay import LINES
from agent.model.ironic.asked import LARGEST_BODY_BYTES, Page
from tests.api.ironic.test_apart import head, taken

MIB = 1 << 20
LARGE = LARGEST_BODY_BYTES - MIB
IN_FLIGHT = 4 * MIB
"""What a socket of this machine holds, and is in nobody's memory but the kernel's, which counts it to who sends."""


def test_large_orders_on_all_lines(tmp_path: Path) -> None:
    """Root reads one; the others wait in the kernel, and small requests do not. What was read is forgotten with its
    answer: there is room for the next on another line."""
    with taken(tmp_path) as (process, _), ExitStack() as stack:
        for _ in range(LINES - 1):
            stack.enter_context(process.line())
            said = head(page=Page.ORDER.value)
            process.connected.sendall(struct.pack("!II", len(said), LARGE) + said)
        assert process.ask(Page.STATUS)[0] == 200
        stack.close()
        for _ in range(3):
            assert process.ask(Page.ORDER, b"[" + b" " * (LARGE - 2) + b"]")[0] == 400


def test_who_waits_for_room_is_not_read(tmp_path: Path) -> None:
    """Of all that is sent on several lines, root takes one order's worth."""
    piece, sent = bytes(MIB), []
    with taken(tmp_path) as (process, _), ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(process.line())
            said = head(page=Page.ORDER.value)
            process.connected.settimeout(2.0)
            process.connected.sendall(struct.pack("!II", len(said), LARGE) + said)
            sent.append(0)
            try:
                while sent[-1] < LARGE - MIB:
                    sent[-1] += process.connected.send(piece)
            except TimeoutError:
                continue
    assert sent[0] >= LARGE - MIB
    assert max(sent[1:]) < IN_FLIGHT


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"[]," * MOST_VALUES + b"1]",
        b"[" + b"{}," * MOST_VALUES + b"1]",
        b'{"name": "x.y", "params": {' + b'"a":1,' * MOST_VALUES + b'"b":1}}',
        b'{"name": "\\ud83d\\ude00' + b"x" * LONGEST_WORDS + b'"}',
        b'{"name": "' + "\N{GRINNING FACE}".encode() + b"x" * LONGEST_WORDS + b'"}',
        ('{"name": "' + "x" * LONGEST_WORDS + '"}').encode("utf-32-le"),
    ],
    ids=["lists", "objects", "keys", "escaped", "wide", "UTF-32"],
)
def test_orders_that_grow(body: bytes) -> None:
    """What would take many times its size once it is read is not read."""
    with pytest.raises(Refusal, match="413"):
        read(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": [' + b",".join(b'{"k%d":{}}' % number for number in range(MOST_VALUES // 3 - 1)) + b"]}",
        b'{"a": "' + "\N{GRINNING FACE}".encode() + b"x" * (LONGEST_WORDS - 100) + b'"}',
        b'{"a": "' + b"x" * (32 * MIB) + b'"}',
    ],
    ids=["values", "wide", "plain"],
)
def test_the_worst_that_is_read(body: bytes) -> None:
    """At its peak: twice its size and a bounded sum."""
    tracemalloc.start()
    try:
        assert list(read(body)) == ["a"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * len(body) + 80 * MIB, f"{peak / MIB:.0f} MiB of {len(body) / MIB:.0f}"

# SPDX-License-Identifier: Apache-2.0
"""Lists in little room: no word is broken, what matters less goes first, and what went is said."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agent.bmsctl.columns import GAP, shared_out
from agent.bmsctl.show import rows
from tests.bmsctl.keyboard import Keyboard
from tests.controller.machine import Machine, a_key
from tests.controller.world import World

NODES = ("NAME", "STATE", "HOST", "POWER", "RUNS", "CLEAN", "SERVER", "TO APPROVE", "FAULT")


def listed(words: tuple[str | None, ...], columns: int, *spare: str) -> list[str]:
    """What a terminal of that width shows of a list with one line."""
    shown = io.StringIO()
    Console(file=shown, width=columns, soft_wrap=True).print(rows(NODES[: len(words)], [words], spare))
    return shown.getvalue().splitlines()


@pytest.mark.parametrize(
    ("columns", "gone"),
    [(200, None), (80, None), (60, None), (50, "POWER, RUNS"), (40, "HOST, POWER, RUNS")],
)
def test_columns_go_before_words_break(columns: int, gone: str | None) -> None:
    """All are there where there is room; where not, the spare ones go in their order, and that is said."""
    words = ("node-525400000101", "available", "UP", "On", "ramdisk", "no")
    lines = listed(words, columns, "POWER", "RUNS", "HOST")
    said = [line for line in lines if "no room for" in line]

    assert all(word in "\n".join(lines) for word in ("node-525400000101", "available", "no"))
    assert ([f" no room for {gone}: a wider terminal, or --json, has it"] if gone else []) == said
    assert all(len(line.rstrip()) <= columns for line in lines if line not in said)


def test_cells_wrap_at_spaces_before_columns_go() -> None:
    """What has several words has several lines; the first column, which names, has one."""
    lines = listed(("a name of many words", "deploying, and later on more", "UP"), 40, "HOST")

    assert not any("no room for" in line for line in lines)
    assert any("a name of many words" in line and "UP" in line for line in lines)
    assert all(any(word in line.split() for line in lines) for word in ("deploying,", "later", "more"))


def test_nothing_is_lost_where_no_column_is_spare() -> None:
    """Then words break, but all of them are there."""
    lines = listed(("x" * 30, "y" * 30, "z" * 30), 40)

    assert [sum(line.count(letter) for line in lines) for letter in "xyz"] == [30, 30, 30]


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60)), min_size=1, max_size=9), st.integers(20, 200))
def test_room_is_shared_out(sizes: list[tuple[int, int]], room: int) -> None:
    """Nothing is wider than it has to be, words are whole where all of them fit, and every column has room."""
    words, whole = [word for word, _ in sizes], [word + more for word, more in sizes]
    widths = shared_out(whole, words, room)
    gaps = GAP * (len(sizes) - 1)

    assert all(1 <= width <= most for width, most in zip(widths, whole, strict=True))
    assert sum(widths) + gaps <= max(room, gaps + len(sizes))
    if sum(words) + gaps <= room:
        assert all(width >= word for width, word in zip(widths, words, strict=True))
    if sum(whole) + gaps <= room:
        assert widths == whole


@pytest.mark.parametrize("columns", [80, 60, 40])
def test_states_are_whole(bmsctl: Keyboard, world: World, columns: int) -> None:
    """However narrow a terminal is, a node's name and state are there, and what it waits for if there is room."""
    Machine(world, key=a_key()).power_on().beat()
    lines = bmsctl("node", "list", columns=columns).output.splitlines()
    node = next(line for line in lines if "node-525400000101" in line)

    assert "available" in node.split()
    assert columns < 80 or "SERVER" in "".join(lines).split("no room")[0]


def test_who_is_no_terminal_reads_whole_lines(bmsctl: Keyboard, world: World) -> None:
    """A list that is piped has a line for each, with all that it has to say."""
    Machine(world, key=a_key()).power_on().beat()
    lines = [line for line in bmsctl("node", "list", columns=None).output.splitlines() if line.strip()]

    assert all(name in lines[0] for name in NODES)
    assert len(lines) == 3

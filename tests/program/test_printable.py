# SPDX-License-Identifier: Apache-2.0
"""Text of strangers is made harmless by one function, wherever it goes: a screen, a log, the audit trail, to Ironic."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.api.ironic.commands import error_of
from agent.apply.writer.wire import raised
from agent.controller import log as controller_log
from agent.controller.records.access import Caller, Role, audited
from agent.diagnose.screen import Screen, line, lines
from agent.model.fault import Fault
from agent.model.writing import Failed
from agent.program.log import Logger
from agent.program.printable import on_one_line, printable

EVIL = "\x1b]0;pwned\x07\x1b[2J\x9b31m\u202egpj\r\u2028\ud800\0end"
AGENT = Path(__file__).parents[2] / "agent"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def of_the_writer(evil: str) -> str:
    """An error as root takes it from the process that writes an image: half a character is refused before."""
    evil = evil.replace("\ud800", "")
    error = raised(Failed(code="IMAGE.ERROR", doing=evil, evidence=evil, hint=evil))
    return f"{error} {error.hint}"


def of_the_trail(evil: str) -> str:
    """A path that somebody called."""
    caller = Caller(name="red", role=Role.VIEWER, call_id="1", path=evil)
    return audited(caller, NOW).path


def of_the_screen(evil: str) -> str:
    """What went wrong last, as a terminal and a serial console show it."""
    shown = Screen(
        who=evil, nics=(), status=None, controller=evil, last_fault=Fault(code="X", message=evil, hint=evil), shell="-"
    )
    return " ".join([*lines(shown, 80), line(shown)])


def told_to_ironic(evil: str) -> str:
    """How a command failed."""
    error = error_of(Fault(code="IMAGE.ERROR", message=evil, details=evil, hint=evil))
    return f"{error.message} {error.details}"


def logged(evil: str, form: str = "text") -> str:
    """By the controller: a name, and an exception that repeats it, with where it was."""
    stream = StringIO()
    controller_log.configure("info", form, stream)
    try:
        raise ValueError(evil)
    except ValueError:
        Logger("a test").exception("it failed", name=evil, others=[evil])
    return stream.getvalue()


@pytest.mark.parametrize("place", [of_the_writer, of_the_trail, of_the_screen, told_to_ironic, logged])
def test_every_place(place: Callable[[str], str]) -> None:
    """No sequence, no turn of a line, no half of a character is left; the words themselves are there to be read."""
    found = place(EVIL)

    assert "pwned" in found and "end" in found and "\N{REPLACEMENT CHARACTER}" in found
    assert all(each.isprintable() or each == "\n" for each in found)
    assert found.encode()


def test_the_log_of_the_controller_tells_where() -> None:
    """The traceback is there, in both forms; for machines it is JSON, whatever is in it."""
    assert "Traceback (most recent call last)" in logged("x") and "ValueError: x" in logged("x")
    told = json.loads(logged(EVIL, "json"))
    assert told["exception"][0]["exc_type"] == "ValueError" and told["name"] == printable(EVIL)


@pytest.mark.parametrize("place", [of_the_writer, of_the_trail])
def test_nobody_adds_a_line(place: Callable[[str], str]) -> None:
    """Where a line is one fact, a stranger's text makes no second one."""
    assert "\n" not in place("a\nb\tc") and place("a\nb\tc").isprintable()


@given(st.text(), st.booleans())
def test_whatever_it_is(text: str, is_line: bool) -> None:
    """It is as long as it was, each character itself or a replacement, and can be encoded."""
    found = on_one_line(text) if is_line else printable(text)

    assert len(found) == len(text) == len(found.encode().decode())
    assert all(new in (old, "\N{REPLACEMENT CHARACTER}") for old, new in zip(text, found, strict=True))
    assert all(each.isprintable() or (each in "\n\t" and not is_line) for each in found)


def test_there_is_one() -> None:
    """No module of ours replaces characters by itself: two of them would differ in what they let through."""
    judging = {
        str(path.relative_to(AGENT))
        for path in AGENT.rglob("*.py")
        if re.search(r"isprintable\(\)[^\n]* else", path.read_text(encoding="utf-8"))
    }

    assert judging == {"program/printable.py", "model/lldp.py"}  # a neighbour's words are joined by single blanks

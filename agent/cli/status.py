# SPDX-License-Identifier: Apache-2.0
"""`bms-agent status`: how the agent on this machine is; the ramdisk's first console shows it all the time."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.diagnose.screen import Screen
    from agent.host.doors import Host

PERIOD_S = 2.0
LOOK_EVERY = 8
"""Rounds between two looks at the way to the controller: a fleet's screens must be no burden to it."""
HOME, TO_LINE_END, TO_SCREEN_END = "\x1b[H", "\x1b[K", "\x1b[J"
COLUMNS = 80


def status(
    json: Annotated[bool, typer.Option("--json", help="as JSON; with --watch a line for each change")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="for ever; what did not change is not drawn again")] = False,
    line: Annotated[bool, typer.Option("--line", help="in one line, for a serial console")] = False,
) -> None:
    """Show how the agent on this machine is: whom it serves, what it does.

    It asks nobody: it shows what the agent wrote down last, the NICs, and whether the controller can be reached.
    """
    from agent.cli.machine import host as open_host
    from agent.cli.machine import must_be_this

    host = open_host()
    if watch:
        must_be_this("watching")
    before = ""
    for shown in screens(host, for_ever=watch):
        text = drawn(shown, as_json=json, as_line=line)
        if text != before:
            is_screen = watch and not json and not line
            typer.echo(over(text) if is_screen else text, nl=not is_screen)
        before = text


def screens(host: Host, *, for_ever: bool) -> Iterator[Screen]:
    """One, or one every few seconds."""
    from agent.diagnose.screen import named, screen

    who = named(host)
    shown: Screen | None = None
    number = 0
    while number == 0 or for_ever:
        shown = screen(host, who, shown, look=number % LOOK_EVERY == 0)
        yield shown
        number += 1
        if for_ever:
            host.clock.wait(Event(), PERIOD_S)


def drawn(shown: Screen, *, as_json: bool, as_line: bool) -> str:
    """In the form that is wanted."""
    from agent import __version__
    from agent.diagnose.screen import line, lines

    if as_json:
        return shown.model_dump_json()
    if as_line:
        return f"bms-status: {line(shown)}"
    return "\n".join([f"bms-agent {__version__}", "", *lines(shown, COLUMNS)])


def over(text: str) -> str:
    """In place of what the screen showed before, without a flicker."""
    return HOME + "".join(f"{row}{TO_LINE_END}\r\n" for row in text.split("\n")) + TO_SCREEN_END

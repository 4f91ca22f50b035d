# SPDX-License-Identifier: Apache-2.0
"""Whoever boots from us says what its maker is called, before anybody has approved it: an operator's terminal shows
that, and does nothing of it.
"""

from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.inventory import Inventory
from agent.program.printable import printable
from agent.program.screen import Screen
from agent.program.streams import tell
from tests.bmsctl.keyboard import Keyboard
from tests.controller.machine import Machine, a_key
from tests.controller.world import World

EVIL = "\x1b]0;pwned\x07\x1b[2J\x9b31m[red]x[/red]\u202egpj\r\u2028\x1b[1Afingerprint"


class Liar(Machine):
    """A machine with such names wherever it can have any."""

    @property
    def inventory(self) -> Inventory:
        """What its ramdisk says."""
        true = super().inventory
        names = {"vendor": EVIL, "product": EVIL, "serial": EVIL}
        disks = tuple(disk.model_copy(update={"serial": EVIL, "model": EVIL}) for disk in self.disks)
        return true.model_copy(update={"system": true.system.model_copy(update=names), "disks": disks})


@pytest.mark.parametrize("words", ["node list", "node show NODE", "node show NODE --json", "node erasure NODE",
                                   "node validation NODE", "flavor check NODE small"])  # fmt: skip
def test_an_operator_s_terminal(bmsctl: Keyboard, world: World, words: str) -> None:
    """Nothing moves the cursor, colours, retitles or turns a line; the words themselves are there to be read."""
    Liar(world, key=a_key()).power_on()
    typed = bmsctl(*words.replace("NODE", world.node()["name"]).split())

    assert typed.status == 0
    assert must_be_harmless(typed.output + typed.error)
    if words == "node show NODE":
        assert "pwned" in typed.output and "[red]x[/red]" in typed.output
    if words.endswith("--json"):
        assert typed.json["inventory"]["system"]["vendor"] == EVIL


def test_an_error_that_repeats_it() -> None:
    """What is written to the standard error, too."""
    with redirect_stderr(StringIO()) as written:
        tell(f"IMAGE.UNAVAILABLE: the server answered 500 {EVIL}\n")

    assert "the server answered 500" in written.getvalue() and must_be_harmless(written.getvalue())


def must_be_harmless(text: str) -> bool:
    """Lines of what can be printed."""
    return all(each.isprintable() or each == "\n" for each in text)


@given(st.text())
def test_whatever_it_is(text: str) -> None:
    """It is printed without any effect, and what has none is as it was."""
    screen = Screen(markup=False, emoji=False, highlight=False, width=80, record=True)
    with screen.capture() as captured:
        screen.print(text, soft_wrap=True)
    assert must_be_harmless(captured.get().replace("\t", ""))
    assert all(each.isprintable() or each in "\n\t" for each in printable(text))
    assert printable("ä € 猫\n") == "ä € 猫\n"


def test_colours_of_our_own_stay() -> None:
    """A state has its colour."""
    screen = Screen(force_terminal=True, color_system="standard", width=80)
    with screen.capture() as captured:
        screen.print("\x1b[31mERROR", style="green")
    assert captured.get().startswith("\x1b[32m") and "\x1b[31m" not in captured.get()

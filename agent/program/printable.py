# SPDX-License-Identifier: Apache-2.0
"""Text that others have made, as it may go to a terminal, a log, a record: a machine that nobody has approved says what
its maker is called, an image what system it holds, a server what went wrong. Pure.
"""

from __future__ import annotations

LINES = frozenset("\n\t")


def printable(text: str, kept: frozenset[str] = LINES) -> str:
    """Every control character, what turns a line's direction or ends it otherwise, and halves of characters, which no
    encoding has, are shown as a replacement: they would move the cursor, colour, retitle, hide, or end a JSON text.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in kept else "\N{REPLACEMENT CHARACTER}" for each in text)


def on_one_line(text: str) -> str:
    """The same where a line is one fact: nobody adds another to it."""
    return printable(text, kept=frozenset())

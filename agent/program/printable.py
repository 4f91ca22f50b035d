# SPDX-License-Identifier: Apache-2.0
"""Text that others have made, as it may go to a terminal: a machine that nobody has approved says what its maker is
called, an image what system it holds, a server what went wrong. Pure.
"""

from __future__ import annotations

KEPT = frozenset("\n\t")


def printable(text: str) -> str:
    """Every control character, and what turns a line's direction or ends it otherwise, is shown as a replacement: it
    would move the cursor, colour, retitle or hide."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in KEPT else "\N{REPLACEMENT CHARACTER}" for each in text)

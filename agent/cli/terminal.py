# SPDX-License-Identifier: Apache-2.0
"""Where people read. Texts are shown as they are: in rich's own language `:a:`, which stands in IPv6 addresses, is a
picture, and `[/dev/sda]`, or what a switch calls itself, is a mistake that ends the command.
"""

from __future__ import annotations

from rich.console import Console

from agent.program.screen import Screen


def terminal(*, soft_wrap: bool = False) -> Console:
    """Standard output."""
    return Screen(markup=False, emoji=False, highlight=False, soft_wrap=soft_wrap)

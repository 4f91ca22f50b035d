# SPDX-License-Identifier: Apache-2.0
"""How files of ours are told from others: by their first line, whatever a format wants them to be called."""

from __future__ import annotations

MARK = "# Written by bms-agent: changes here are overwritten."


def marked(text: str) -> str:
    """A file of ours."""
    return f"{MARK}\n{text}"


def is_ours(path: str, text: str) -> bool:
    """By its first line, or by its name where somebody has edited that away."""
    return text.partition("\n")[0] == MARK or "bms-agent" in path.rpartition("/")[2]

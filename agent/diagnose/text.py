# SPDX-License-Identifier: Apache-2.0
"""A diagnosis as an operator reads it. Pure: lines, each with the style that a terminal may give it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from textwrap import wrap
from typing import NamedTuple

from agent.model.finding import Diagnosis, Finding, Severity

STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTICE: "cyan"}
INDENT = 9
LEAST_COLUMNS = 40


class Line(NamedTuple):
    """One line, and how it is drawn."""

    text: str
    style: str = ""


def lines(diagnosis: Diagnosis, columns: int | None) -> Iterator[Line]:
    """All of it, in that many columns; None folds nothing, for pipes."""
    yield Line(diagnosis.who)
    yield from (Line(text, "bold") for text in folded(f"answer   {diagnosis.answer}", columns))
    for finding in diagnosis.findings:
        yield Line("")
        yield from told(finding, columns)
    yield Line("")
    yield Line(f"{counted(diagnosis)}, in {diagnosis.took_s:.1f} s", "dim")
    for name, reason in diagnosis.unknown.items():
        yield from (Line(text, "dim") for text in folded(f"not seen {name}: {reason}", columns))


def told(finding: Finding, columns: int | None) -> Iterator[Line]:
    """One: its code and severity, what, why, what to do."""
    yield Line(f"{finding.severity:<{INDENT}}{finding.code}", STYLES[finding.severity])
    for word, text in (("what", finding.what), ("why", finding.why), ("to do", finding.to_do)):
        yield from (Line(line) for line in folded(f"{word:<{INDENT}}{text}", columns))


def folded(text: str, columns: int | None) -> list[str]:
    """In as many lines as it takes."""
    if columns is None:
        return [text]
    indent = " " * INDENT
    width = max(LEAST_COLUMNS, columns)
    return wrap(text, width, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True)


def counted(diagnosis: Diagnosis) -> str:
    """How many of each."""
    counts = Counter(one.severity for one in diagnosis.findings)
    words = [f"{counts[one]} {one}{'s' if counts[one] != 1 else ''}" for one in Severity if counts[one]]
    return ", ".join(words) or "no findings"

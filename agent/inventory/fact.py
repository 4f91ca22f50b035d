# SPDX-License-Identifier: Apache-2.0
"""From sources to facts: known, absent, or unknown and why.

A source that is not there makes a fact absent; a source that fails makes it unknown. Neither is ever guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from agent.errors import AgentError, DecodeError, HostError
from agent.host.doors import Files
from agent.model.fact import Fact, Unknown

FILLER = re.compile(r"([0xX.*_-])\1*")
WHOLE_NUMBER = re.compile(r"-?[0-9]+")
S = TypeVar("S")
T = TypeVar("T")

# What boards say when their maker has not filled a field in.
PLACEHOLDERS = frozenset(
    {
        "to be filled by o.e.m.",
        "to be filled by oem",
        "default string",
        "system manufacturer",
        "system product name",
        "system serial number",
        "chassis serial number",
        "base board serial number",
        "no asset tag",
        "no asset information",
        "asset-1234567890",
        "not specified",
        "not available",
        "not applicable",
        "no dimm",
        "unknown",
        "undefined",
        "invalid",
        "none",
        "n/a",
        "na",
        "oem",
        "o.e.m.",
        "0123456789",
        "123456789",
        "1234567890",
    }
)


def attempt(probe: Callable[[], T]) -> T | Unknown:
    """What the probe finds, or why it could not."""
    try:
        return probe()
    except AgentError as error:
        return Unknown(unknown=str(error))


def said(text: str | None) -> str | None:
    """A text of the firmware's, if it says anything: blanks, placeholders and runs of one sign say nothing."""
    text = " ".join((text or "").split())
    is_filler = text.casefold() in PLACEHOLDERS or FILLER.fullmatch(text) is not None
    return None if not text or is_filler else text


def of(source: S | Unknown | None, ask: Callable[[S], T | None]) -> Fact[T]:
    """A fact from a source that may itself be absent or unknown."""
    if isinstance(source, Unknown):
        return source
    return None if source is None else ask(source)


def first(*facts: Fact[T]) -> Fact[T]:
    """The first that is not absent. A source that fails ends the search: a lesser one may have another word for it."""
    return next((fact for fact in facts if fact is not None), None)


def first_asked(*asks: Callable[[], Fact[T]]) -> Fact[T]:
    """The same, of sources that cost something to ask: those behind the answer are not asked."""
    return next((fact for ask in asks if (fact := ask()) is not None), None)


def text(files: Files, path: str) -> Fact[str]:
    """One line of sysfs."""
    return attempt(lambda: said(content(files, path)))


def content(files: Files, path: str) -> str | None:
    """A text, if there is one; it is not looked for before it is read. Raises `HostError`."""
    try:
        return files.read_text(path)
    except HostError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            return None
        raise


def number(files: Files, path: str) -> Fact[int]:
    """A number of sysfs. A negative one is the kernel's way to say that there is none (-1: no speed, no NUMA node)."""

    def read() -> int | None:
        found = content(files, path)
        if found is None:
            return None
        line = found.strip()
        if not WHOLE_NUMBER.fullmatch(line):
            raise DecodeError(f"reading {path}", f"{line!r} is no number")
        return int(line) if not line.startswith("-") else None

    return attempt(read)


def flag(files: Files, path: str) -> Fact[bool]:
    """A 0 or a 1 of sysfs."""
    value = number(files, path)
    return value if value is None or isinstance(value, Unknown) else value != 0

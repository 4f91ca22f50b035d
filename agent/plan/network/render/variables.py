# SPDX-License-Identifier: Apache-2.0
"""Files of `NAME=value` that a shell reads in the end (sysconfig): what a shell would change is quoted."""

from __future__ import annotations

import re

from agent.plan.network.render.mark import marked

PLAIN = re.compile(r"[A-Za-z0-9_.:/@%+,-]+")


def variables(pairs: dict[str, object]) -> str:
    """The file; what is `None` is left out."""
    return marked("".join(f"{name}={quoted(str(value))}\n" for name, value in pairs.items() if value is not None))


def quoted(value: str) -> str:
    """In double quotes, unless nothing in it means anything to a shell."""
    return value if PLAIN.fullmatch(value) else '"' + re.sub(r'([\\"$`])', r"\\\1", value) + '"'


def lines(each: list[str]) -> str | None:
    """A file of lines; `None` if there are none."""
    return marked("".join(f"{line}\n" for line in each)) if each else None

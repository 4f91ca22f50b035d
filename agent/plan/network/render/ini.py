# SPDX-License-Identifier: Apache-2.0
"""Sections of keys, as systemd.syntax(7) and NetworkManager's keyfiles both write them. A section may come twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.plan.network.render.mark import marked

Key = tuple[str, object]


@dataclass(frozen=True)
class Section:
    """`[name]` and its keys; a key may come twice, and one whose value is `None` is left out."""

    name: str
    keys: tuple[Key, ...]

    @classmethod
    def of(cls, name: str, *keys: Key) -> Section:
        """Without the keys that have no value."""
        return cls(name, tuple(key for key in keys if key[1] is not None))


def ini(sections: Iterable[Section]) -> str:
    """The file; sections without keys are left out."""
    return marked("\n".join(written(section) for section in sections if section.keys))


def written(section: Section) -> str:
    """One section."""
    return "".join([f"[{section.name}]\n", *(f"{name}={value}\n" for name, value in section.keys)])

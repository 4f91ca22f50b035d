# SPDX-License-Identifier: Apache-2.0
"""Two values of one thing, field by field. What is unknown on either side is no difference: it was not looked at."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import TypeVar

from agent.model.difference import Difference, Weight
from agent.model.fact import Unknown
from agent.model.frozen import Frozen

T = TypeVar("T")
Key = Hashable


def changed(what: str, code: str, before: object, after: object, *, weight: Weight = "change") -> Iterator[Difference]:
    """One field. `code` is of the kind of thing and of the field: DISK.FIRMWARE."""
    if before == after or isinstance(before, Unknown) or isinstance(after, Unknown):
        return
    yield Difference(code=code, weight=weight, what=what, before=shown(before), after=shown(after))


def each_changed(what: str, code: str, before: Frozen, after: Frozen, fields: Iterable[str]) -> Iterator[Difference]:
    """Several fields of a model: DISK and "firmware" make DISK.FIRMWARE."""
    for field in fields:
        place = f"{what}, {field.replace('_', ' ')}"
        yield from changed(place, f"{code}.{field.upper()}", getattr(before, field), getattr(after, field))


def lowered(what: str, code: str, before: object, after: object, unit: str) -> Iterator[Difference]:
    """A number that may rise and should not sink: a fault if it does, else a change."""
    if isinstance(before, int | float) and isinstance(after, int | float) and before != after:
        is_worse = after < before
        word = f"{code}_DROPPED" if is_worse else f"{code}_RAISED"
        weight: Weight = "fault" if is_worse else "change"
        yield Difference(code=word, weight=weight, what=what, before=f"{before:g} {unit}", after=f"{after:g} {unit}")


def shown(value: object) -> str | None:
    """For people; `None` is "not there"."""
    match value:
        case None:
            return None
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ", ".join(str(each) for each in value) or "none"
    return str(value)


def keyed(things: Iterable[T], key: Callable[[T], Key]) -> dict[Key, T]:
    """By who each is. Things that share a name are told apart by their order among them, in both inventories alike."""
    found: dict[Key, T] = {}
    for one in things:
        name, number = key(one), 0
        while (name, number) in found:
            number += 1
        found[name, number] = one
    return found


def pairs(before: Mapping[Key, T], after: Mapping[Key, T]) -> Iterator[tuple[T, T]]:
    """What is in both."""
    return ((before[name], after[name]) for name in before if name in after)


def not_in(these: Mapping[Key, T], others: Mapping[Key, T]) -> list[T]:
    """What is in the first alone."""
    return [one for name, one in these.items() if name not in others]

# SPDX-License-Identifier: Apache-2.0
"""Disk hints as operators of OpenStack Ironic write them: a hint's name, and an expression with an operator.

    size: ">= 100"        wwn: "0x5000…"        model: "<or> PM9A3 <or> PM1733"        rotational: "no"

The grammar is that of ironic-python-agent, where oslo.utils' specs matcher reads it. It is read here, so that a wrong
hint is refused with its name before any disk is looked at; what the words mean for a disk is `agent.plan.device_hints`.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field, ValidationError, field_validator

from agent.errors import InputError
from agent.model.frozen import Frozen, faults

Spec = str | int | bool
Kind = Literal["text", "number", "bool"]
KINDS: dict[str, Kind] = {
    **dict.fromkeys(("model", "vendor", "serial", "wwn", "wwn_with_extension", "wwn_vendor_extension"), "text"),
    **dict.fromkeys(("hctl", "by_path", "name", "tran", "volume_name"), "text"),
    "size": "number",
    "rotational": "bool",
}
NUMERIC = frozenset({"=", "==", "!=", "<", "<=", ">", ">=", "<range-in>"})
FOR_NUMBERS = NUMERIC | {"", "<or>"}
# A longer sign stands before one that it begins with.
OPERATOR = re.compile(r"<(?:range-in|all-in|or|in)>|s[=!]=|s[<>]=?|[=!<>]=|[=<>]")
RANGE = re.compile(r"([(\[]) (\S+) (\S+) ([)\]])")
YES = frozenset({"1", "t", "true", "on", "y", "yes"})
NO = frozenset({"0", "f", "false", "off", "n", "no"})


class Expression(NamedTuple):
    """A spec that was read: its operator ("" where none is written) and values, in lower case and single spaces."""

    operator: str
    values: tuple[str, ...]


class OperatorHints(Frozen):
    """What the disk that is meant looks like, in Ironic's words; every hint that is given must match."""

    specs: dict[str, Spec] = Field(description="by hint: size in GiB, rotational yes or no, all else text")

    @classmethod
    def of(cls, given: object) -> OperatorHints:
        """From what a node's properties hold, which may be anything. Raises `InputError`, which names the hint."""
        try:
            return cls.model_validate({"specs": given})
        except ValidationError as error:
            raise InputError("reading the device hints", faults(error)) from None

    @field_validator("specs")
    @classmethod
    def _can_be_read(cls, specs: dict[str, Spec]) -> dict[str, Spec]:
        for name, spec in specs.items():
            must_be_read(name, spec)
        return specs


def _names_something(hints: OperatorHints) -> OperatorHints:
    """No hints at all would fit every disk there is."""
    if not hints.specs:
        raise ValueError("an entry without hints names no disk")
    return hints


SkipList = tuple[Annotated[OperatorHints, AfterValidator(_names_something)], ...]
"""Disks that are never written to: Ironic's `skip_block_devices`. `volume_name` there means a RAID, never a disk."""


def must_be_read(name: str, spec: Spec) -> None:
    """Raises `ValueError`, with the hint's name, for a spec that says nothing that could be asked of a disk."""
    match KINDS.get(name):
        case None:
            raise ValueError(f"there is no hint {name}; there are {', '.join(KINDS)}")
        case "bool":
            truth(name, spec)
        case "number":
            if isinstance(spec, bool):
                raise ValueError(f"{name} wants a number, not {spec}")
            must_be_numbers(name, expression(name, str(spec)))
        case "text":
            if not isinstance(spec, str):
                raise ValueError(f"{name} wants a text, not {spec}")
            must_compare(name, expression(name, spec))


def truth(name: str, spec: Spec) -> bool:
    """Yes or no, in any of their usual forms. Raises `ValueError`."""
    said = str(spec).strip().lower()
    if said not in YES | NO:
        raise ValueError(f"{name} wants one of {', '.join(sorted(YES | NO))}, not {spec!r}")
    return said in YES


def expression(name: str, spec: str) -> Expression:
    """Read a spec. An operator that takes one value takes the first, as IPA does: the rest of "s== a s== b" is not
    looked at. Raises `ValueError`.
    """
    text = " ".join(spec.lower().split())
    found = OPERATOR.match(text)
    sign = found[0] if found else ""
    values = tuple(value.strip() for value in (text.split(sign) if sign else [text]) if value.strip())
    if not values:
        raise ValueError(f"{name} has no value in {spec!r}")
    match sign:
        case "<or>":
            return Expression(sign, values)
        case "<all-in>":
            return Expression(sign, tuple(values[0].split()))
        case "<range-in>":
            return Expression(sign, bounds(name, values[0]))
        case _:
            return Expression(sign, values[:1])


def bounds(name: str, text: str) -> tuple[str, ...]:
    """`[ 10 20 )` in its four parts; a round bracket leaves its bound out. Raises `ValueError`."""
    found = RANGE.fullmatch(text)
    if found is None or number(name, found[2]) > number(name, found[3]):
        raise ValueError(f"{name} wants a range such as '<range-in> [ 10 20 ]', not {text!r}")
    return found.groups()


def must_be_numbers(name: str, read: Expression) -> None:
    """Raises `ValueError` unless all of it is about whole numbers above zero."""
    if read.operator not in FOR_NUMBERS:
        raise ValueError(f"{name} is a number, and {read.operator} compares texts")
    for value in (each for each in read.values if each not in "[]()"):
        if not re.fullmatch(r"\+?[0-9]+", value) or int(value) == 0:
            raise ValueError(f"{name} wants a whole number above zero, not {value!r}")


def must_compare(name: str, read: Expression) -> None:
    """Raises `ValueError` where a text is to be compared as a number, and is none."""
    if read.operator in NUMERIC and read.operator != "<range-in>":
        number(name, read.values[0])


def number(name: str, text: str) -> float:
    """A number. Raises `ValueError`."""
    if not re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)", text):
        raise ValueError(f"{name} is to be compared as a number, and {text!r} is none; for a text write s== and s!=")
    return float(text)

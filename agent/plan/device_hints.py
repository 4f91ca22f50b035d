# SPDX-License-Identifier: Apache-2.0
"""What Ironic's hints mean for a disk: ironic-python-agent's rules, and a word for each way not to fit.

Ours where IPA has none, or an accident: `s!=` must hold for every name that a disk has (in IPA one of several is
enough, so that it excludes nothing); a space is a space and not "%20", in which `<in> 20` would be found; and the
operators that IPA reads but cannot compare (`<or>` of sizes, `<all-in>`, `<range-in>`) do what they say.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import NamedTuple

from agent.model.device_hints import KINDS, NUMERIC, Expression, OperatorHints, Spec, expression, number, truth
from agent.model.disk import OVER_FABRICS, Disk
from agent.model.fact import Fact, Unknown, known
from agent.model.raid import RunningArray

GIB = 1024**3
LAST = [1 << 32]
Value = str | bool | float
NUMBERS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.ge,  # no mistake: oslo.utils has it so, for the sake of Nova's flavors
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
TEXTS: dict[str, Callable[[str, str], bool]] = {
    "s==": operator.eq,
    "s!=": operator.ne,
    "s<": operator.lt,
    "s<=": operator.le,
    "s>": operator.gt,
    "s>=": operator.ge,
    "<in>": operator.contains,
}
DIFFERS = ("s!=", "!=")
NEEDED = ("serial", "wwn", "volume_name")  # a disk without one differs from none; volume_name is of arrays alone


class Verdict(NamedTuple):
    """Why a disk does not fit, in words; and what could not be told. It fits if there is neither."""

    misfits: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Beyond doubt."""
        return not self.misfits and not self.unknown

    @property
    def in_doubt(self) -> bool:
        """It may fit: whatever is known of it does."""
        return not self.misfits and bool(self.unknown)


def judged(disk: Disk, hints: OperatorHints) -> Verdict:
    """Hold a disk against the hints."""
    misfits: list[str] = []
    unknown: list[str] = []
    for name, spec in hints.specs.items():
        facts = facts_of(disk, name)
        doubts = [f"{name} is {fact}" for fact in facts if isinstance(fact, Unknown)]
        values = tuple(dict.fromkeys(fact for fact in facts if not (fact is None or isinstance(fact, Unknown))))
        if doubts:
            unknown += doubts
        elif not holds(name, spec, values):
            misfits.append(f"{name} is {' or '.join(map(shown, values)) or 'absent'}")
    return Verdict(tuple(misfits), tuple(unknown))


def in_order(disks: tuple[Disk, ...]) -> tuple[Disk, ...]:
    """As IPA goes through them, since the first that fits is taken: by major and minor number, which is how lsblk has
    sorted them since Linux 4.8.
    """

    def place(disk: Disk) -> tuple[list[int], str]:
        numbers = (known(disk.device_number) or "").split(":")
        return ([int(each) for each in numbers] if all(map(str.isdecimal, numbers)) else LAST, disk.name)

    return tuple(sorted(disks, key=place))


def facts_of(disk: Disk, name: str) -> tuple[Fact[Value], ...]:
    """What a hint is about: every name of that kind that the disk has, as IPA collects them of lsblk and udev."""
    return FACTS[name](disk) if name in FACTS else (getattr(disk, name),)


def vendor(disk: Disk) -> Fact[Value]:
    """The maker. SCSI says "ATA" of every SATA disk; no maker for us, but hints that were copied from IPA have it."""
    is_scsi = known(disk.hctl) is not None
    return "ATA" if disk.vendor is None and is_scsi else disk.vendor


def lsblks_transport(disk: Disk) -> Fact[str]:
    """NVMe is NVMe to it, wherever it is."""
    return "nvme" if (known(disk.transport) or "").startswith(OVER_FABRICS) else disk.transport


def array_paths(disk: Disk) -> tuple[str, ...]:
    """An array that has no name but its place is /dev/md0 to its operators, whatever number it has in this boot."""
    name = known(disk.volume_name) if isinstance(disk, RunningArray) else None
    return (f"/dev/{name}",) if name and re.fullmatch(r"md[0-9]+", name) else ()


FACTS: dict[str, Callable[[Disk], tuple[Fact[Value], ...]]] = {
    "size": lambda disk: (disk.size_bytes / GIB,),
    "name": lambda disk: (disk.path, *array_paths(disk)),
    "serial": lambda disk: (disk.serial, *disk.also.serials),
    "wwn": lambda disk: (disk.wwn, *disk.also.wwns),
    "by_path": lambda disk: (disk.by_path, *disk.also.by_paths),
    "vendor": lambda disk: (vendor(disk),),
    "tran": lambda disk: (lsblks_transport(disk),),
    "volume_name": lambda disk: (disk.volume_name,) if isinstance(disk, RunningArray) else (),
}
"""The hints that are not called as the disk's field is."""


def shown(value: Value) -> str:
    """A fact in words; a number is a size."""
    return f"{value:.6g} GiB" if isinstance(value, float) else str(value)


def holds(name: str, spec: Spec, values: tuple[Value, ...]) -> bool:
    """Whether what a disk has is what a hint wants."""
    if KINDS[name] == "bool":
        return values == (truth(name, spec),)
    read = expression(name, str(spec))
    if not values:
        return read.operator in DIFFERS and name not in NEEDED
    enough = all if read.operator in DIFFERS else any
    return enough(
        compares(read, value) if isinstance(value, float) else reads(name, read, str(value)) for value in values
    )


def compares(read: Expression, have: float) -> bool:
    """A number against an expression."""
    match read.operator, read.values:
        case "<range-in>", (opening, low, high, closing):
            above = have > float(low) or (opening == "[" and have == float(low))
            return above and (have < float(high) or (closing == "]" and have == float(high)))
        case (("" | "<or>"), values):
            return any(have == float(value) for value in values)
        case sign, values:
            return NUMBERS[sign](have, float(values[0]))


def reads(name: str, read: Expression, text: str) -> bool:
    """A text against an expression, without regard to case."""
    have = " ".join(text.lower().split())
    if read.operator in NUMERIC:
        try:
            return compares(read, number(name, have))
        except ValueError:
            return False
    match read.operator:
        case "" | "<or>":
            return have in read.values
        case "<all-in>":
            return all(value in have for value in read.values)
        case sign:
            return TEXTS[sign](have, read.values[0])

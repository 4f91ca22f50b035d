# SPDX-License-Identifier: Apache-2.0
"""Scenarios of the platform: what its firmware boots, what crashed kernels left, and its power."""

from __future__ import annotations

from agent.apply.pstore import PLACE
from agent.host.fake import Machine
from agent.model.efi import decode_order
from agent.model.request import ErasePstoreRequest, PowerOffRequest, RebootRequest, Request
from tests.apply import test_boot, test_pstore
from tests.apply.disks import MIB, machine
from tests.operations.faults import Scenario, anything
from tests.operations.machines import ORDER


def selecting() -> tuple[Machine, Request]:
    """A disk's loader becomes the first in the order."""
    return test_boot.ready(test_boot.SELECT), test_boot.SELECT


def is_first(made: Machine) -> bool:
    """The new entry is, and the others follow."""
    return decode_order(test_boot.kept(made)["BootOrder"]) == (1, 0, 3, 4)


def forgetting() -> tuple[Machine, Request]:
    """That entry goes again."""
    return test_boot.ready(test_boot.FORGET), test_boot.FORGET


def is_forgotten(made: Machine) -> bool:
    """The firmware has what it had before."""
    return test_boot.kept(made) == test_boot.BEFORE


def boots_as_it_can(made: Machine) -> bool:
    """The order names nothing that is not there, and nothing of a stranger's was lost."""
    kept, before = test_boot.kept(made), test_boot.BEFORE
    order = decode_order(kept["BootOrder"])
    is_there = all(f"Boot{number:04X}" in kept for number in order)
    return (
        order in test_boot.FINAL
        and is_there
        and all(kept[name] == before[name] for name in set(before) - {"BootOrder"})
    )


def erasing_pstore() -> tuple[Machine, Request]:
    """Two records."""
    return test_pstore.having(test_pstore.RECORDS), ErasePstoreRequest(**ORDER)


def has_no_records(made: Machine) -> bool:
    """None."""
    return not made.tree.directories.get(PLACE)


def rebooting() -> tuple[Machine, Request]:
    """What `ending` says is all there is."""
    return machine(MIB), RebootRequest(**ORDER)


def powering_off() -> tuple[Machine, Request]:
    """As above."""
    return machine(MIB), PowerOffRequest(**ORDER)


SCENARIOS = {
    "boot.select": (Scenario("a disk's loader", selecting, is_first, boots_as_it_can),),
    "boot.forget": (Scenario("its entry", forgetting, is_forgotten, boots_as_it_can),),
    "pstore.erase": (Scenario("two records", erasing_pstore, has_no_records, anything),),
    "power.reboot": (Scenario("reboot", rebooting, anything, anything, "reboot"),),
    "power.off": (Scenario("power off", powering_off, anything, anything, "power off"),),
}

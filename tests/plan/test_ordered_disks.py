# SPDX-License-Identifier: Apache-2.0
"""An order to erase names the disks that were known: one that came since is not erased, and nothing else is either."""

from __future__ import annotations

from typing import Any

import pytest

from agent.errors import DiskChanged
from agent.model.disk import Disk, DiskIdentity
from agent.model.plan import EraseDisks
from agent.model.request import EraseRequest
from agent.plan.erase import plan_erase
from tests.hardware import HDD, NVME, SSD, machine


def ordered(*disks: DiskIdentity) -> EraseRequest:
    """Of these."""
    return EraseRequest(request_id="r", node_id="n", disks=disks)


def like(disk: Disk, **changes: Any) -> Disk:
    """Another, or the same seen otherwise."""
    return Disk.model_validate(disk.model_dump() | changes)


NAMELESS = like(SSD, serial=None, wwn=None)


@pytest.mark.parametrize(
    "there",
    [
        (SSD, HDD, NVME),
        (SSD, like(HDD, serial="H2")),
        (SSD, like(HDD, wwn="0x5000c50000000002")),
        (SSD, like(HDD, size_bytes=HDD.size_bytes + 512)),
        (SSD, like(HDD, serial=None, wwn=None)),
    ],
    ids=["added", "another serial", "another WWN", "another size", "without a name"],
)
def test_a_disk_that_was_not_known_stops_all(there: tuple[Disk, ...]) -> None:
    """The error has both lists."""
    with pytest.raises(
        DiskChanged, match=r"not in the order: /dev/\w+ \(.*; ordered: /dev/sda \(.*; /dev/sdb \("
    ) as it:
        plan_erase(machine(*there), ordered(SSD.identity, HDD.identity))

    assert it.value.code == "DISK.CHANGED" and "Boot the machine again" in str(it.value.hint)


@pytest.mark.parametrize(
    "there",
    [
        (SSD, HDD),
        (like(SSD, path="/dev/sdb", name="sdb"), like(HDD, path="/dev/sda", name="sda")),
        (SSD, like(HDD, serial=None)),
        (SSD, like(HDD, size_bytes=0)),
        (SSD, HDD, like(NVME, transport="usb")),
        (SSD, HDD, like(HDD, path="/dev/sdc")),
        (SSD,),
    ],
    ids=["the same", "other names", "serial untold", "at work", "not its own", "by two paths", "one is gone"],
)
def test_those_that_were_known_are_erased(there: tuple[Disk, ...]) -> None:
    """Whatever their names are by now. One that is gone is missed by who ordered this, not here."""
    steps = plan_erase(machine(*there), ordered(SSD.identity, HDD.identity)).steps
    [step] = [one for one in steps if isinstance(one, EraseDisks)]

    assert {one.disk.path for one in step.erasures} == {one.path for one in there if one.is_own}


def test_a_disk_without_a_name_is_where_it_was() -> None:
    """As large, and nowhere else; one with a name is another."""
    assert plan_erase(machine(NAMELESS), ordered(NAMELESS.identity)).steps
    for other in (like(NAMELESS, path="/dev/sdb"), like(NAMELESS, size_bytes=10**9), SSD):
        with pytest.raises(DiskChanged):
            plan_erase(machine(other), ordered(NAMELESS.identity))


def test_an_order_that_names_none() -> None:
    """Of an earlier controller, or by hand: as before, and byte for byte what an earlier agent reads. No disk at all
    is another matter.
    """
    asked = EraseRequest(request_id="r", node_id="n")

    assert plan_erase(machine(SSD, NVME), asked).steps and "disks" not in asked.model_dump(mode="json")
    assert "disks" in ordered().model_dump(mode="json")
    with pytest.raises(DiskChanged, match="ordered: no disk"):
        plan_erase(machine(SSD), ordered())

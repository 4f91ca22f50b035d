# SPDX-License-Identifier: Apache-2.0
"""The override for disks that other machines may be using, as who boots a machine says it to the embedded controller's
ramdisk; under Ironic the node has it.
"""

from __future__ import annotations

import pytest

from agent.config import load
from agent.errors import DiskShared
from agent.host.fake import FakeHost, Machine
from agent.model.request import EraseRequest
from agent.operations import Operations
from tests.apply.disks import machine

WIPE = EraseRequest(request_id="r", node_id="n", method="metadata")


def dark() -> Machine:
    """A disk that udev could not examine."""
    made = machine(2 << 30)
    made.record = made.record.model_copy(update={"udev": {}})
    return made


def planned(cmdline: str) -> Operations:
    """The operations of a ramdisk that was booted so."""
    settings = load(None, cmdline)
    return Operations(FakeHost.of(dark()), "ramdisk", "/s", shared_too=settings.wipe_special_filesystems)


def test_a_disk_that_udev_could_not_examine() -> None:
    """Nobody knows whose it is: it is refused, with the word that gives it up; booted with that word it is given up."""
    with pytest.raises(DiskShared, match="what is not known") as caught:
        planned("quiet").plan(WIPE)

    assert "bms.]wipe_special_filesystems" in caught.value.advice
    assert planned("quiet bms.wipe_special_filesystems").plan(WIPE).steps
    assert planned("bms.wipe_special_filesystems=1").plan(WIPE).steps

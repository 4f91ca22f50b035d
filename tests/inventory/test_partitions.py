# SPDX-License-Identifier: Apache-2.0
"""What Ironic is told of a disk that was written."""

from __future__ import annotations

import pytest

from agent.errors import DeviceError
from agent.host.fake import FakeHost
from agent.inventory.disk import disks
from agent.inventory.partitions import partition_uuids
from tests.apply.disks import MIB, disk_of, machine


def test_the_number_of_a_disk() -> None:
    """The four bytes at 440, lowest first, as ironic-python-agent prints them; a blank disk has zero."""
    made = machine(8 * MIB, 8 * MIB)
    disk_of(made).write(0, bytes(440) + bytes.fromhex("78563412") + bytes(68))
    host = FakeHost.of(made)
    first, second = disks(host)

    assert partition_uuids(host, first) == {"root uuid": "0x12345678"}
    assert partition_uuids(host, second) == {"root uuid": "0x00000000"}
    with pytest.raises(DeviceError):
        partition_uuids(host, first.model_copy(update={"path": "/dev/none"}))

# SPDX-License-Identifier: Apache-2.0
"""Scenarios of hardware that is tested: what is written is the disk that was named, and no other."""

from __future__ import annotations

from agent.host.fake import Machine
from agent.model.request import Request, ValidateRequest
from tests.apply.disks import MIB, disk_of
from tests.operations.faults import Scenario
from tests.operations.machines import ORDER, other_is_kept, with_another

TESTS = ("memory.errors", "disk.health", "disk.read", "disk.write", "network.link", "network.gateway")


def validating() -> tuple[Machine, Request]:
    """Everything that is quick, and a disk that is written, read and compared."""
    request = ValidateRequest(**ORDER, tests=TESTS, disks=("S0",), wipe=True, settings={"links": 0})
    return with_another(256 * 1024, MIB), request


def is_written(made: Machine) -> bool:
    """All of it."""
    disk = disk_of(made)
    return all(any(disk.durable.read(at, 4096)) for at in range(0, disk.size_bytes, 4096))


SCENARIOS = {
    "hardware.validate": (Scenario("a disk that may be wiped", validating, is_written, other_is_kept, tries=40),),
}

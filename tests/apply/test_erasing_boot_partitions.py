# SPDX-License-Identifier: Apache-2.0
"""NVMe drives with boot partitions, which no sanitize reaches: blank ones are fine, and anything else is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.errors import DeviceError
from agent.host.fake import FakeHost
from agent.host.fake.devices import FakeDrives
from agent.host.fake.erasing import NvmeMind
from agent.model.erasing import nvme
from tests.apply.erasable import drive, holds_data, machine, only, served

KIB = 1024
ZEROES, ONES = bytes(256 * KIB), b"\xff" * (256 * KIB)
LOADER = bytes(130 * KIB) + b"a tenant's loader".ljust(126 * KIB, b"\0")


@pytest.mark.parametrize("boot", [(ZEROES, ZEROES), (ONES, ZEROES), ()])
def test_blank_ones_are_no_hiding_place(boot: tuple[bytes, ...]) -> None:
    """Of zeroes or of ones, or none at all."""
    made = machine()
    drive(made, NvmeMind, boot=boot)

    assert only(served(FakeHost.of(made))).outcome == "erased"


@pytest.mark.parametrize(("boot", "number"), [((LOADER, ZEROES), 0), ((ZEROES, LOADER), 1)])
def test_what_is_in_one_is_told(boot: tuple[bytes, ...], number: int) -> None:
    """The drive is erased but for that, which its next owner's firmware may start: not proven."""
    made = machine()
    mind = drive(made, NvmeMind, boot=boot)
    one = only(served(FakeHost.of(made)))

    assert (one.outcome, one.nist) == ("unproven", "none") and not holds_data(mind)
    assert f"boot partition {number}, which nothing erases, holds something at byte {130 * KIB}" in one.evidence


class Deaf(FakeDrives):
    """It tells how large they are, at most."""

    head = True

    def nvme_boot_log(self, node: str, number: int, offset_bytes: int, length: int) -> bytes | None:
        """The head."""
        if offset_bytes or not self.head:
            raise DeviceError(f"asking {node}", "its status is 0x4006")
        return super().nvme_boot_log(node, number, offset_bytes, length)


class Mute(Deaf):
    """Not even that."""

    head = False


@pytest.mark.parametrize(("kind", "told"), [(Deaf, "could not be read"), (Mute, "could not be asked")])
def test_what_cannot_be_read_is_not_proven(kind: type[Deaf], told: str) -> None:
    """Nobody knows what is in there."""
    made = machine()
    drive(made, NvmeMind, boot=(ZEROES, ZEROES))
    host = FakeHost.of(made)
    one = only(served(replace(host, drives=kind(made, host.faults))))

    assert one.outcome == "unproven" and told in one.evidence


def test_the_head_of_their_log() -> None:
    """BPINFO: units of 128 KiB in its lower 15 bits; which of them is active says nothing of the size (figure 263)."""
    raw = bytearray(16)
    raw[4:8] = (0x80000003).to_bytes(4, "little")
    assert nvme.boot_partition_bytes(bytes(raw)) == 3 * 128 * KIB
    identity = bytearray(4096)
    for version, asked in ((0x10400, False), (0x20000, True), (0x20100, True)):
        identity[80:84] = version.to_bytes(4, "little")
        assert nvme.tells_of_boot_partitions(bytes(identity)) is asked

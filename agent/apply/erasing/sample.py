# SPDX-License-Identifier: Apache-2.0
"""Canaries: blocks of our own, written before a disk is erased and looked for afterwards; and what was beside them.

They follow from the disk and the place, so that whoever looks after a power cut knows them, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b, shake_256

from agent.errors import DeviceError
from agent.host.doors import BlockDevice
from agent.model.disk import DiskIdentity
from agent.model.erasing import Samples
from agent.model.plan import EraseDisk

CANARY_BYTES = 4096
MARK_BYTES = 32
MOST_MISSED = 4
"""A dead disk takes half a minute for each try: after so many no more are made."""


@dataclass(frozen=True)
class Before:
    """What was on the disk when it began to forget: where canaries were, and a digest of what stood beside each."""

    canaries: frozenset[int]
    beside: Mapping[int, bytes]


NOTHING = Before(canaries=frozenset(), beside={})


def mark(disk: DiskIdentity) -> bytes:
    """What every canary of that disk begins with."""
    return blake2b(f"canary {disk.wwn} {disk.serial} {disk.array_uuid}".encode(), digest_size=MARK_BYTES).digest()


def canary(disk: DiskIdentity, offset: int, length: int) -> bytes:
    """Nothing that a drive could make smaller, and nothing that any other place has."""
    start = mark(disk)
    return (start + shake_256(start + offset.to_bytes(8)).digest(length))[:length]


def plant(device: BlockDevice, step: EraseDisk) -> Before:
    """Write one to each sample's place, and see that it is on the medium. A place that cannot be read or written gets
    none; where nothing can be, the disk may be able to forget nevertheless, but then nothing proves it.
    """
    beside: dict[int, bytes] = {}
    planted: list[int] = []
    missed = 0
    for offset in step.sample_offsets:
        try:
            rest = device.read(offset, sample_length(step, offset))[canary_length(step, offset) :]
            device.write(offset, canary(step.disk, offset, canary_length(step, offset)))
        except DeviceError:
            missed += 1
            if missed == MOST_MISSED:
                break
            continue
        planted.append(offset)
        if any(rest):
            beside[offset] = digest(rest)
    try:
        device.flush()
        there = frozenset(offset for offset in planted if is_there(device, step, offset))
    except DeviceError:
        there = frozenset()
    return Before(canaries=there, beside=beside)


def is_there(device: BlockDevice, step: EraseDisk, offset: int) -> bool:
    """A canary, on the medium. Raises `DeviceError`."""
    length = canary_length(step, offset)
    return device.read(offset, length) == canary(step.disk, offset, length)


def canary_length(step: EraseDisk, offset: int) -> int:
    """Of the one at that place."""
    return min(CANARY_BYTES, step.disk.size_bytes - offset)


def look(device: BlockDevice, step: EraseDisk, before: Before) -> Samples:
    """Read the samples back: what is zero, what is as it was, what cannot be read."""
    zero = survived = unreadable = unknown = 0
    first_bad = None
    start = mark(step.disk)
    for offset in step.sample_offsets:
        bad: int | None
        try:
            data = device.read(offset, sample_length(step, offset))
        except DeviceError:
            unreadable, bad = unreadable + 1, offset
        else:
            bad = first_of_before(data, start, before.beside.get(offset))
            survived += bad is not None
            is_zero = data.count(0) == len(data)
            zero += is_zero
            unknown += not is_zero and offset not in before.canaries
            bad = None if is_zero else (bad if bad is not None else first_nonzero(data)) + offset
        first_bad = bad if first_bad is None else first_bad
    read = len(step.sample_offsets) - unreadable
    return Samples(
        canaries=len(before.canaries),
        read=read,
        zero=zero,
        survived=survived,
        unreadable=unreadable,
        unknown=unknown,
        first_bad=first_bad,
    )


def first_of_before(data: bytes, start: bytes, beside: bytes | None) -> int | None:
    """Where in a sample a canary is, or what stood beside it."""
    found = data.find(start)
    if found >= 0:
        return found
    rest = data[CANARY_BYTES:]
    return CANARY_BYTES if beside is not None and digest(rest) == beside else None


def first_nonzero(data: bytes) -> int:
    """Its place."""
    return len(data) - len(data.lstrip(b"\0"))


def sample_length(step: EraseDisk, offset: int) -> int:
    """As far as the disk goes."""
    return min(step.sample_bytes, step.disk.size_bytes - offset)


def digest(data: bytes) -> bytes:
    """To know it again."""
    return blake2b(data, digest_size=16).digest()

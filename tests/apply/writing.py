# SPDX-License-Identifier: Apache-2.0
"""`write_image` on a fake machine, and what must be on its disk then."""

from __future__ import annotations

from typing import Any

from agent.apply.image import write_image
from agent.host.fake import FakeHost, FaultPlan, Machine
from agent.model.disk import DiskIdentity
from agent.model.image import ImageRef
from agent.model.job import Result
from agent.model.plan import WriteImage
from tests.apply.disks import MIB, disk_of

HEAD = "/run/bms-agent/spool/r1.head"


def step_of(made: Machine, image: ImageRef, **changes: Any) -> WriteImage:
    """To the whole of the first disk, but for its last MiB."""
    disk = disk_of(made)
    sector = disk.logical_sector_bytes
    identity = DiskIdentity(
        path="/dev/sda", wwn=None, serial="S0", size_bytes=disk.size_bytes, logical_sector_bytes=sector
    )
    told = {"disk": identity, "image": image, "limit_bytes": disk.size_bytes - MIB, "hold_back_bytes": MIB}
    return WriteImage.model_validate(told | {"head_path": HEAD} | changes)


def write(made: Machine, image: ImageRef, faults: FaultPlan | None = None, **changes: Any) -> Result:
    """One process writes it."""
    return write_image(FakeHost.of(made, faults), step_of(made, image, **changes), lambda *_: None)


def head_of(made: Machine) -> bytes | None:
    """What was handed on to be written last; None if nothing was."""
    entry = made.tree.entries.get(HEAD)
    assert entry is None or isinstance(entry, bytes)
    return entry


def must_hold(made: Machine, image: bytes) -> None:
    """The image is durably there but for its head, which was handed on; the disk's own first MiB is zero."""
    disk = disk_of(made).durable
    assert head_of(made) == image[:MIB]
    assert disk.read(MIB, len(image) - MIB) == image[MIB:]
    assert not any(disk.read(0, MIB))
    assert not any(disk.read(len(image), MIB))


def must_be_unverified(made: Machine) -> None:
    """Nothing was handed on, and nothing is there to boot from."""
    disk = disk_of(made)
    assert head_of(made) is None
    assert not any(disk.durable.read(0, MIB)) and not any(disk.durable.read(disk.size_bytes - 33 * 512, 33 * 512))

# SPDX-License-Identifier: Apache-2.0
"""A disk that is there by several paths, of which nothing has made one: it is erased once.

Its names do not prove that: makers give one serial twice. So a mark is written by one path, and looked for by the
other; both are of what is to be erased.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b, shake_256

from agent.apply.erasing.sample import CANARY_BYTES
from agent.errors import AgentError
from agent.host.doors import Host
from agent.host.identity import boot_id
from agent.model.disk import DiskIdentity
from agent.model.erasing import Erasure
from agent.model.plan import DiskMustBe, EraseDisk, Wipe

Hold = Callable[[DiskMustBe], None]


def is_same(host: Host, one: EraseDisk | Wipe, other: EraseDisk | Wipe, hold: Hold) -> bool:
    """Whether both lead to one medium. Where that cannot be shown each is erased by itself, one after the other, and
    whatever is wrong with it is found then.
    """
    if not isinstance(one, EraseDisk) or not isinstance(other, EraseDisk):
        return False
    length = min(CANARY_BYTES, one.disk.size_bytes)
    try:
        for each in (one, other):
            hold(DiskMustBe(disk=each.disk))
        mark = marked(host, one.disk, length)
        with host.block.open_exclusive(other.disk.path) as device:
            return length > 0 and device.read(0, length) == mark
    except AgentError:
        return False


def marked(host: Host, disk: DiskIdentity, length: int) -> bytes:
    """What was written to it, and is nowhere else: of this boot, and this moment. Raises `HostError`."""
    words = f"{boot_id(host.files)} {disk.path} {host.clock.now().isoformat()} {host.clock.monotonic_s()}"
    mark = shake_256(blake2b(words.encode()).digest()).digest(length)
    with host.block.open_exclusive(disk.path) as device:
        device.write(0, mark)
        device.flush()
    return mark


def by_another_path(found: Erasure | AgentError, disk: DiskIdentity) -> Erasure | AgentError:
    """The same, of the same disk."""
    if isinstance(found, AgentError):
        return found
    told = f"{found.evidence}; {disk.path} is another path to the disk that was erased by {found.path}"
    return found.model_copy(update={"path": disk.path, "evidence": told})

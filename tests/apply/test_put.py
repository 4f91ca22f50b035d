# SPDX-License-Identifier: Apache-2.0
"""Images put into a store: what one of them wrote, another may count on."""

from __future__ import annotations

import pytest

from agent.apply.chunked.put import Destination, pack_disk
from agent.errors import HostError
from agent.host.fake import FakeHost, Machine
from tests.apply.chunks import OPTIONS, sparse_disk
from tests.apply.disks import MIB, machine
from tests.controller.chunks import Bytes

DISK = sparse_disk(4 * MIB, seed=7)
STORE = "/srv/images"


def into(name: str) -> Destination:
    """That store."""
    return Destination(name, STORE, OPTIONS, {})


def chunks(made: Machine) -> dict[str, object]:
    """What lies in it, but for manifests."""
    return {path: content for path, content in made.tree.entries.items() if path.startswith(f"{STORE}/chunks/")}


def test_a_failure_takes_nothing_from_another_image() -> None:
    """A pack writes chunks; another counts on them, and is done; the first fails: the other is whole, the first has no
    name."""
    made = machine(MIB)
    host = FakeHost.of(made)

    def fail_after_the_other(done: int, total: int | None, *_: object) -> None:
        pack_disk(host, Bytes(DISK), into("other"), lambda *_: None)
        raise HostError("writing a chunk", "no space left on device")

    with pytest.raises(HostError, match="no space"):
        pack_disk(host, Bytes(DISK), into("first"), fail_after_the_other)

    alone = machine(MIB)
    pack_disk(FakeHost.of(alone), Bytes(DISK), into("other"), lambda *_: None)
    assert chunks(made) == chunks(alone) != {}
    assert f"{STORE}/other.manifest" in made.tree.entries and f"{STORE}/first.manifest" not in made.tree.entries

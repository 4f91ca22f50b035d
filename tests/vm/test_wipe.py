# SPDX-License-Identifier: Apache-2.0
"""A wipe whose power goes, with what the disk had not flushed: begun again, it leaves nothing on the medium."""

from __future__ import annotations

from pathlib import Path
from random import Random
from threading import Thread

import pytest

from agent.apply.erasing import erase
from agent.errors import AgentError
from agent.host.fake.disk import SparseBytes
from agent.model.erasing import Erasure
from tests.apply.disks import MIB
from tests.apply.real import host
from tests.apply.test_erase import step
from tests.vm.device import device
from tests.vm.nbd import serving_disk
from tests.vm.test_deploy import WAIT_S, after, used

pytestmark = pytest.mark.root

DISK = 48 * MIB


class Wipe(Thread):
    """One, and what came of it."""

    def __init__(self, node: str) -> None:
        super().__init__(name="wipe", daemon=True)
        self._node = node
        self.came: Erasure | AgentError | None = None

    def run(self) -> None:
        """To its end."""
        try:
            self.came = erase(host(), step(self._node, DISK), lambda *_: None)
        except AgentError as error:
            self.came = error


def rented() -> SparseBytes:
    """A tenant's, all over the disk."""
    medium = used()
    medium.zero(DISK, 128 * MIB)
    for place in range(0, DISK, 4 * MIB):
        medium.write(place + MIB, b"what a tenant wrote" * 1000)
    return medium


@pytest.mark.parametrize("number", range(3))
def test_power_cut(tmp_path: Path, lot: Random, number: int) -> None:
    """A disk that went away was not erased; one that was has nothing but zeroes on its medium, cache or no cache."""
    with serving_disk(DISK, tmp_path / "nbd", rented()) as server:
        with device(server, tmp_path) as one:
            server.goes_silent = after(server, lot.randrange(DISK // 2))
            wipe = Wipe(one.node)
            wipe.start()
            assert server.silent.wait(WAIT_S), "nothing was written"
            one.pull_out()
            wipe.join(WAIT_S)
        assert isinstance(wipe.came, AgentError) or (wipe.came and wipe.came.outcome != "erased"), wipe.came
        server.disk.cut_power(lot)
        medium = server.disk.durable
    (tmp_path / "again").mkdir()
    with serving_disk(DISK, tmp_path / "again/nbd", medium) as server, device(server, tmp_path / "again") as one:
        wipe = Wipe(one.node)
        wipe.run()
        assert isinstance(wipe.came, Erasure) and wipe.came.outcome == "erased", wipe.came
        assert server.disk.durable.blank

# SPDX-License-Identifier: Apache-2.0
"""The operator's command on a real kernel: a network comes about, is proven, and left alone when it is as desired."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from agent.host.netlink import RealNetlink
from agent.host.probe import RealProbe
from tests.network.world import CONTROLLER, PORT, Server

pytestmark = pytest.mark.root


def test_apply_then_rest(server: Server) -> None:
    """A bare server gets its network, reaches its controller, and a second apply touches nothing: the kernel has
    nothing to tell while it runs.
    """
    first = server.apply(server.usual())
    assert first.returncode == 0 and "done, and proven" in first.stdout, first.stderr
    assert server.inside(lambda: RealProbe().connects(CONTROLLER, PORT, 2))
    before = server.look()

    with ExitStack() as stack:
        watch = server.inside(lambda: stack.enter_context(RealNetlink().watching()))
        server.ip("link", "set", "eth1", "mtu", "1400")
        server.ip("link", "set", "eth1", "mtu", "1500")
        assert watch.wait(1)
        second = server.apply(server.usual())
        heard = watch.wait(0.1)

    assert second.returncode == 0 and "nothing was touched" in second.stdout, second.stderr
    assert not heard and server.look() == before
    assert server.record.pending() is None and server.record.held().config == server.usual()

# SPDX-License-Identifier: Apache-2.0
"""Links as the kernel tells them, put together."""

from __future__ import annotations

import pytest

from agent.host.rtnetlink.link import VRF_TABLE, RawLink
from agent.host.rtnetlink.tables import link_states
from agent.model.network import NetworkState


def raw(kind: str, mtu: int) -> RawLink:
    """A link with nothing special."""
    data = {VRF_TABLE: (101).to_bytes(4, "little")} if kind == "vrf" else {}
    mac = "02:00:00:00:00:01"
    return RawLink(2, "one", kind, False, True, True, mtu, mac, None, 0, 0, data, {})


@pytest.mark.parametrize(
    ("kind", "mtu", "desirable"), [("vrf", 65575, None), ("ethernet", 576, None), ("ethernet", 9000, 9000)]
)
def test_what_is_shown_can_be_read(kind: str, mtu: int, desirable: int | None) -> None:
    """An MTU that nobody can desire is told of the link, but is no part of how it would be desired."""
    state = NetworkState(links=link_states([raw(kind, mtu)], [], []))
    (link,) = NetworkState.model_validate_json(state.model_dump_json()).links

    assert link.config is not None
    assert (link.mtu, link.config.mtu) == (mtu, desirable)

# SPDX-License-Identifier: Apache-2.0
"""Events of links, as they differ from one look to the next."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from agent.job.watcher import LinkWatcher
from agent.model.network import BondPort, BondState, LinkState, NetworkState

AGREED, ALONE = 0x3F, 0x07


def bond(**states: int) -> NetworkState:
    """With these legs, by their LACP states; a carrier on each."""
    ports = tuple(BondPort(name=name, link_up=True, active=True, actor_state=state) for name, state in states.items())
    return NetworkState(links=(link("bond0", "bond", bond=BondState(ports=ports)),))


def link(name: str, kind: str = "ethernet", *, carrier: bool = True, bond: BondState | None = None) -> LinkState:
    """One that is up."""
    return LinkState(name=name, index=2, kind=kind, mac="", carrier=carrier, up=True, mtu=1500, bond=bond)


@pytest.mark.parametrize(
    ("was", "now", "kind", "words"),
    [
        (bond(a=AGREED, b=AGREED), bond(a=AGREED, b=ALONE), "bond_leg_lost", "bond0 has lost its leg b"),
        (bond(a=AGREED, b=ALONE), bond(a=AGREED, b=AGREED), "bond_leg_back", "bond0 has its leg b back"),
        (bond(a=AGREED, b=AGREED), bond(a=AGREED), "bond_leg_lost", "b is no port of bond0 any more"),
        (
            NetworkState(links=(link("a"),)),
            NetworkState(links=(link("a", carrier=False),)),
            "link_down",
            "a has lost its carrier",
        ),
    ],
)
def test_what_happens_is_told_once(was: NetworkState, now: NetworkState, kind: str, words: str) -> None:
    """To the log, with its kind, and to who asks."""
    watcher = LinkWatcher()
    assert watcher.look(was) == ()
    with capture_logs() as logged:
        assert watcher.look(now) == (words,)
        assert watcher.look(now) == ()

    assert [(one["event"], one["kind"]) for one in logged] == [(words, kind)]

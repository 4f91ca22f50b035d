# SPDX-License-Identifier: Apache-2.0
"""Changes that do not work are taken back: because the proof fails, or because whoever made them dies on the way."""

from __future__ import annotations

import time

import pytest

from agent.errors import ProofFailed
from agent.model.network import NetworkState
from tests.machine.inside import differences, normalised
from tests.machine.networks import LACP, bonded, vlan, with_links
from tests.machine.wired import Wired

pytestmark = pytest.mark.machine

NOBODY = "10.9.0.99"
GUARD_S, REVERT_S = 120, 60
WRONG = with_links(bonded(NOBODY, mode="active-backup", primary="nic1"), vlan("more", 7, addresses=["10.7.0.1/24"]))
"""Another mode, one VLAN more, and a gateway that is not there."""


def is_back(wired: Wired, before: NetworkState) -> bool:
    """Whether all is as it was."""
    return normalised(wired.show()) == normalised(before)


def test_a_gateway_that_does_not_answer(wired: Wired) -> None:
    """The change is taken back before the command ends, which says why; nothing is left of it."""
    wired.change(bonded(**LACP))
    before = wired.show()
    said = wired.apply(WRONG, status=ProofFailed.exit_status)
    assert ProofFailed.code in said and f"gateway {NOBODY} does not answer ARP on bond0" in said
    after = wired.show()
    assert normalised(after) == normalised(before), differences(before, after)


def test_a_command_that_is_killed(wired: Wired) -> None:
    """While it waits for its proof, kill -9: within seconds the guard has taken all of it back, and is gone."""
    before = wired.show()
    pid = wired.ask("begin", "network", "apply", wired.file(WRONG), "--no-persist")
    wired.within(GUARD_S, "the change", lambda: wired.show().link("more") is not None)
    time.sleep(1)
    wired.shell(f"kill -9 {pid}")
    wired.within(REVERT_S, "the network as it was", lambda: is_back(wired, before))
    assert wired.ask("end", pid)[0] == -9
    assert "network-change.json" not in wired.shell("ls /var/lib/bms-agent")
    assert wired.apply(bonded(**LACP)) == "nothing to do\nnothing was touched\n"


def test_nothing_is_left(wired: Wired) -> None:
    """An empty network takes away all that was made and sets the NICs down; what is somebody else's stays."""
    said = wired.apply({})
    assert said.endswith("done, and proven\n")
    state = wired.show()
    assert {link.kind for link in state.links} == {"ethernet"}
    assert [nic.up for nic in state.nics] == [True, False, False]
    assert [str(one) for one in state.nics[0].addresses if one.version == 4] == ["10.0.2.15/24"]
    assert state.routes == () and state.rules == ()
    assert wired.apply({}) == "nothing to do\nnothing was touched\n"

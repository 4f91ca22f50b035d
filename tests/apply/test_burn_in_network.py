# SPDX-License-Identifier: Apache-2.0
"""Receiving a partner's load: it has an end, whatever the partner does."""

from __future__ import annotations

from threading import Event

import pytest

from agent.apply.burn_in.network import DATA, HEADER, MAGIC, Tally, noise_of, of_block, receive
from agent.errors import BurnInFailed
from agent.host.fake import FakeHost, Machine
from agent.model.burn_in import NetworkLoad
from tests.apply.disks import machine


class Endless:
    """A connection that brings good blocks for ever; a minute each."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._number = 0

    def fill(self, view: memoryview) -> None:
        """The next block."""
        self._machine.uptime_s += 60
        HEADER.pack_into(view, 0, MAGIC, DATA, self._number)
        view[HEADER.size :] = of_block(noise_of(), self._number)
        self._number += 1

    def send(self, view: memoryview) -> None:
        """It is gone."""


def test_a_partner_that_does_not_end() -> None:
    """What it sends is good, and there is no end to it: that is a failure, which says what to do."""
    fake = FakeHost.of(machine())
    load = NetworkLoad(role="reader", partner="192.0.2.1", seconds=600, patience_s=600)
    with pytest.raises(BurnInFailed, match="still sends after 1200 s, and was to stop after 600 s") as caught:
        receive(fake, load, Endless(fake.machine), noise_of(), Tally(), Event())

    assert "runtime" in str(caught.value.hint)

# SPDX-License-Identifier: Apache-2.0
"""The door to the BMC, as far as it can be tried without one: what the kernel is given, and a machine without."""

from __future__ import annotations

import ctypes

import pytest

from agent.errors import DeviceError
from agent.host.ipmi import RECEIVE, SEND, Message, RealIpmi, Received, Request


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="the numbers are those of 64 bits")
def test_numbers_of_the_kernel() -> None:
    """The ioctls have the structures' sizes in their numbers: IPMICTL_SEND_COMMAND and IPMICTL_RECEIVE_MSG_TRUNC."""
    assert (SEND, RECEIVE) == (0x8028690D, 0xC030690B)
    assert [Message.data.offset, Request.message.offset, Received.number.offset] == [8, 24, 24]


def test_a_machine_without_a_bmc() -> None:
    """It says so, and asking it names what was asked."""
    door = RealIpmi()
    if door.is_there():
        pytest.skip("this machine has a BMC")

    with pytest.raises(DeviceError, match=r"netfn 0xc, command 0x2, data 01030000.*No such file"):
        door.ask(0x0C, 0x02, bytes([1, 3, 0, 0]))

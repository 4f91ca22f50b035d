# SPDX-License-Identifier: Apache-2.0
"""The BMC's addresses: IPMI's answers as bytes, and what is made of them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from agent.errors import DeviceError
from agent.host.fake import FakeHost, FaultPlan, Machine, Output, Tree, failing
from agent.inventory.bmc import bmc
from agent.model.bmc import Bmc
from tests.link.equipped import GOOD, configured, dual_stack, lan, v6_entry

MAC = "90:40:09:00:00:01"


def host(answers: dict[bytes, bytes] | None, faults: FaultPlan | None = None) -> FakeHost:
    """A machine whose BMC says this."""
    machine = Machine.of(Tree())
    machine.bmc = answers
    return FakeHost.of(machine, faults)


def test_both_families() -> None:
    """The first address in use of each; a dynamic one before a static one; a link-local one leads nowhere."""
    assert bmc(host(dual_stack())) == Bmc(v4=IPv4Address("192.0.2.200"), v6=IPv6Address("2001:db8::bc"), mac=MAC)


def test_the_first_channel_with_an_address_counts() -> None:
    """LAN is channel 1 with most vendors, and 8 with some; a channel without an address has no MAC that matters."""
    answers = configured(1, "0.0.0.0", "90:40:09:00:00:ff") | configured(8, "192.0.2.8", MAC)

    assert bmc(host(answers)) == Bmc(v4=IPv4Address("192.0.2.8"), mac=MAC)


def test_a_bmc_that_is_not_configured() -> None:
    """It is there and has no address, which is not the same as no BMC."""
    assert bmc(host(configured(1, "0.0.0.0", MAC))) == Bmc()
    assert bmc(host({})) == Bmc()


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (v6_entry(0x80, "2001:db8::5"), "2001:db8::5"),
        (v6_entry(0x00, "2001:db8::5"), None),
        (v6_entry(0x80, "2001:db8::5", status=1), None),
        (v6_entry(0x80, "::"), None),
        (v6_entry(0x80, "fe80::1"), None),
        (v6_entry(0x80, "2001:db8::5")[:-1], None),
        (b"\xc9", None),
    ],
    ids=["in use", "not enabled", "not active", "none", "link-local", "cut off", "refused"],
)
def test_static_v6(entry: bytes, expected: str | None) -> None:
    """A static address counts if it is enabled, active, and an address."""
    v6 = {lan(1, 51): GOOD + b"\x01", lan(1, 55): GOOD + b"\x01\x00\x01", lan(1, 56): entry}
    found = bmc(host(configured(1, "0.0.0.0", MAC, v6)))

    assert found == (Bmc() if expected is None else Bmc(v6=IPv6Address(expected), mac=MAC))


def test_v6_that_is_switched_off() -> None:
    """Addresses that are stored and not in force are not told."""
    answers = dual_stack() | {lan(1, 51): GOOD + b"\x00"}

    assert bmc(host(answers)) == Bmc(v4=IPv4Address("192.0.2.200"), mac=MAC)


def test_a_mac_of_zeroes() -> None:
    """It is none."""
    assert bmc(host(configured(1, "192.0.2.1", "00:00:00:00:00:00"))) == Bmc(v4=IPv4Address("192.0.2.1"))


def test_no_bmc() -> None:
    """Where the drivers find none, there is none; the driver that finds none does not load."""
    bare = host(None)
    bare.machine.programs["modprobe"] = failing(1, "No such device")

    assert bmc(bare) is None
    assert bare.machine.commands == [("modprobe", "--all", "--quiet", "ipmi_si", "ipmi_devintf")]


def test_drivers_are_loaded() -> None:
    """Nothing loads the driver of /dev/ipmi0 by itself; its device may take a moment."""
    late = host(None)

    def modprobe(machine: Machine, argv: object, stdin: str | None) -> Output:
        machine.bmc = dual_stack()
        return Output()

    late.machine.programs["modprobe"] = modprobe

    found = bmc(late)
    assert found is not None and found.mac == MAC


def test_a_bmc_that_fails() -> None:
    """Silence is an error: nothing is guessed from half the answers."""
    asked = host(dual_stack())
    bmc(asked)
    for number, call in enumerate(asked.faults.calls, 1):
        if call.startswith("ipmi.ask"):
            with pytest.raises(DeviceError):
                bmc(host(dual_stack(), FaultPlan(at=number)))

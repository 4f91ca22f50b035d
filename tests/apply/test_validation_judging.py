# SPDX-License-Identifier: Apache-2.0
"""What hardware says of itself, judged: each state with its code and figures, and silence is never taken for health."""

from __future__ import annotations

from typing import Any

import pytest

from agent.apply.validation.bus import short_of
from agent.apply.validation.disks import judged_health, judged_link, judged_self_tests
from agent.apply.validation.links import judged_link as judged_nic
from agent.apply.validation.links import judged_neighbour, mbps, state
from agent.apply.validation.trials import Bench
from agent.inventory.hardware import take_in_full
from agent.model.fact import Unknown
from agent.model.hardware import Hardware
from agent.model.hardware.device import PciInFull, PciLink
from agent.model.hardware.disk import DiskHealth, DiskInFull, SelfTest
from agent.model.hardware.nic import LinkModes, NicInFull
from agent.model.validation import codes
from tests.apply.validating import made, step, timed, trials
from tests.hardware import NIC, NVME, SSD
from tests.model.hardware import answers

SILENT = "it has no link of its own that tells"
WHY = Unknown(unknown="no answer within 7 s")
WIDE = PciLink(speed_gts=16, width_lanes=4, best_speed_gts=16, best_width_lanes=4)
NARROW = PciLink(speed_gts=8, width_lanes=2, best_speed_gts=16, best_width_lanes=4)


def seen(**otherwise: Any) -> Hardware:
    """A machine, of which that is otherwise."""
    return take_in_full(timed(made(0))).model_copy(update=otherwise)


def disk(**facts: Any) -> DiskInFull:
    """A SATA disk of which that is known."""
    return DiskInFull.model_validate(dict(SSD) | facts)


@pytest.mark.parametrize(
    ("health", "expected", "said"),
    [
        (DiskHealth(passed=True, used_percent=3), ("passed", codes.PASSED), ""),
        (DiskHealth(passed=True, used_percent=90), ("passed", codes.PASSED), ""),
        (DiskHealth(passed=True, used_percent=91), ("degraded", codes.DISK_WORN), "91 % of its endurance are used"),
        (DiskHealth(passed=True, pending_sectors=2), ("degraded", codes.DISK_FAILING), "2 sectors wait to be replaced"),
        (DiskHealth(passed=None, media_errors=1), ("degraded", codes.DISK_FAILING), "1 errors of its medium"),
        (DiskHealth(passed=False), ("failed", codes.DISK_FAILING), "its own verdict is: failed"),
        (DiskHealth(passed=False, warnings=("read only",)), ("failed", codes.DISK_FAILING), "read only"),
        (DiskHealth(), ("skipped", codes.UNKNOWN), "it tells neither a verdict nor a figure"),
        (WHY, ("skipped", codes.UNKNOWN), "no answer within 7 s"),
        (None, ("skipped", codes.NOT_APPLICABLE), "it does not tell how it is"),
    ],
)
def test_health(health: object, expected: tuple[str, str], said: str) -> None:
    """A disk's own verdict, what speaks against it before that turns bad, and what nobody knows."""
    found = judged_health(trials("disk.health")[0], disk(health=health))

    assert ((found.state, found.code), found.told) == (expected, said)
    assert found.subject == "/dev/sda (S1)"


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        ((SelfTest(kind="short", outcome="passed", at_hours=9),), codes.PASSED),
        ((SelfTest(kind="short", outcome="failed", at_hours=9),), codes.SELF_TEST_FAILED),
        ((SelfTest(kind="short", outcome="ended"),), codes.UNKNOWN),
        ((), codes.NOT_APPLICABLE),
        (None, codes.NOT_APPLICABLE),
        (WHY, codes.UNKNOWN),
    ],
)
def test_self_tests(tests: object, expected: str) -> None:
    """None done, none finished, and none known are three things; only one that has passed passes."""
    found = judged_self_tests(trials("disk.self_test")[0], disk(self_tests=tests))

    assert found.code == expected and (found.state == "passed") == (expected == codes.PASSED)


@pytest.mark.parametrize(
    ("one", "link", "expected", "said"),
    [
        (disk(link_gbps=6.0, best_link_gbps=6.0), None, codes.PASSED, ""),
        (disk(link_gbps=3.0, best_link_gbps=6.0), None, codes.DISK_LINK, "3 of 6 Gbit/s"),
        (disk(), None, codes.UNKNOWN, "it does not tell its link's speed"),
        (disk(transport="sas"), WIDE, codes.NOT_APPLICABLE, SILENT),
        (DiskInFull(**dict(NVME), pci_address="0000:01:00.0"), WIDE, codes.PASSED, ""),
        (DiskInFull(**dict(NVME), pci_address="0000:01:00.0"), NARROW, codes.DISK_LINK, "2 of 4 lanes, 8 of 16 GT/s"),
        (DiskInFull(**dict(NVME), pci_address="0000:02:00.0"), NARROW, codes.NOT_APPLICABLE, SILENT),
    ],
)  # fmt: skip
def test_links_of_disks(one: DiskInFull, link: PciLink | None, expected: str, said: str) -> None:
    """SATA by its generation, NVMe by its lanes; what tells nothing is not passed."""
    found = judged_link(trials("disk.link")[0], seen(pci_devices=(function(link),)), one)

    assert (found.code, found.told) == (expected, said)


def function(link: PciLink | None) -> PciInFull:
    """What sits at 0000:01:00.0."""
    return PciInFull(
        address="0000:01:00.0", vendor="8086", product="1", device_class="010802", revision="00", numa_node=0, link=link
    )


def test_a_link_that_tells_nothing_is_short_of_nothing() -> None:
    """Of a virtual machine's devices many have no lanes."""
    assert short_of(PciLink()) is None and short_of(WIDE) is None
    assert short_of(PciLink(width_lanes=8, best_width_lanes=16)) == "8 of 16 lanes"


def nic(**facts: Any) -> NicInFull:
    """A NIC with a carrier."""
    return NicInFull.model_validate(dict(NIC) | {"pci_address": "0000:01:00.0", "speed_mbps": 25000} | facts)


MODES = LinkModes(duplex="full", supported=("10000baseCR/Full", "25000baseCR/Full"))


@pytest.mark.parametrize(
    ("one", "link", "expected"),
    [
        (nic(link=MODES), WIDE, ("passed", codes.PASSED, "")),
        (nic(link=MODES, speed_mbps=10000), WIDE, ("degraded", codes.NIC_LINK, "10000 of 25000 Mbit/s")),
        (nic(link=LinkModes(duplex="half")), None, ("degraded", codes.NIC_LINK, "half duplex")),
        (nic(link=MODES), NARROW, ("degraded", codes.NIC_BUS, "2 of 4 lanes, 8 of 16 GT/s")),
        (nic(carrier=False), WIDE, ("skipped", codes.NO_CARRIER, "no carrier")),
        (nic(carrier=WHY), WIDE, ("skipped", codes.NO_CARRIER, "unknown (no answer within 7 s)")),
        (nic(link=None, speed_mbps=None), None, ("passed", codes.PASSED, "")),
    ],
)
def test_links_of_nics(one: NicInFull, link: PciLink | None, expected: tuple[str, str, str]) -> None:
    """The cable's side and the bus' side, each against what it is capable of."""
    found = judged_nic(trials("network.link")[0], seen(pci_devices=(function(link),)), one)

    assert (found.state, found.code, found.told) == expected


def test_as_many_carriers_as_there_must_be() -> None:
    """One port without a cable is no fault; fewer with one than the request says is."""
    one = timed(made(0))
    hardware = seen(nics=(nic(name="eno1", link=MODES), nic(name="eno2", carrier=False)))
    bench = Bench(one, step("network.link"), None, None, hardware, lambda _: None)  # type: ignore[arg-type]

    assert [each.state for each in state(bench, trials("network.link")[0])] == ["passed", "skipped"]
    short, *_ = state(bench, trials("network.link", links=2)[0])
    assert (short.state, short.code) == ("failed", codes.NO_CARRIER)
    assert short.told == "1 of 2 NICs have a carrier, and 2 must have one"


def test_who_is_at_the_other_end() -> None:
    """A switch by its name, port and VLAN; silence and nonsense say nothing."""
    (one,) = trials("network.neighbour")
    unit = answers.lldp((1, b"\4\x02\x00\x00\x00\x00\x01"), (2, b"\5Ethernet1/7"), (3, b"\0\x78"), (5, b"leaf-3a"))

    assert judged_neighbour(one, "eno1", unit, 35).figures == {"switch": "leaf-3a", "port": "Ethernet1/7"}
    assert judged_neighbour(one, "eno1", None, 35).told == "nobody spoke LLDP in 35 s"
    assert judged_neighbour(one, "eno1", unit[:5], 35).state == "skipped"


def test_speeds_of_modes() -> None:
    """By their names; what is no mode has none."""
    assert [mbps(mode) for mode in ("25000baseCR/Full", "1000baseT/Half", "mode 95", "Autoneg")] == [25000, 1000, 0, 0]

# SPDX-License-Identifier: Apache-2.0
"""What limits a write."""

from __future__ import annotations

import pytest

from agent.apply.meter import Meter, Stage, link_speed_bits_per_s
from agent.host.fake import FakeHost, Machine, Tree
from tests.apply.disks import machine


def measured(busy: dict[Stage, tuple[float, int]], lanes: dict[Stage, int], link: int | None = None) -> Meter:
    """A meter after ten seconds."""
    made = machine()
    meter = Meter(FakeHost.of(made).clock, link)
    meter.lanes |= lanes
    for stage, (seconds, size) in busy.items():
        meter.add(stage, seconds, size)
    made.uptime_s += 10
    return meter


@pytest.mark.parametrize(
    ("busy", "lanes", "link", "said"),
    [
        ({Stage.DISK: (9, 5_000_000_000), Stage.SOURCE: (2, 1)}, {}, None, "the disk, 500 MB/s"),
        ({Stage.SOURCE: (9, 1_180_000_000)}, {}, 10**9, "this server's link, 0.94 Gbit/s"),
        ({Stage.SOURCE: (9, 1_180_000_000)}, {}, 10**10, "the image's source, 0.94 Gbit/s"),
        ({Stage.SOURCE: (9, 1_180_000_000)}, {}, None, "the image's source, 0.94 Gbit/s"),
        ({Stage.DECODE: (9, 2_000_000_000), Stage.DISK: (16, 1)}, {Stage.DISK: 2}, None, "unpacking, 200 MB/s"),
        ({Stage.VERIFY: (9, 2_000_000_000)}, {}, None, "verifying, 200 MB/s"),
    ],
)
def test_limit(busy: dict[Stage, tuple[float, int]], lanes: dict[Stage, int], link: int | None, said: str) -> None:
    """The stage that was busiest for each of its threads is named; the link only when it is nearly full."""
    assert measured(busy, lanes, link).limit() == said


def test_result() -> None:
    """The report has bytes and each stage's share of the time."""
    result = measured({Stage.DISK: (10, 700), Stage.SOURCE: (2.5, 300)}, {Stage.DISK: 2}).result()

    assert result["fetched_bytes"] == 300
    assert result["written_bytes"] == 700
    assert (result["disk_percent"], result["source_percent"], result["decode_percent"]) == (50, 25, 0)


def test_what_fails_is_not_counted() -> None:
    """Bytes that were not written are not called written."""
    meter = measured({}, {})
    with pytest.raises(ValueError, match="no"), meter.busy(Stage.DISK, 100):
        raise ValueError("no")
    assert meter.bytes_of(Stage.DISK) == 0


def test_a_disk_that_does_not_answer() -> None:
    """It is said what waits, and since when, whatever was busy before; once it has answered, or failed, it is as ever.
    A server that is silent is none of it.
    """
    made = machine()
    meter = Meter(FakeHost.of(made).clock)
    meter.add(Stage.SOURCE, 20, 10**9)
    with meter.busy(Stage.DISK, 10**6):
        made.uptime_s += 30
        assert "no answer" not in meter.limit()
        made.uptime_s += 11
        assert meter.limit() == "the disk, no answer for 41 s" == meter.result()["limited_by"]
    assert meter.limit().startswith("the disk, ") and "MB/s" in meter.limit()
    with pytest.raises(ValueError, match="no"), meter.busy(Stage.DISK):
        raise ValueError("no")
    with meter.busy(Stage.SOURCE):
        made.uptime_s += 3600
        assert "no answer" not in meter.limit()


def test_link_speed() -> None:
    """The fastest real NIC with a carrier; a bridge, a link that is down, an unknown speed do not count."""
    files: dict[str, str] = {}
    for name, carrier, speed in [("eth0", "1", "1000"), ("eth1", "0", "100000"), ("eth2", "1", "-1")]:
        files |= {f"/sys/class/net/{name}/{fact}": f"{value}\n" for fact, value in
                  {"carrier": carrier, "speed": speed, "device/vendor": "x"}.items()}  # fmt: skip
    files |= {"/sys/class/net/br0/carrier": "1\n", "/sys/class/net/br0/speed": "40000\n"}

    assert link_speed_bits_per_s(FakeHost.of(Machine.of(Tree.of(files))).files) == 1_000_000_000
    assert link_speed_bits_per_s(FakeHost.of(machine()).files) is None

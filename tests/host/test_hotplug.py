# SPDX-License-Identifier: Apache-2.0
"""Hardware that comes and goes, as the kernel tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.host.hotplug import hearing, is_plugging


@dataclass(frozen=True)
class Event:
    """One of udev's."""

    action: str
    subsystem: str
    device_type: str | None
    device_path: str


NVME = "/devices/pci0000:00/0000:00:06.0/nvme/nvme0/nvme0n1"
NIC = "/devices/pci0000:00/0000:00:03.0/net/eno1"


@pytest.mark.parametrize(
    ("event", "matters"),
    [
        (Event("add", "block", "disk", NVME), True),
        (Event("remove", "net", None, NIC), True),
        (Event("change", "block", "disk", NVME), False),
        (Event("add", "block", "partition", f"{NVME}/nvme0n1p1"), False),
        (Event("add", "block", "disk", "/devices/virtual/block/loop7"), False),
        (Event("remove", "net", "bridge", "/devices/virtual/net/br0"), False),
    ],
)
def test_what_is_hardware(event: Event, *, matters: bool) -> None:
    """Not what a server makes of it all day."""
    assert is_plugging(event) is matters


@pytest.mark.root
def test_the_kernel_tells() -> None:
    """A disk that is said to have come (sysfs, Documentation/ABI/testing/sysfs-uevent) is heard of, once; loops and the
    loopback device are not.
    """
    disks = [one for one in sorted(Path("/sys/block").iterdir()) if "/virtual/" not in str(one.resolve())]
    if not disks:
        pytest.skip("this machine has no disk of its own")
    with hearing("kernel") as heard:
        Path("/sys/class/net/lo/uevent").write_text("add")
        assert not heard.wait(0.2)
        (disks[0] / "uevent").write_text("change")
        assert not heard.wait(0.2)
        (disks[0] / "uevent").write_text("add")
        assert heard.wait(5)
        assert not heard.wait(0.2)

# SPDX-License-Identifier: Apache-2.0
"""Clock, counters, udev and names of the running system."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest

from agent.errors import HostError, ToolMissing
from agent.host.clock import RealClock
from agent.host.counters import RealCounters, shown
from agent.host.fake import FakeHost
from agent.host.files import RealFiles
from agent.host.identity import boot_id, hostname, machine_id
from agent.host.run import RealRun
from agent.host.udev import RealUdev, settle_argv


def test_waiting_ends_by_time_or_by_stop() -> None:
    """A wait is over when its time is, or at once when stop is set; it says which."""
    stop = Event()
    assert RealClock().wait(stop, 0.001) is False
    stop.set()
    assert RealClock().wait(stop, 60.0) is True


def test_time_has_a_zone() -> None:
    """Times are in UTC and say so; the monotonic clock does not go back."""
    clock = RealClock()
    assert str(clock.now().tzinfo) == "UTC"
    assert clock.monotonic_s() <= clock.monotonic_s()


def test_counters_agree_with_proc() -> None:
    """psutil's totals are the kernel's."""
    counters = RealCounters(RealFiles())
    lines = Path("/proc/meminfo").read_text().splitlines()

    assert f"MemTotal: {counters.memory_total_bytes() // 1024} kB" in [" ".join(line.split()) for line in lines]
    assert counters.threads() >= (counters.cores() or 1) >= 1
    assert all(device.startswith("/dev/") and place.startswith("/") for device, place in counters.mounts())


def test_mount_point_that_is_no_text() -> None:
    """A mount point whose name is no UTF-8 can still be reported."""
    assert shown("/mnt/caf\udce9") == "/mnt/caf\ufffd"
    assert shown("/mnt/café") == "/mnt/café"


def test_swaps() -> None:
    """Devices that are swapped to are told, files are not: their disk is mounted anyway."""
    table = "Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 1 0 -2\n/swapfile file 1 0 -3\n"

    assert RealCounters(FakeHost.with_files({"/proc/swaps": table}).files).swaps() == ("/dev/sda2",)


@pytest.mark.commands
def test_udev_knows_the_block_devices() -> None:
    """libudev lists what sysfs lists, each with the kernel's own properties."""
    devices = RealUdev(RealRun()).block_devices()

    assert set(devices) == {path.name for path in Path("/sys/class/block").iterdir()}
    assert all("DEVTYPE" in properties for properties in devices.values())


@pytest.mark.parametrize(("timeout_s", "argument"), [(30.0, "30"), (0.2, "1"), (1.6, "2")])
def test_settle_waits_whole_seconds(timeout_s: float, argument: str) -> None:
    """udevadm gets whole seconds and never 0, which would not wait."""
    assert settle_argv(timeout_s) == ["udevadm", "settle", f"--timeout={argument}"]


def test_settle_without_udev() -> None:
    """A machine without udevadm says so."""
    host = FakeHost.with_files({})
    del host.machine.programs["udevadm"]
    with pytest.raises(ToolMissing, match="udevadm is not installed"):
        RealUdev(host.run).settle()


def test_names_of_the_system() -> None:
    """Names come without their newline; an empty one is an error, as in an image that was not booted yet."""
    host = FakeHost.with_files(
        {
            "/proc/sys/kernel/random/boot_id": "b-1\n",
            "/proc/sys/kernel/hostname": "node\n",
            "/etc/machine-id": "\n",
        }
    )

    assert (boot_id(host.files), hostname(host.files)) == ("b-1", "node")
    with pytest.raises(HostError, match="reading /etc/machine-id: it is empty"):
        machine_id(host.files)

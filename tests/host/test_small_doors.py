# SPDX-License-Identifier: Apache-2.0
"""Clock, counters, udev and names of the running system."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest

from agent.errors import HostError, ToolMissing
from agent.host.clock import RealClock
from agent.host.counters import RealCounters
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


def test_mounts(tmp_path: Path) -> None:
    """Block devices that are mounted, by their nodes and places; names may have blanks, be no UTF-8, or be the
    kernel's word for what it started from.
    """
    rows = (
        rb"22 1 8:1 / / rw,relatime - ext4 /dev/root rw",
        rb"23 22 0:20 / /proc rw shared:5 - proc proc rw",
        rb"24 22 253:0 / /mnt/a\040b rw shared:6 master:1 - xfs /dev/mapper/v\040g rw",
        b"25 22 8:17 / /mnt/caf\xe9 rw - vfat /dev/sdb1 rw",
        rb"26 22 0:30 / /mnt/at\040-\040/dev/no rw - tmpfs tmpfs rw",
        rb"27 22 0:31 / /nameless rw - tmpfs  rw",
    )
    for at, content in {
        "proc/self/mountinfo": b"\n".join(rows) + b"\n",
        "sys/devices/pci/sda/sda1/dev": b"8:1",
    }.items():
        (tmp_path / at).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / at).write_bytes(content)
    (tmp_path / "sys/dev/block").mkdir(parents=True)
    (tmp_path / "sys/dev/block/8:1").symlink_to("../../devices/pci/sda/sda1")

    assert RealCounters(RealFiles(str(tmp_path))).mounts() == (
        ("/dev/sda1", "/"),
        ("/dev/mapper/v g", "/mnt/a b"),
        ("/dev/sdb1", "/mnt/caf\ufffd"),
    )


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

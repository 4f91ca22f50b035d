# SPDX-License-Identifier: Apache-2.0
"""The door to the udev database: what udev's rules left of each device, in /run/udev/data, beside the kernel's uevent.

In: nothing. Out: properties, as libudev has them. It must not guess where udev says nothing.

It reads the files that libudev reads (systemd, src/libsystemd/sd-device/sd-device.c, device_read_db_internal), since
libudev takes a call for each word of each device, a third of a whole inventory, and a compiler's tools to be found. A
database of another form has no line that says when udev was done with a device: then its properties count for nothing.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from agent.errors import HostError
from agent.host import reading
from agent.host.doors import Run
from agent.host.network_doors import Watch

DATABASE = "/run/udev/data"
PLACES = ("/sys/class/{}", "/sys/bus/{}/devices")
GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO})
DOING = "reading the udev database"


class RealUdev:
    """`doors.Udev` over the files of sysfs and udev."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def block_devices(self) -> Mapping[str, Mapping[str, str]]:
        """Kernel name → properties, of disks and partitions."""
        return self.devices("block")

    def devices(self, subsystem: str) -> Mapping[str, Mapping[str, str]]:
        """Kernel name → properties, of one subsystem's devices."""
        try:
            found = ((place, reading.names(place)) for place in (place.format(subsystem) for place in PLACES))
            place, names = next(((place, names) for place, names in found if names), ("", []))
        except OSError as error:
            raise failed(error) from error
        return OnDemand(subsystem, {name: f"{place}/{name}" for name in names})

    def settle(self, timeout_s: float = 30.0) -> None:
        """Wait until udev has handled every event so far."""
        self._run(settle_argv(timeout_s), timeout_s=timeout_s + 5)

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """Hears from now on of disks and NICs that come and go."""
        from agent.host.hotplug import hearing  # libudev: for those who stay

        with hearing() as heard:
            yield heard


class OnDemand(Mapping[str, Mapping[str, str]]):
    """Devices that were there, each with its properties as they were when they were asked for first: of most, which are
    loops and the like, nobody wants to know. One that is gone meanwhile has none.
    """

    def __init__(self, subsystem: str, places: Mapping[str, str]) -> None:
        self._subsystem = subsystem
        self._places = places
        self._read: dict[str, Mapping[str, str]] = {}

    def __getitem__(self, name: str) -> Mapping[str, str]:
        if name not in self._read:
            place = self._places[name]
            try:
                self._read[name] = properties(self._subsystem, name, place)
            except OSError as error:
                if error.errno not in GONE:
                    raise failed(error) from error
                self._read[name] = {}
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def properties(subsystem: str, name: str, place: str) -> dict[str, str]:
    """Of one device, but for its path, which whoever asks knows. Of PCI only what udev says, not what the kernel does:
    a function has no number to be found by. Raises `OSError`.
    """
    told = uevent(reading.content(f"{place}/uevent")) if subsystem != "pci" else {}
    try:
        return told | database(reading.content(f"{DATABASE}/{entry(subsystem, name, told)}"))
    except FileNotFoundError:
        return told


def entry(subsystem: str, name: str, told: Mapping[str, str]) -> str:
    """The name of a device's file: by its number where it has a node, else by its own name. The kernel writes slashes
    in names as exclamation marks.
    """
    if "MAJOR" in told and "MINOR" in told:
        return f"{'b' if subsystem == 'block' else 'c'}{told['MAJOR']}:{told['MINOR']}"
    if "IFINDEX" in told:
        return f"n{told['IFINDEX']}"
    return f"+{subsystem}:{name}"


def uevent(raw: bytes) -> dict[str, str]:
    """What the kernel says of a device: KEY=VALUE. Nodes are told without /dev."""
    pairs = (line.partition("=") for line in raw.decode("utf-8", errors="replace").split("\n"))
    told = {key: value for key, _, value in pairs if value}
    if "DEVNAME" in told:
        told["DEVNAME"] = f"/dev/{told['DEVNAME'].removeprefix('/dev/')}"
    return told


def database(raw: bytes) -> dict[str, str]:
    """What udev says of it: lines of a letter, a colon and a word."""
    told: dict[str, str] = {}
    links: list[str] = []
    tags: dict[str, list[str]] = {"TAGS": [], "CURRENT_TAGS": []}
    for line in raw.decode("utf-8", errors="replace").split("\n"):
        word = line[2:]
        match line[:2]:
            case "E:":
                key, _, value = word.partition("=")
                if value:
                    told[key] = value
            case "S:":
                links.append(f"/dev/{word}")
            case "I:" if word.strip("0"):
                told["USEC_INITIALIZED"] = word
            case "G:":
                tags["TAGS"].append(word)
            case "Q:":
                tags["CURRENT_TAGS"].append(word)
    if links:
        told["DEVLINKS"] = " ".join(sorted(links))
    return told | {key: f":{':'.join(sorted(words))}:" for key, words in tags.items() if words}


def failed(error: OSError) -> HostError:
    """What the system says."""
    return HostError(DOING, error.strerror or str(error))


def settle_argv(timeout_s: float) -> list[str]:
    """udevadm takes whole seconds; 0 would mean not to wait at all."""
    return ["udevadm", "settle", f"--timeout={max(1, round(timeout_s))}"]

# SPDX-License-Identifier: Apache-2.0
"""A machine whose hardware is tested, as its fake doors or otherwise, and what is found of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_interface

from agent.apply.validation import validate
from agent.errors import ValidationFailed
from agent.host.clock import RealClock
from agent.host.doors import Host
from agent.host.fake import FakeHost, Machine
from agent.inventory.sight import FullSight
from agent.model.disk import DiskIdentity
from agent.model.frozen import decode
from agent.model.hardware import Hardware
from agent.model.hardware.sensor import Sensor
from agent.model.job import Result
from agent.model.network import DEFAULT_V4, Ethernet, LinkState, Route
from agent.model.validation import Trial, Validate, Validated
from agent.model.validation.catalogue import BY_NAME, trial
from tests.apply.disks import MIB, machine

SIZE = 3 * MIB + 512
RECORD = "/var/lib/bms-agent/spool/r.validation"
GATEWAY = "192.0.2.1"
SOON = {"seconds": 1, "percent": 5, "packets": 8, "rounds": 1}


def made(disks: int = 1) -> Machine:
    """A machine with disks of one model, some memory, and a NIC with a gateway."""
    has = machine(*[SIZE] * disks)
    has.tree.put("/proc/meminfo", b"MemTotal: 2000000 kB\nMemAvailable: 1800000 kB\n")
    for number in range(disks):
        has.tree.put(f"/sys/block/sd{'abc'[number]}/device/model", b"ONE\n")
    has.tree.put("/sys/class/net/eno1/device/vendor", b"0x8086\n")
    address = ip_interface("192.0.2.7/24")
    config = Ethernet(name="eno1", mac="52:54:00:00:00:01", mtu=1500, up=True, addresses=(address,))
    facts = {
        "name": "eno1",
        "index": 2,
        "kind": "ethernet",
        "mac": config.mac,
        "carrier": True,
        "up": True,
        "mtu": 1500,
    }
    has.links["eno1"] = LinkState(**facts, addresses=(address,), config=config)
    route = Route(destination=DEFAULT_V4, link="eno1", gateway=IPv4Address(GATEWAY))
    has.routes[route.key] = route
    return has


def identity(number: int = 0, path: str | None = None) -> DiskIdentity:
    """Of a disk."""
    node = path or f"/dev/sd{'abc'[number]}"
    return DiskIdentity(path=node, wwn=None, serial=f"S{number}", size_bytes=SIZE, logical_sector_bytes=512)


def trials(*names: str, **settings: int) -> tuple[Trial, ...]:
    """As in the quick profile, but for what would take its time."""
    return tuple(trial(BY_NAME[name], "quick", SOON | settings) for name in names)


def step(*names: str, disks: int = 0, wiped: int = 0, time_limit_s: int | None = None, **settings: int) -> Validate:
    """These tests."""
    return Validate(
        trials=trials(*names, **settings),
        disks=tuple(map(identity, range(disks))),
        wiped=tuple(map(identity, range(wiped))),
        time_limit_s=time_limit_s,
        record_path=RECORD,
    )


@dataclass(frozen=True)
class Seen:
    """A sight in which something is otherwise than on the machine."""

    host: Host
    otherwise: Mapping[str, object] = field(default_factory=dict)

    def hardware(self) -> Hardware:
        """All else is as it is."""
        return FullSight(self.host).hardware().model_copy(update=dict(self.otherwise))

    def sensors(self) -> tuple[Sensor, ...]:
        """As they are."""
        return FullSight(self.host).sensors()


def timed(has: Machine) -> Host:
    """On which a second takes a second."""
    return replace(FakeHost.of(has), clock=RealClock())


def report_of(result: Result) -> Validated:
    """Of a job."""
    return decode(Validated, str(result["report"]), "reading a report")


def found(has: Machine, asked: Validate, **otherwise: object) -> Validated:
    """What came of it, whether or not it is a success."""
    one = timed(has)
    try:
        return report_of(validate(one, asked, lambda *_: None, Seen(one, otherwise)))
    except ValidationFailed as error:
        report = report_of(error.found)
        assert report.state in ("failed", "skipped")
        return report


def codes_of(report: Validated) -> list[tuple[str, str]]:
    """What was tested, and what came of it."""
    return [(one.subject, one.code) for one in report.verdicts]

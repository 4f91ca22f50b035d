# SPDX-License-Identifier: Apache-2.0
"""Inspection for Ironic: whole documents of two machines, what Ironic's API and hooks want, and the traps."""

from __future__ import annotations

import base64
import json
import random
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from ipaddress import IPv6Address
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from agent.errors import HostError
from agent.host.fake import FakeHost, FaultPlan, LinkTo
from agent.inventory import take
from agent.link.ironic.collectors import KNOWN, collect, posted
from agent.link.ironic.inspection import Surroundings, document, mac_of, smallest
from agent.model.fact import Unknown
from agent.model.inventory import Inventory
from agent.model.ironic.parameters import Parameters
from tests.link import equipped
from tests.machines import synthetic

HERE = Path(__file__).parent
EVERYTHING = tuple(name for name in KNOWN if name != "logs")
BOOTIF = "01-b0-26-28-00-00-01"
NESTING = 25
LARGEST_BYTES = 16 << 20


def wishes(*collectors: str, boot_interface: str = BOOTIF, **more: Any) -> Parameters:
    """What a kernel command line of an inspection says."""
    return Parameters(collectors=collectors, boot_interface=boot_interface, **more)


def body(host: FakeHost, parameters: Parameters, *, skip_bmc: bool = False) -> dict[str, Any]:
    """As Ironic reads it."""
    read: dict[str, Any] = json.loads(posted(host, parameters, skip_bmc=skip_bmc))
    must_be_taken(read)
    return read


def must_be_taken(read: dict[str, Any]) -> None:
    """What ironic/api/controllers/v1/ramdisk.py (DATA_VALIDATOR) and api/middleware/json_depth.py refuse, 39.0.0."""
    inventory = read["inventory"]
    assert all(isinstance(inventory[key], str | None) for key in ("bmc_address", "bmc_v6address"))
    assert inventory["interfaces"] and all(isinstance(one["mac_address"], str) for one in inventory["interfaces"])
    assert depth(read) <= NESTING


def depth(value: object) -> int:
    """How deep it is nested."""
    below: Iterator[object] = iter(())
    if isinstance(value, dict):
        below = iter(value.values())
    elif isinstance(value, list):
        below = iter(value)
    else:
        return 0
    return 1 + max(map(depth, below), default=0)


@pytest.mark.parametrize(
    ("name", "boot_interface"), [("qemu-q35", "52:54:00:b0:00:01"), ("synthetic-dell-r650", BOOTIF)]
)
def test_whole_document(name: str, boot_interface: str, golden: Callable[[Path, str], None]) -> None:
    """Everything that Ironic gets of a machine is what was reviewed; BOOTIF is passed on as the loader wrote it."""
    host = equipped.host() if "dell" in name else FakeHost.load(synthetic.HERE / name)
    read = body(host, wishes(*EVERYTHING, collect_lldp=True, boot_interface=boot_interface))

    golden(HERE / f"inspection-{name}.json", json.dumps(read, indent=1) + "\n")


def test_a_plain_inspection() -> None:
    """Where no collector is named, Ironic gets IPA's default ones: the inventory, and logs as a tar.gz in base64."""
    read = body(equipped.host(), wishes())

    assert set(read) == {"inventory", "root_disk", "boot_interface", "configuration", "error", "logs"}
    assert read["configuration"]["collectors"] == ["default", "logs"]
    assert read["error"] is None
    with tarfile.open(fileobj=BytesIO(base64.b64decode(read["logs"]))) as tar:
        assert "inventory.json" in tar.getnames()


def test_nics_without_a_mac_are_left_out() -> None:
    """One interface without a MAC is a 400 for the whole document (T20); so is one with a MAC that is none."""
    nics = take(FakeHost.load(synthetic.HERE / "synthetic-dell-r650")).nics
    assert not isinstance(nics, Unknown)
    told = {mac: mac_of(nics[0].model_copy(update={"mac": mac})) for mac in ("", "00:00:00:00:00:00", "x")}

    assert set(told.values()) == {None}
    assert mac_of(nics[0]) == "b0:26:28:00:00:01"


def test_macs_of_nics_that_lead_to_the_bmc() -> None:
    """`fa:…` is a vendor's internal NIC, as for IPA; but not OpenStack's `fa:16:3e:…` of a nested machine."""
    nic = nics_of(FakeHost.load(synthetic.HERE / "synthetic-dell-r650"))[0]

    assert mac_of(nic.model_copy(update={"mac": "fa:12:34:56:78:9a"})) is None
    assert mac_of(nic.model_copy(update={"mac": "fa:16:3e:56:78:9a"})) == "fa:16:3e:56:78:9a"


def nics_of(host: FakeHost) -> Any:
    """All of a machine."""
    return take(host).nics


def test_infiniband() -> None:
    """An InfiniBand port has an Ethernet MAC for Ironic, and the client id that its DHCP must know (RFC 4390)."""
    found = take(FakeHost.load(synthetic.HERE / "synthetic-dell-r650"))
    long = "a0:00:00:27:fe:80:00:00:00:00:00:00:7c:fe:90:03:00:29:26:52"
    assert not isinstance(found.nics, Unknown)
    port = found.nics[0].model_copy(update={"mac": long})
    told = inventory_of(found.model_copy(update={"nics": (port,)}))["interfaces"][0]

    assert told["mac_address"] == "7c:fe:90:29:26:52"
    assert told["client_id"] == "ff:00:00:00:00:00:02:00:00:02:c9:00:7c:fe:90:03:00:29:26:52"


def inventory_of(found: Inventory, **around: Any) -> Any:
    """Of a document."""
    return document(found, Surroundings(hostname="x", collectors=(), **around))["inventory"]


def test_permanent_macs() -> None:
    """A NIC in a bond bears another's MAC; Ironic's port has the permanent one."""
    told = body(equipped.host(), wishes())["inventory"]["interfaces"]

    assert [one["mac_address"] for one in told if one["name"] == "ens1f0np0"] == ["0c:42:a1:00:00:10"]


def test_link_local_addresses() -> None:
    """A NIC with no other IPv6 address has its link-local one, with its scope, as for IPA."""
    host = FakeHost.load(synthetic.HERE / "synthetic-dell-r650")
    told = inventory_of(take(host), link_locals={"eno2": IPv6Address("fe80::1")})["interfaces"]

    assert {one["name"]: one["ipv6_address"] for one in told}["eno2"] == "fe80::1%eno2"


def test_the_smallest_disk_is_root() -> None:
    """Without hints the root disk is the smallest of 4 GiB or more, by name among equals, as at deployment."""
    found = take(FakeHost.load(synthetic.HERE / "qemu-q35"))
    assert not isinstance(found.disks, Unknown)
    small, equal = (disk.model_copy(update={"size_bytes": 4 << 30}) for disk in found.disks[:2])
    tiny = found.disks[0].model_copy(update={"size_bytes": (4 << 30) - 512, "path": "/dev/aaa"})

    assert smallest([tiny, equal, small]) == min((small, equal), key=lambda disk: disk.path)
    assert smallest([tiny]) is None
    told = document(found.model_copy(update={"disks": (tiny,)}), Surroundings(hostname="x", collectors=()))
    assert "root_disk" not in told and told["error"] is None


def test_a_root_disk_by_hints() -> None:
    """Whoever knows the node's hints chooses the root disk."""
    found = take(FakeHost.load(synthetic.HERE / "qemu-q35"))
    told = document(found, Surroundings(hostname="x", collectors=()), choose=lambda disks: disks[-1])

    assert told["root_disk"] == told["inventory"]["disks"][-1]  # type: ignore[index]


@pytest.mark.parametrize(
    ("bmc", "expected"),
    [
        (None, {"bmc_address": None, "bmc_v6address": None}),
        ({}, {"bmc_address": "0.0.0.0", "bmc_v6address": "::/0"}),
        (equipped.configured(8, "0.0.0.0", "90:40:09:00:00:01"), {"bmc_address": "0.0.0.0", "bmc_v6address": "::/0"}),
        (
            equipped.configured(8, "192.0.2.7", "90:40:09:00:00:01"),
            {"bmc_address": "192.0.2.7", "bmc_v6address": "::/0", "bmc_mac": "90:40:09:00:00:01"},
        ),
    ],
)
def test_the_address_of_the_bmc(bmc: dict[bytes, bytes] | None, expected: dict[str, str | None]) -> None:
    """Null is no BMC, 0.0.0.0 and ::/0 are one without an address; a MAC that is not known is left out."""
    host = equipped.host()
    host.machine.bmc = bmc
    told = body(host, wishes("default"))["inventory"]

    assert {key: value for key, value in told.items() if key.startswith("bmc")} == expected


def test_a_bmc_that_is_not_to_be_told_of() -> None:
    """Where Ironic says agent_skip_bmc_detect, the BMC is not even asked."""
    host = equipped.host()
    told = body(host, wishes("default"), skip_bmc=True)["inventory"]

    assert (told["bmc_address"], told["bmc_v6address"], "bmc_mac" in told) == (None, None, False)
    assert not [call for call in host.faults.calls if call.startswith("ipmi")]


def test_a_bmc_that_does_not_answer() -> None:
    """A wrong BMC address is worse than none: one that fails is told as null, and the inspection goes on."""
    host = equipped.host()
    take(host)
    body(host, wishes("default"))
    number = 1 + next(number for number, call in enumerate(host.faults.calls) if call.startswith("ipmi.ask"))
    hurt = FakeHost.of(equipped.dell(), FaultPlan(at=number))
    take(hurt)
    read = body(hurt, wishes("default"))

    assert hurt.faults.calls[number - 1].startswith("ipmi.ask")
    assert (read["inventory"]["bmc_address"], read["error"]) == (None, None)


def test_an_unknown_collector_fails_the_inspection() -> None:
    """As with IPA; but with the inventory, so that Ironic takes the document and shows the reason (T22)."""
    read = body(equipped.host(), wishes("default", "extra-terrestrial"))

    assert "no collector 'extra-terrestrial', but default, logs, lldp" in read["error"]


def test_the_inventory_is_always_there() -> None:
    """Without `inventory` Ironic refuses the whole document, whichever collectors were named."""
    assert "inventory" in body(equipped.host(), wishes("pci-devices"))


def test_what_cannot_be_observed_fails_the_inspection() -> None:
    """No disks, and disks that could not be looked at, are not the same to Ironic either (T22)."""
    found = take(equipped.host()).model_copy(update={"disks": Unknown(unknown="/proc/swaps: Input/output error")})
    told = document(found, Surroundings(hostname="x", collectors=()))

    assert told["error"] == (
        "The following errors were encountered:\n* disks could not be observed: /proc/swaps: Input/output error"
    )


def test_a_failing_collector_costs_its_own_part_only() -> None:
    """Whatever door call of the others fails, the inventory is posted, and `error` is null."""
    names = ("default", "pci-devices", "usb-devices", "numa-topology", "dmi-decode")
    host = equipped.host()
    for path in ("/sys/bus/pci/devices/0000:19:00.0/vendor", "/sys/devices/system/node/node1/meminfo"):
        host.machine.tree.put(host.machine.tree.resolve(path), b"nonsense\n")
    read = body(host, wishes(*names))

    assert read["error"] is None
    assert "pci_devices" not in read and "numa_topology" not in read
    assert len(read["usb_devices"]) == 2 and read["dmi"]["cpu"]


def test_a_fault_of_ours_costs_its_own_part_only() -> None:
    """What a collector did not foresee neither; but without the default one there is nothing to post."""

    def broken(links: Sequence[str], timeout_s: float) -> Mapping[str, bytes]:
        raise ValueError("odd")

    read = collect(replace(equipped.host(), lldp=broken), wishes("default", "lldp", "usb-devices"))

    assert "lldp_raw" not in read and len(read["usb_devices"]) == 2 and read["error"] is None
    no_clock: Any = None
    with pytest.raises(HostError, match="inspecting this machine"):
        collect(replace(equipped.host(), clock=no_clock), wishes("default", dhcp_wait_s=7))


def test_every_failing_call_leaves_a_document() -> None:
    """Whatever door call fails, there is a document that Ironic takes, or its NICs are what failed and it says so."""
    healthy = equipped.host()
    collect(healthy, wishes("default"))
    for number, call in enumerate(healthy.faults.calls, 1):
        hurt = FakeHost.of(equipped.dell(), FaultPlan(at=number))
        read = json.loads(posted(hurt, wishes("default")))

        assert read["inventory"]["interfaces"] or "nics could not be observed" in read["error"], call


def test_waiting_for_an_address() -> None:
    """The NIC that booted is waited for, as long as Ironic says, and no longer; others are not."""
    host = equipped.host()
    waited = host.machine.uptime_s
    collect(host, wishes("default", dhcp_wait_s=7))
    assert host.machine.uptime_s == waited

    late = Parameters(collectors=("default",), boot_interface="b0:26:28:00:00:02", dhcp_wait_s=7)
    read = collect(host, late)
    assert host.machine.uptime_s == pytest.approx(waited + 7)
    assert read["error"] is None


def test_the_wait_can_be_ended() -> None:
    """Who stops the agent does not wait for DHCP; the document is what it is by then."""
    host, stop = equipped.host(), Event()
    stop.set()
    before = host.machine.uptime_s
    collect(host, Parameters(collectors=("default",), boot_interface="b0:26:28:00:00:02"), stop=stop)

    assert host.machine.uptime_s == before


def test_lldp_is_heard_where_there_is_a_carrier() -> None:
    """Raw TLVs as [type, hex] by NIC, [] for a switch that is silent; in the interfaces only if asked for."""
    read = body(equipped.host(), wishes("default", "lldp"))

    assert set(read["lldp_raw"]) == {"eno1", "ens1f0np0"}
    assert read["lldp_raw"]["eno1"][0] == [1, "04a0b1c2d3e4f5"]
    assert read["lldp_raw"]["ens1f0np0"] == []
    assert {one["lldp"] for one in read["inventory"]["interfaces"]} == {None}


def test_a_damaged_announcement() -> None:
    """A switch that says nonsense is as if it had said nothing."""
    host = equipped.host()
    host.machine.announcements["eno1"] = equipped.ANNOUNCED[:5]

    assert body(host, wishes("default", "lldp"))["lldp_raw"]["eno1"] == []


def test_the_largest_document() -> None:
    """Ironic takes 16 MiB; what is posted is never more, whatever the logs are."""
    host = equipped.host()
    host.machine.tree.put("/proc/modules", b64lines(24 << 20))
    text = posted(host, wishes())

    assert LARGEST_BYTES // 2 < len(text) <= LARGEST_BYTES


def b64lines(size_bytes: int) -> bytes:
    """Lines that hardly compress."""
    return base64.encodebytes(random.Random(7).randbytes(size_bytes))


def test_an_inspection_does_not_touch_the_machine() -> None:
    """No file is written."""
    host = equipped.host()
    host.machine.tree.put("/sys/class/net/unused", LinkTo("/sys/class/net/eno1"))
    before = host.machine.tree.copy().entries
    collect(host, wishes(*KNOWN))

    assert host.machine.tree.entries == before

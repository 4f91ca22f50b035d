# SPDX-License-Identifier: Apache-2.0
"""The inventory in full: what devices say is in it, and whatever fails or hangs hides nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from threading import Barrier, Event, get_ident
from time import monotonic

import pytest

from agent.host.fake import Died, Effect, FakeHost, FaultPlan, Unreadable
from agent.host.fake.devices import FakeDrives
from agent.host.fake.listening import FakeIpmi
from agent.inventory import take
from agent.inventory.disk import disks
from agent.inventory.hardware import take_in_full
from agent.inventory.hardware.disk import Told, asked
from agent.inventory.side_by_side import PATIENCE_S, side_by_side
from agent.job.survey import told
from agent.model.fact import Unknown
from agent.model.hardware import Hardware
from agent.model.hardware.device import PciLink
from agent.model.hardware.disk import DiskHealth, DiskInFull, Membership
from agent.model.hardware.nic import NicInFull
from agent.model.lldp import LldpNeighbour
from tests.inventory import equipped
from tests.machines import parts, synthetic
from tests.model.hardware import answers

MACHINES = sorted(path.parent for path in synthetic.HERE.glob("*/machine.json"))
SOON_S = 0.5


@pytest.fixture(scope="module")
def found() -> Hardware:
    """Of the server whose devices answer."""
    return take_in_full(equipped.host(), listen_s=1)


def disk(found: Hardware, name: str) -> DiskInFull:
    """One of its disks."""
    assert not isinstance(found.disks, Unknown)
    return next(one for one in found.disks if one.name == name)


def nic(found: Hardware, name: str) -> NicInFull:
    """One of its NICs."""
    assert not isinstance(found.nics, Unknown)
    return next(one for one in found.nics if one.name == name)


def unknown_parts(found: Hardware) -> set[str]:
    """Parts that could not be read as a whole."""
    return {name for name in type(found).model_fields if isinstance(getattr(found, name), Unknown)}


def test_nothing_is_unknown(found: Hardware) -> None:
    """Every collector brings its part."""
    assert unknown_parts(found) == set()


def test_disks(found: Hardware) -> None:
    """NVMe tells namespaces, formats and health; SCSI its log pages; what was put together is told by its members."""
    flash, old = disk(found, "nvme0n1"), disk(found, "sda")

    assert isinstance(flash.health, DiskHealth) and (flash.health.passed, flash.health.used_percent) == (True, 7)
    assert not isinstance(flash.formats, Unknown) and [one.data_bytes for one in flash.formats] == [512, 4096]
    assert (flash.nvme_version, flash.capacity_bytes, flash.pci_address) == ("1.4.0", 1000204886016, "0000:65:00.0")
    assert isinstance(old.health, DiskHealth) and (old.health.passed, old.health.temperature_celsius) == (True, 31)
    assert not isinstance(old.memberships, Unknown)
    assert [(one.kind, one.node, one.of) for one in old.memberships] == [("lvm", "/dev/sda3", "dm-0")]


def test_nics(found: Hardware) -> None:
    """Driver, firmware, modes, module, functions; who is at the other end, and that nobody is."""
    one = nic(found, "eno1")

    assert (one.firmware, one.most_virtual_functions, one.virtual_functions) == ("9.20 0x8000d87a 1.3429.0", 64, 0)
    assert not isinstance(one.link, Unknown) and one.link is not None and "10000baseT/Full" in one.link.supported
    assert not isinstance(one.transceiver, Unknown) and one.transceiver is not None
    assert one.transceiver.part == "FTLX1471D3BCL"
    assert isinstance(one.lldp, LldpNeighbour) and one.lldp.system_name == "leaf-3a"
    assert nic(found, "ens1f0np0").lldp is None
    assert isinstance(nic(take_in_full(equipped.host()), "eno1").lldp, Unknown), "nobody listened"


def test_the_board(found: Hardware) -> None:
    """Secure Boot, entries, TPM with its certificate's digest, sensors in whole units, errors, caches, links, names."""
    firmware, tpm, cpu = found.firmware, found.tpm, found.cpu

    assert not isinstance(firmware, Unknown) and (firmware.secure_boot, firmware.setup_mode) == (True, False)
    assert (firmware.booted, firmware.order) == ("Boot0003", ("Boot0003", "Boot0001"))
    assert tpm is not None and not isinstance(tpm, Unknown) and tpm.manufacturer == "IFX"
    assert [(one.key, one.size_bytes) for one in tpm.certificates] == [("rsa2048", 904)]
    assert not isinstance(found.sensors, Unknown)
    assert [(one.name, one.reading, one.reading_units, one.critical) for one in found.sensors] == [
        ("fan1", 5400, "RPM", None),
        ("Package id 0", 41, "Cel", 100),
    ]
    assert not isinstance(found.memory_errors, Unknown) and found.memory_errors[0].correctable == 3
    assert not isinstance(cpu, Unknown) and not isinstance(cpu.caches, Unknown)
    assert [(one.name, one.count, one.size_bytes, one.shared_by) for one in cpu.caches] == [("L1d", 4, 49152, 2)]
    assert not isinstance(found.pci_devices, Unknown)
    intel = next(one for one in found.pci_devices if one.address == "0000:19:00.0")
    assert intel.link == PciLink(speed_gts=8.0, width_lanes=4, best_speed_gts=8.0, best_width_lanes=8)
    assert (intel.vendor_name, intel.class_name, intel.driver) == ("Intel Corporation", "Ethernet controller", "i40e")


def test_a_disk_without_log_pages_is_asked_once() -> None:
    """It would refuse each of seven: SCSI disks of virtual machines do."""
    machine, plan = equipped.machine(), FaultPlan()
    del machine.drives["/dev/sda", "scsi 0"]
    found = take_in_full(FakeHost.of(machine, plan))

    asked = [call for call in plan.calls if call.startswith("drives.scsi_log(/dev/sda")]
    assert (asked, disk(found, "sda").health) == (["drives.scsi_log(/dev/sda, 0)"], None)


def test_nothing_is_read_twice() -> None:
    """What two collectors want to know of a file is read once, so both see the same; but for what is not there."""
    plan = FaultPlan()
    take_in_full(FakeHost.of(equipped.machine(), plan))

    looked = ("files.read_text", "files.exists", "files.names", "files.resolve")
    often = [call for call, times in Counter(plan.calls).items() if times > 1 and call.startswith(looked)]
    assert often == ["files.read_text(/sys/bus/pci/devices/0000:18:00.0/numa_node)"]


def test_slow_ones_are_not_waited_for() -> None:
    """Who waits for a device has a thread of its own from the beginning, while the others are asked in turn."""
    asked_others = Event()

    def others() -> str:
        asked_others.set()
        return "quick"

    brought = side_by_side({"tpm": lambda: asked_others.wait(5), "board": others}, limit_s=5, at_once=1, slow=("tpm",))
    assert brought == {"tpm": True, "board": "quick"}


def test_it_holds_the_short_one() -> None:
    """What a plan would be made of, and what the controller is told, is the same in both."""
    for directory in MACHINES:
        short = take(FakeHost.load(directory))

        assert told(take_in_full(FakeHost.load(directory))).model_dump_json() == short.model_dump_json()


def test_nothing_is_changed() -> None:
    """No command is run, no file written."""
    host = equipped.host()
    before = host.machine.tree.copy().entries
    take_in_full(host, listen_s=1)

    assert host.machine.tree.entries == before and host.machine.commands == []


def test_a_stick_is_not_asked() -> None:
    """Bridges from USB may hang at what they do not know, and a system may run from one."""
    host = equipped.host()
    one = next(each for each in disks(host) if each.name == "sda")
    of_sas = asked(host.drives, one.model_copy(update={"transport": "sas"}))

    assert isinstance(of_sas.health, DiskHealth)
    assert asked(host.drives, one.model_copy(update={"transport": "usb"})) == Told()


def two_namespaces(device: str, *controllers: str) -> tuple[FakeHost, FaultPlan]:
    """A machine with the disks nvme5n1 and nvme5n2 of one device, formatted to 512 and to 4096 bytes; its calls."""
    built = equipped.machine()
    for number in (1, 2):
        parts.add_block(
            built, f"nvme5n{number}", device, 1 << 30, udev={}, files={f"{name}/x": "" for name in controllers}
        )
        parts.put(built, {f"{built.tree.resolve(f'/sys/block/nvme5n{number}')}/nsid": str(number)})
        built.drives |= {
            (f"/dev/nvme5n{number}", "identify 1 0"): answers.nvme_controller(),
            (f"/dev/nvme5n{number}", "identify 2 0"): answers.nvme_list(1, 2),
            (f"/dev/nvme5n{number}", "identify 0 1"): answers.nvme_namespace(),
            (f"/dev/nvme5n{number}", "identify 0 2"): answers.nvme_namespace(used=1),
            (f"/dev/nvme5n{number}", "log 2"): answers.nvme_health(),
        }
    plan = FaultPlan()
    return FakeHost.of(equipped.finished(built), plan), plan


def used_bytes(one: DiskInFull) -> list[int]:
    """What it is formatted to."""
    assert not isinstance(one.formats, Unknown)
    return [each.data_bytes for each in one.formats if each.is_used]


@pytest.mark.parametrize(
    ("device", "controllers", "nodes"),
    [
        ("pci0000:64/0000:70:00.0/nvme/nvme5", (), {"/dev/nvme5n1"}),
        ("virtual/nvme-subsystem/nvme-subsys5", ("nvme5",), {"/dev/nvme5n1"}),
        ("virtual/nvme-subsystem/nvme-subsys5", ("nvme5", "nvme6"), {"/dev/nvme5n1", "/dev/nvme5n2"}),
        ("virtual/nvme-subsystem/nvme-subsys5", (), {"/dev/nvme5n1"}),
    ],
)
def test_a_controller_is_asked_once(device: str, controllers: tuple[str, ...], nodes: set[str]) -> None:
    """By the first of its namespaces, for all; where there are several, nobody knows which of them answers for whom."""
    host, plan = two_namespaces(device, *controllers)
    seen = take_in_full(host)
    asked_of = [call for call in plan.calls if call.startswith("drives.") and "/dev/nvme5" in call]

    assert {node for node in ("/dev/nvme5n1", "/dev/nvme5n2") if any(node in call for call in asked_of)} == nodes
    assert len(asked_of) == 6 * len(nodes) == len(set(asked_of))
    assert [used_bytes(disk(seen, f"nvme5n{number}")) for number in (1, 2)] == [[512], [4096]]
    assert isinstance(disk(seen, "nvme5n1").health, DiskHealth)
    assert disk(seen, "nvme5n2").health == disk(seen, "nvme5n1").health
    assert disk(seen, "nvme5n2").nvme_version == disk(seen, "nvme5n1").nvme_version == "1.4.0"


class HangingDrives(FakeDrives):
    """One disk does not answer."""

    def nvme_log(self, node: str, page: int, length: int) -> bytes | None:
        """Never, for that one."""
        if node == "/dev/nvme1n1":
            Event().wait()
        return super().nvme_log(node, page, length)


class HangingIpmi(FakeIpmi):
    """A BMC that does not answer."""

    def is_there(self) -> bool:
        """It seems to be."""
        return True

    def ask(self, netfn: int, command: int, data: bytes) -> bytes:
        """Never."""
        Event().wait()
        raise AssertionError


def test_what_hangs_hides_nothing_else(found: Hardware) -> None:
    """A disk and a BMC that never answer are told, in their places; every other disk and part is as it was."""
    host = equipped.host()
    doors = host.machine, FaultPlan()
    hurt = take_in_full(
        replace(host, drives=HangingDrives(*doors), ipmi=HangingIpmi(*doors)), listen_s=0.001, limit_s=SOON_S
    )

    assert isinstance(hurt.bmc, Unknown) and "no answer within 0.5" in hurt.bmc.unknown
    health = disk(hurt, "nvme1n1").health
    assert isinstance(health, Unknown) and "no answer within 0.35 s" in health.unknown
    assert disk(hurt, "nvme1n1").serial == disk(found, "nvme1n1").serial
    assert disk(hurt, "nvme0n1") == disk(found, "nvme0n1")
    assert unknown_parts(hurt) == {"bmc"}


def test_a_fault_of_ours_hides_nothing_else() -> None:
    """A collector that breaks in a way that nobody thought of is told, too."""

    def broken() -> int:
        raise ValueError("no such thing")

    assert side_by_side({"a": broken, "b": lambda: 2, "c": lambda: None}, 1) == {
        "a": Unknown(unknown="a fault of bms-agent: ValueError: no such thing"),
        "b": 2,
        "c": None,
    }


def test_death_is_death() -> None:
    """What ends the process is not taken for a collector's failure."""
    with pytest.raises(Died):
        take_in_full(FakeHost.of(equipped.machine(), FaultPlan(at=40, effect=Effect.DIE_BEFORE)))


def test_every_failing_call_shows(found: Hardware) -> None:
    """Whatever door call fails, the inventory is taken; it says so, or is the same without."""
    healthy = equipped.host()
    take_in_full(healthy, listen_s=1)
    for number in range(1, len(healthy.faults.calls), 5):
        host = FakeHost.of(equipped.machine(), FaultPlan(at=number, effect=Effect.FAIL))
        hurt = take_in_full(host, listen_s=1)

        said = f"failure planned for call {number}" in hurt.model_dump_json()
        assert said or hurt.model_copy(update={"taken_at": found.taken_at}) == found, host.faults.calls[number - 1]


def test_a_page_that_cannot_be_read() -> None:
    """A sensor that fails is unknown for itself; so is the health of a disk whose answer makes no sense."""
    machine = equipped.machine()
    machine.tree.put("/sys/class/hwmon/hwmon0/temp1_input", Unreadable("Input/output error"))
    machine.drives["/dev/nvme0n1", "log 2"] = b"short"
    found = take_in_full(FakeHost.of(machine))

    assert not isinstance(found.sensors, Unknown)
    assert [isinstance(one.reading, Unknown) for one in found.sensors] == [False, True]
    health = disk(found, "nvme0n1").health
    assert isinstance(health, Unknown) and "5 bytes of 512" in health.unknown
    assert disk(found, "nvme0n1").nvme_version == "1.4.0"


def test_memberships() -> None:
    """A multipath map's path is told by the map, though nothing can be read on it."""
    machine = synthetic.dell_r650()
    machine.tree.put(machine.tree.resolve("/sys/block/dm-0") + "/dm/uuid", b"mpath-36001405\n")
    found = take_in_full(FakeHost.of(machine))

    memberships = disk(found, "sda").memberships
    assert not isinstance(memberships, Unknown)
    assert memberships[0] == Membership(kind="multipath", node="/dev/sda", of="dm-0")


def test_devices_are_asked_only_here() -> None:
    """The short inventory, which heartbeats and plans wait for, asks no device anything."""
    host = equipped.host()
    take(host)

    assert not [call for call in host.faults.calls if call.startswith(("drives", "ethtool", "tpm", "efi", "lldp"))]


def test_few_threads_unless_somebody_waits() -> None:
    """What is quick is brought one after the other; behind what hangs, others come; all at once is for what waits."""
    seen: set[int] = set()
    released = Event()

    def quick() -> int:
        seen.add(get_ident())
        return 1

    assert side_by_side({str(number): quick for number in range(20)}, 5, at_once=1) == {str(n): 1 for n in range(20)}
    assert len(seen) < 10
    began_s = monotonic()
    found = side_by_side({"a": lambda: released.wait(30), "b": quick, "c": quick}, 1.0, at_once=1)
    released.set()

    assert found == {"a": Unknown(unknown="no answer within 1 s"), "b": 1, "c": 1}
    assert 1.0 <= monotonic() - began_s < 10
    all_there = Barrier(8)
    assert len(side_by_side({str(number): lambda: all_there.wait(20) for number in range(8)}, 20)) == 8


def test_no_threads_for_what_computes() -> None:
    """One that is at work, and waits for nobody, is let finish: others would only take the interpreter from it."""
    seen: set[int] = set()

    def computes() -> int:
        seen.add(get_ident())
        end_s = monotonic() + 4 * PATIENCE_S
        while monotonic() < end_s:
            pass
        return 1

    assert set(side_by_side({str(number): computes for number in range(4)}, 30, at_once=1).values()) == {1}
    assert len(seen) < 4

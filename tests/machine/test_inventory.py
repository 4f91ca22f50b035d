# SPDX-License-Identifier: Apache-2.0
"""The inventory in full beside the tools that everybody knows, in one guest, field by field."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from agent.inventory.hardware.nic import NOT_LISTENED
from agent.model.fact import Unknown, known
from agent.model.hardware import Hardware
from agent.model.hardware.disk import DiskHealth
from agent.model.hardware.nic import LinkModes
from agent.model.lldp import LldpNeighbour
from tests.machine.looked import looked

pytestmark = [pytest.mark.machine, pytest.mark.root]

Told = dict[str, Any]


@pytest.fixture(scope="module")
def told(ramdisk: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What our inventory and the tools said in a guest."""
    return looked(tmp_path_factory.mktemp("inventory"), ramdisk)


@pytest.fixture(scope="module")
def found(told: Told) -> Hardware:
    """Our inventory."""
    return Hardware.model_validate_json(json.dumps(told["found"]))


def colons(text: str) -> dict[str, str]:
    """Lines of a name, a colon and a value."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def each(part: Any) -> Any:
    """A part that could be read."""
    assert part is not None and not isinstance(part, Unknown), part
    return part


def test_nothing_is_unknown(told: Told) -> None:
    """Not one fact, but that of a link which cannot be asked."""
    reasons = re.findall(r'"unknown": "([^"]*)"', json.dumps(told["found"]))

    assert reasons == []


def test_the_service_sees_as_much(told: Told, found: Hardware) -> None:
    """Under its unit's restrictions nothing is unknown but who is at the cables' other ends, which it does not hear."""
    served = Hardware.model_validate_json(json.dumps(told["served"]))
    reasons = set(re.findall(r'"unknown": "([^"]*)"', json.dumps(told["served"])))

    assert reasons <= {str(NOT_LISTENED.unknown)}
    assert [(one.name, one.serial, known(one.health) is None) for one in each(served.disks)] == [
        (one.name, one.serial, known(one.health) is None) for one in each(found.disks)
    ]
    assert (served.tpm, served.bmc, served.firmware) == (found.tpm, found.bmc, found.firmware)


def test_processors(told: Told, found: Hardware) -> None:
    """As lscpu has them: counts, model, flags, caches, nodes, weaknesses."""
    cpu = each(found.cpu)
    lines = {one["field"].rstrip(":"): one["data"] for one in json.loads(told["lscpu"])["lscpu"]}
    caches = {one["name"]: one for one in json.loads(told["lscpu-caches"])["caches"]}

    assert (cpu.architecture, cpu.model, cpu.threads) == (
        lines["Architecture"],
        lines["Model name"],
        int(lines["CPU(s)"]),
    )
    assert (cpu.sockets, cpu.numa_nodes) == (int(lines["Socket(s)"]), int(lines["NUMA node(s)"]))
    assert cpu.cores == int(lines["Core(s) per socket"]) * int(lines["Socket(s)"])
    assert set(cpu.flags) == set(lines["Flags"].split())
    assert [",".join(map(str, one.threads)) for one in cpu.nodes] == [
        lines["NUMA node0 CPU(s)"],
        lines["NUMA node1 CPU(s)"] or "",
    ]
    assert {one.name: str(one.size_bytes) for one in cpu.caches} == {
        name: one["one-size"] for name, one in caches.items()
    }
    assert {one.name: str(one.size_bytes * one.count) for one in cpu.caches} == {
        name: one["all-size"] for name, one in caches.items()
    }
    words = {name.removeprefix("Vulnerability ").lower(): text for name, text in lines.items() if "Vulnerab" in name}
    assert {name.replace("_", " "): letters(text) for name, text in cpu.vulnerabilities.items()} == {
        name: letters(text) for name, text in words.items()
    }


def letters(text: str) -> str:
    """Without punctuation, which lscpu exchanges."""
    return re.sub(r"[:; ]", "", text)


def test_the_board_and_its_memory(told: Told, found: Hardware) -> None:
    """As dmidecode has them."""
    system, memory = each(found.system), each(found.memory)
    lines = colons(told["dmidecode"])
    (module,) = each(memory.dimms)
    sections = {part.splitlines()[1]: colons(part) for part in told["dmidecode"].split("\n\n") if "DMI type" in part}
    bios, product = sections["BIOS Information"], sections["System Information"]
    device = sections["Memory Device"]

    assert (system.firmware_vendor, system.firmware_version) == (bios["Vendor"], bios["Version"])
    assert system.firmware_date == bios["Release Date"]
    assert (system.vendor, system.product) == (product["Manufacturer"], product["Product Name"])
    assert (system.serial, system.uuid) == (product["Serial Number"], product["UUID"])
    assert memory.error_correction == lines["Error Correction Type"]
    assert f"{module.size_bytes >> 30} GB" == device["Size"] and module.locator == device["Locator"]
    assert f"{module.speed_mts} MT/s" == device["Speed"]
    assert f"{module.configured_speed_mts} MT/s" == device["Configured Memory Speed"]
    assert (module.part, module.serial, module.manufacturer) == (
        device["Part Number"],
        device["Serial Number"],
        device["Manufacturer"],
    )


def test_disks(told: Told, found: Hardware) -> None:
    """As lsblk has them, all but its names for what is not told: a bus that it does not know."""
    theirs = {one["name"]: one for one in json.loads(told["lsblk"])["blockdevices"] if one["type"] == "disk"}
    ours = {one.name: one for one in each(found.disks)}

    assert set(ours) == set(theirs) and len(ours) == 6
    for name, one in ours.items():
        row = theirs[name]
        assert (one.size_bytes, one.serial, one.wwn, one.hctl) == (row["size"], row["serial"], row["wwn"], row["hctl"])
        assert (one.model, one.rotational, one.read_only) == (row["model"], row["rota"], row["ro"])
        assert (one.logical_sector_bytes, one.physical_sector_bytes) == (row["log-sec"], row["phy-sec"])
        assert one.transport == row["tran"] or (row["tran"] is None and one.transport == "scsi")
        assert one.firmware == (row["rev"] or one.firmware)
        assert [content.kind for content in each(one.contents)] == ([row["fstype"]] if row["fstype"] else [])


def test_nvme(told: Told, found: Hardware) -> None:
    """As nvme has it: the controller, its namespaces, their formats, its health."""
    controller, health = json.loads(told["nvme-ctrl"]), json.loads(told["nvme-smart"])
    disk = next(one for one in each(found.disks) if one.name == "nvme0n1")
    theirs = json.loads(told["nvme-ns"])
    own = next(one for one in disk.namespaces if one.formats == disk.formats)

    assert (disk.serial, disk.model, disk.firmware) == tuple(controller[key].strip() for key in ("sn", "mn", "fr"))
    version = controller["ver"]
    assert disk.nvme_version == f"{version >> 16}.{version >> 8 & 255}.{version & 255}"
    assert [one.number for one in disk.namespaces] == [
        one["nsid"] for one in json.loads(told["nvme-list"])["nsid_list"]
    ]
    assert [(one.metadata_bytes, one.data_bytes) for one in disk.formats] == [
        (one["ms"], 1 << one["ds"]) for one in theirs["lbafs"]
    ]
    used = theirs["flbas"] & 15
    assert [one.is_used for one in disk.formats].index(True) == used
    assert own.size_bytes == theirs["nsze"] << theirs["lbafs"][used]["ds"] == disk.size_bytes
    assert isinstance(disk.health, DiskHealth)
    assert disk.health.temperature_celsius == health["temperature"] - 273
    for ours, key in (
        ("power_on_hours", "power_on_hours"), ("power_cycles", "power_cycles"), ("media_errors", "media_errors"),
        ("unsafe_shutdowns", "unsafe_shutdowns"), ("used_percent", "percent_used"), ("spare_percent", "avail_spare"),
    ):  # fmt: skip
        assert getattr(disk.health, ours) == health[key], ours
    assert disk.health.passed is (health["critical_warning"] == 0)


def test_sata(told: Told, found: Hardware) -> None:
    """As smartctl has it."""
    disk = next(one for one in each(found.disks) if one.transport == "sata")
    theirs = json.loads(told["smartctl"])

    assert isinstance(disk.health, DiskHealth)
    assert disk.health.passed is theirs["smart_status"]["passed"]
    assert disk.health.temperature_celsius == theirs["temperature"]["current"]
    assert disk.health.power_on_hours == theirs["power_on_time"]["hours"]
    assert disk.rotation_rpm == theirs["rotation_rate"]


def test_nics(told: Told, found: Hardware) -> None:
    """As ethtool has them: driver, firmware, permanent MAC, speed, modes; and the switch at the other end is heard."""
    ours = {one.name: one for one in each(found.nics)}

    assert len(ours) == 3
    for name, one in ours.items():
        driver, link = colons(told[f"driver {name}"]), told[f"link {name}"]
        assert (one.driver, one.firmware or "") == (driver["driver"], driver["firmware-version"])
        assert (one.driver_version, one.pci_address) == (driver["version"], driver["bus-info"])
        assert one.mac == told[f"permanent {name}"].split()[-1]
        assert isinstance(one.link, LinkModes)
        speed = re.search(r"Speed: ([0-9]+)Mb/s", link)
        assert one.link.speed_mbps == (int(speed[1]) if speed else None)
        assert one.link.is_autonegotiated is ("Auto-negotiation: on" in link)
        section = link.partition("Supported link modes:")[2].partition("Supported pause")[0]
        assert sorted(one.link.supported) == sorted(section.replace("Not reported", "").split())
    wired = next(one for one in ours.values() if one.driver == "e1000e")
    assert isinstance(wired.lldp, LldpNeighbour)
    assert (wired.lldp.chassis_id, wired.lldp.port_id, wired.lldp.system_name, wired.lldp.port_vlan_id) == (
        "52:54:00:00:00:aa",
        "port/24",
        "switch",
        7,
    )


def test_pci(told: Told, found: Hardware) -> None:
    """As lspci has them: every function, its numbers, its driver, the width and speed of its link."""
    theirs = {row["Slot"]: row for text in told["lspci"].strip().split("\n\n") if (row := colons(text))}
    widths = {
        text.split()[0]: (float(link[1]), int(link[2]))
        for text in told["lspci-links"].split("\n\n")
        if (link := re.search(r"LnkSta:\s+Speed ([0-9.]+)GT/s.*?Width x([0-9]+)", text)) and int(link[2])
    }
    ours = {one.address: one for one in each(found.pci_devices)}

    assert set(ours) == set(theirs)
    for address, one in ours.items():
        row = theirs[address]
        assert (one.vendor, one.product, one.device_class[:4]) == (row["Vendor"], row["Device"], row["Class"])
        assert (one.driver, one.revision) == (row.get("Driver"), row.get("Rev", "00"))
        assert one.subsystem == (f"{row['SVendor']}:{row['SDevice']}" if "SVendor" in row else None)
    assert {address: (one.link.speed_gts, one.link.width_lanes) for address, one in ours.items() if one.link} == widths
    assert widths, "a guest without PCI Express proves nothing"


def test_udev(told: Told) -> None:
    """Of every block device the door has what udev's own program has, but for where it is in sysfs."""
    theirs = {
        name: {key: in_order(value) for key, value in one.items() if key not in ("DEVPATH", "SUBSYSTEM")}
        for name, one in told["udev"].items()
    }

    assert {
        name: {key: in_order(value) for key, value in one.items()} for name, one in told["own udev"].items()
    } == theirs


def in_order(words: str) -> list[str]:
    """Links and tags have no order."""
    return sorted(words.replace(":", " : ").split())


def test_what_no_tool_is_asked_for(found: Hardware) -> None:
    """UEFI without Secure Boot, and its entries; a TPM, if there is one; the disk's own sensor."""
    firmware = each(found.firmware)

    assert (firmware.secure_boot, bool(firmware.entries), bool(firmware.order)) == (False, True, True)
    assert found.tpm is None or (each(found.tpm).version, each(found.tpm).manufacturer) == ("2.0", "IBM")
    assert known(each(found.sensors)[0].reading) is not None and found.bmc is None

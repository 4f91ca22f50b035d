# SPDX-License-Identifier: Apache-2.0
"""Guests that were recorded in the real ramdisk: their inventory is what QEMU was told, but for names."""

from __future__ import annotations

from functools import cache

import pytest

from agent.diagnose import diagnose
from agent.diagnose.seen import items
from agent.host.doors import Host
from agent.host.fake import Machine
from agent.host.fake.recorded import recorded
from agent.inventory.hardware import take_in_full
from agent.model.fact import Unknown
from agent.model.hardware import Hardware
from agent.model.hardware.disk import DiskInFull
from agent.model.request import EraseRequest
from agent.model.system import FirmwareMode
from agent.operations import Operations
from lab.firmware import Firmware
from tests.hardware import deploy
from tests.machine.recorded import GUESTS, HERE

GIB = 1 << 30
TRANSPORTS = {"nvme-ns": "nvme", "nvme": "nvme", "ide-hd": "sata", "scsi-hd": "scsi", "usb-storage": "usb"}
DRIVERS = {"virtio-net-pci": "virtio_net", "e1000e": "e1000e"}
LARGEST_BYTES = 300_000
PARTS = ("system", "cpu", "memory", "disks", "nics", "firmware", "pci_devices", "usb_devices")


@cache
def host(name: str) -> Host:
    """Its doors."""
    return recorded(Machine.load(HERE / name))


@cache
def found(name: str) -> Hardware:
    """Its inventory."""
    return take_in_full(host(name))


def devices(name: str, *kinds: str) -> list[dict[str, str]]:
    """What QEMU was told of devices of these kinds, in its order; `kind` is the first word."""
    words = GUESTS[name].words
    told = [words[at + 1].split(",") for at, word in enumerate(words) if word == "-device"]
    return [{"kind": kind, **dict(each.split("=", 1) for each in rest)} for kind, *rest in told if kind in kinds]


def disks(name: str) -> list[tuple[dict[str, str], DiskInFull]]:
    """Each disk that QEMU was told of, and the one that was found; their sizes tell them apart."""
    by_size = {disk.size_bytes: disk for disk in items(found(name).disks)}
    told = [one for one in devices(name, *TRANSPORTS) if "drive" in one]
    return [(one, by_size[int(one["drive"].removeprefix("d")) * GIB]) for one in told]


def test_recordings_are_small() -> None:
    """Text that can be reviewed: all of them together take less than so much."""
    files = [file for name in GUESTS for file in (HERE / name).iterdir()]

    assert sum(file.stat().st_size for file in files) < LARGEST_BYTES
    assert all(file.read_text(encoding="utf-8") for file in files)


@pytest.mark.parametrize("name", GUESTS)
def test_the_machine_itself(name: str) -> None:
    """Its maker, how it boots, its nodes; nothing is unknown but what a NIC that is down cannot tell."""
    machine, words = found(name), " ".join(GUESTS[name].words)
    system, cpu = machine.system, machine.cpu

    assert not [part for part in PARTS if isinstance(getattr(machine, part), Unknown)]
    assert not isinstance(system, Unknown) and not isinstance(cpu, Unknown)
    assert system.vendor == "Wile" and f"product={system.product}" in words
    assert system.firmware_mode is (FirmwareMode.UEFI if GUESTS[name].firmware is Firmware.UEFI else FirmwareMode.BIOS)
    assert cpu.numa_nodes == max(1, words.count("node,nodeid="))
    assert system.serial is not None


@pytest.mark.parametrize("name", GUESTS)
def test_its_disks(name: str) -> None:
    """Transport, sectors, model, vendor as told; names of the same length, and of the same maker, which are others."""
    assert len(disks(name)) == GUESTS[name].disks
    for told, disk in disks(name):
        controller = {**told, **(devices(name, "nvme")[0] if told["kind"] == "nvme-ns" else {})}
        assert disk.transport == TRANSPORTS[told["kind"]]
        assert disk.logical_sector_bytes == int(told.get("logical_block_size", "512"))
        assert disk.model == told.get("model", told.get("product", disk.model))
        assert disk.vendor == told.get("vendor", disk.vendor)
        assert len(str(disk.serial)) == len(controller["serial"])
        assert disk.serial != controller["serial"] or len(controller["serial"]) < 4
        assert str(disk.wwn)[:9] == told["wwn"][:9] if "wwn" in told else True
        assert disk.wwn != told.get("wwn", "")


@pytest.mark.parametrize("name", GUESTS)
def test_its_nics(name: str) -> None:
    """So many, with their drivers, each with a MAC of its own that is not the one that QEMU was told."""
    told = devices(name, *DRIVERS)
    nics = items(found(name).nics)
    own = [nic for nic in nics if nic.driver]  # and the one that every guest has

    assert len(own) == len(told) + 1 == len({nic.mac for nic in own})
    assert sorted(str(nic.driver) for nic in own) == sorted([*(DRIVERS[one["kind"]] for one in told), "virtio_net"])
    assert all(nic.mac.startswith("52:54:00:") for nic in own)
    assert not {nic.mac for nic in own} & {one["mac"] for one in told}


def test_two_disks_of_one_serial() -> None:
    """What QEMU was told twice is there twice; so a deploy by that serial is refused."""
    twins = [disk for told, disk in disks("qemu-bios-many-nics") if told["serial"] == "TWIN0001"]

    assert len(twins) == 2 and twins[0].serial == twins[1].serial
    assert [content.kind for content in items(twins[0].contents)] == ["gpt"]


@pytest.mark.parametrize("name", GUESTS)
def test_findings_and_plans(name: str) -> None:
    """What is wrong with it is seen: no cable; a deploy to a disk that holds nothing, and an erase, can be planned."""
    (empty,) = [disk for told, disk in disks(name) if told["kind"] == "scsi-hd"]
    operations = Operations(host(name), None, "/run/spool")
    erase = EraseRequest(request_id="r", node_id="node-1", serials=(str(empty.serial),), method="zero")

    assert next(one.code for one in diagnose(host(name)).findings) == "NETWORK.NO_CARRIER"
    assert operations.plan(deploy(drive=None, serial=str(empty.serial))).steps
    assert operations.plan(erase).steps

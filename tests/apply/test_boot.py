# SPDX-License-Identifier: Apache-2.0
"""Boot entries on a fake machine: from a request to what the firmware keeps, and what it is spared."""

from __future__ import annotations

import pytest

from agent.apply.boot import forget_boot, select_boot
from agent.cli.job import perform
from agent.errors import AgentError, ChangeUnderWay, DeviceError, NothingToBoot
from agent.host.fake import FakeHost, FaultPlan, Machine
from agent.host.fake.efi import FakeEfi
from agent.inventory.disk import disks
from agent.inventory.efi import firmware_boot, system_partitions
from agent.model.device_hints import OperatorHints
from agent.model.disk import Disk
from agent.model.efi import decode_option, decode_order, encode_order, shown
from agent.model.job import Result
from agent.model.plan import ForgetBoot, Plan, SelectBoot
from agent.model.request import ForgetBootRequest, SelectBootRequest
from agent.operations import Operations
from tests.apply.disks import MIB, disk_of, machine
from tests.efi import PARTITION, RECORDED, SmallFat, csv, head_with

FILES = {
    "/EFI/debian/SHIMX64.EFI": b"MZ",
    "/EFI/debian/grubx64.efi": b"MZ",
    "/EFI/debian/BOOTX64.CSV": csv("shimx64.efi,debian,,This is the boot entry for debian"),
    "/EFI/BOOT/BOOTX64.EFI": b"MZ",
    "/EFI/BOOT/fbx64.efi": b"MZ",
}
SELECT = SelectBootRequest(request_id="r", node_id="n", root_device=OperatorHints(specs={"serial": "S0"}))
FORGET = ForgetBootRequest(request_id="f", node_id="n")
BEFORE = {
    "Boot0000": RECORDED[0],
    "Boot0003": RECORDED[3],
    "Boot0004": b"what the firmware keeps is its own affair",
    "BootOrder": encode_order((0, 3, 4)),
    "Timeout": b"\0\0",
}


def booted(files: dict[str, bytes] | None = None) -> Machine:
    """A machine with UEFI and a disk whose second partition is an ESP with these files, and another disk."""
    made = machine(8 * MIB, 9 * MIB)
    disk = disk_of(made)
    disk.write(0, head_with(SmallFat(FILES if files is None else files).image))
    disk.flush()
    made.variables = dict(BEFORE)
    made.tree.put("/proc/sys/kernel/arch", b"x86_64\n")
    return made


def done(host: FakeHost, request: SelectBootRequest | ForgetBootRequest) -> Result:
    """Plan, hold, do: as the executor would, without its journal."""
    operations = Operations(host, "ramdisk", "/spool")
    plan = operations.plan(request)
    found: Result = {}
    for step in plan.steps:
        for one in plan.preconditions:
            operations.hold(one)
        found |= operations.do(step, lambda *_: None)
    return found


def kept(made: Machine) -> dict[str, bytes]:
    """The firmware's variables."""
    assert made.variables is not None
    return made.variables


def test_a_disk_becomes_the_first_to_boot() -> None:
    """A new entry for its shim, first in the order; every other variable is as it was, byte for byte."""
    made = booted()
    result = done(FakeHost.of(made), SELECT)
    option = decode_option(kept(made)["Boot0001"])
    path = f"HD(2,GPT,{PARTITION},0x800,0x800)/File(\\EFI\\debian\\SHIMX64.EFI)"

    assert (option.label, shown(option.path)) == ("debian (bms-agent)", path)
    assert decode_order(kept(made)["BootOrder"]) == (1, 0, 3, 4)
    assert {name: kept(made)[name] for name in BEFORE if name != "BootOrder"} | {
        "BootOrder": BEFORE["BootOrder"]
    } == BEFORE
    assert result == {"boot entry": f"Boot0001 'debian (bms-agent)' ({path})"}


def test_a_second_time_changes_nothing() -> None:
    """The entry that is there is used, and stays the only one."""
    made = booted()
    done(FakeHost.of(made), SELECT)
    after = dict(kept(made))
    host = FakeHost.of(made)
    done(host, SELECT)

    assert kept(made) == after
    assert not [call for call in host.faults.calls if call.startswith(("efi.write", "efi.remove"))]


def test_selecting_and_forgetting_is_as_before() -> None:
    """IPA's patterns forget the entry that was made, and leave what the firmware made for itself."""
    made = booted()
    done(FakeHost.of(made), SELECT)
    result = done(FakeHost.of(made), FORGET)

    assert kept(made) == BEFORE
    assert list(result) == ["forgot Boot0001"]


def test_a_machine_with_a_bios() -> None:
    """There is nothing to select and nothing to forget, and no disk is even looked for."""
    made = booted()
    made.variables = None
    for request in (SELECT, FORGET):
        assert Operations(FakeHost.of(made), "ramdisk", "/spool").plan(request) == Plan()


def test_the_first_boot_entry_of_all() -> None:
    """Firmware that has no order yet, and no entries, gets both."""
    made = booted()
    made.variables = {}
    done(FakeHost.of(made), SELECT)

    assert set(kept(made)) == {"Boot0000", "BootOrder"} and kept(made)["BootOrder"] == b"\0\0"


def test_a_disk_without_a_loader() -> None:
    """The error tells what was looked at; nothing was written."""
    made = booted({"/EFI/BOOT/BOOTAA64.EFI": b"MZ"})
    with pytest.raises(NothingToBoot, match=r"partition 2 \(0f0e.*, 12AB-34CD\) has /EFI/BOOT/BOOTAA64.EFI"):
        done(FakeHost.of(made), SELECT)
    other = SELECT.model_copy(update={"root_device": OperatorHints(specs={"serial": "S1"})})
    with pytest.raises(NothingToBoot, match="it has no EFI system partition"):
        done(FakeHost.of(made), other)
    assert kept(made) == BEFORE


def test_narrow_firmware() -> None:
    """Firmware of 32 bits on a 64-bit machine starts programs of 32 bits."""
    made = booted({"/EFI/BOOT/BOOTX64.EFI": b"MZ", "/EFI/BOOT/BOOTIA32.EFI": b"MZ"})
    made.tree.put("/sys/firmware/efi/fw_platform_size", b"32\n")
    done(FakeHost.of(made), SELECT)

    assert shown(decode_option(kept(made)["Boot0001"]).path).endswith(r"File(\EFI\BOOT\BOOTIA32.EFI)")


def test_a_partition_that_is_none() -> None:
    """An ESP that holds no filesystem, or reaches past the disk's end, is named with its reason."""
    made = booted()
    disk_of(made).write(MIB, bytes(4096))
    (broken,) = system_partitions(FakeHost.of(made), plain(made))
    assert broken.unreadable is not None and broken.programs == ()
    small = machine(8 * MIB)
    disk_of(small).write(0, head_with(bytes(16 * MIB))[:MIB])
    (beyond,) = system_partitions(FakeHost.of(small), plain(small))
    assert beyond.unreadable == "it reaches past the disk's end"


def plain(made: Machine) -> Disk:
    """Its first disk, as it is seen."""
    return disks(FakeHost.of(made))[0]


FINAL = {(1, 0, 3, 4), (0, 3, 4)}


def ready(request: SelectBootRequest | ForgetBootRequest) -> Machine:
    """A machine on which there is something to do."""
    made = booted()
    if isinstance(request, ForgetBootRequest):
        done(FakeHost.of(made), SELECT)
    return made


class Stubborn(FakeEfi):
    """Says yes, and keeps what it likes."""

    def write(self, name: str, data: bytes) -> None:
        """All but the last byte."""
        super().write(name, data[:-1])

    def remove(self, name: str) -> None:
        """Not at all."""


def test_firmware_that_lies() -> None:
    """What was written is read back, and what was removed looked for."""
    made = ready(FORGET)
    honest = FakeHost.of(made)
    lying = FakeHost(**{**vars(honest), "efi": Stubborn(made, FaultPlan())})
    with pytest.raises(DeviceError, match="variable BootOrder: it has kept 5 other bytes"):
        done(lying, FORGET)
    made = ready(FORGET)
    plan = Operations(FakeHost.of(made), "ramdisk", "/spool").plan(FORGET)
    (step,) = plan.steps
    assert isinstance(step, ForgetBoot)
    kept(made)["BootOrder"] = encode_order(step.order)
    with pytest.raises(DeviceError, match="the firmware still has Boot0001"):
        forget_boot(FakeHost(**{**vars(FakeHost.of(made)), "efi": Stubborn(made, FaultPlan())}), step)


def test_somebody_else_at_the_same_time() -> None:
    """An entry or an order that is another one than was planned for is not touched."""
    made = booted()
    host = FakeHost.of(made)
    (step,) = Operations(host, "ramdisk", "/spool").plan(SELECT).steps
    assert isinstance(step, SelectBoot)
    kept(made)["Boot0001"] = RECORDED[7]
    with pytest.raises(ChangeUnderWay, match="there is another Boot0001 now"):
        select_boot(host, step)
    del kept(made)["Boot0001"]
    kept(made)["BootOrder"] = encode_order((3,))
    with pytest.raises(ChangeUnderWay, match="it was 0000,0003,0004, and now it is 0003"):
        select_boot(host, step)
    made = ready(FORGET)
    (forget,) = Operations(FakeHost.of(made), "ramdisk", "/spool").plan(FORGET).steps
    kept(made)["Boot0001"] = RECORDED[7]
    assert isinstance(forget, ForgetBoot)
    with pytest.raises(ChangeUnderWay):
        forget_boot(FakeHost.of(made), forget)
    assert kept(made)["Boot0001"] == RECORDED[7]


def test_a_crowd_of_files() -> None:
    """An ESP with more folders and files than any distribution makes is looked at in part, and soon."""
    crowd = {f"/EFI/{number}/X.EFI": b"" for number in range(80)}
    crowd |= {f"/EFI/0/{number}.EFI": b"" for number in range(80)}
    windows = {"/EFI/MS/BOOT/bootmgfw.efi": b"MZ"}
    host = FakeHost.of(booted(windows | crowd))
    (partition,) = system_partitions(host, plain(host.machine))

    assert "/EFI/MS/BOOT/bootmgfw.efi" in partition.programs
    assert len(partition.programs) == 62 + 32 + 1


def test_only_in_the_ramdisk() -> None:
    """A controller may not ask the service of an installed system for it."""
    with pytest.raises(AgentError, match="service mode"):
        Operations(FakeHost.of(booted()), "service", "/spool").plan(SELECT)


def test_what_is_seen() -> None:
    """Entries that can be read, numbers that are taken, the order; and the disk's ESP with all that could start."""
    host = FakeHost.of(booted())
    found = firmware_boot(host)
    (partition,) = system_partitions(host, plain(host.machine))

    assert found is not None and [one.number for one in found.entries] == [0, 3]
    assert (found.taken, found.order) == (frozenset({0, 3, 4}), (0, 3, 4))
    assert set(partition.programs) == {path for path in FILES if path.lower().endswith(".efi")}
    assert partition.lists == (("/EFI/debian/BOOTX64.CSV", FILES["/EFI/debian/BOOTX64.CSV"]),)
    assert partition.partition.signature == PARTITION.bytes_le


def test_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """An operator sees the plan, and has it done; on a machine with a BIOS, that there is nothing to do."""
    made = booted()
    perform(FakeHost.of(made), SELECT, plan_only=True)
    assert "1. let the firmware boot /dev/sda" in capsys.readouterr().out and kept(made) == BEFORE
    perform(FakeHost.of(made), SELECT, plan_only=False, as_json=True)
    assert capsys.readouterr().out.rstrip().endswith("}") and "Boot0001" in kept(made)
    made.variables = None
    perform(FakeHost.of(made), SELECT, plan_only=True)
    assert capsys.readouterr().out == "nothing to do\n"

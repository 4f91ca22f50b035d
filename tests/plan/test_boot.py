# SPDX-License-Identifier: Apache-2.0
"""Which loader of a disk the firmware is to start, and which entries it is to forget."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.errors import HostError, NothingToBoot, PlanRefused
from agent.model.device_hints import OperatorHints
from agent.model.efi import (
    END,
    GPT_KIND,
    MBR_KIND,
    BootEntry,
    FirmwareBoot,
    LoadOption,
    PartitionPath,
    SystemPartition,
    path_to,
)
from agent.model.plan import ForgetBoot, SelectBoot
from agent.model.request import ForgetBootRequest, SelectBootRequest
from agent.plan.boot import loaders, plan_forget_boot, plan_select_boot
from agent.plan.check import check
from agent.plan.text import text
from tests.efi import PARTITION, RECORDED, csv
from tests.hardware import SSD

ESP = PartitionPath(2, 2048, 204800, PARTITION.bytes_le, GPT_KIND)
SHIM, GRUB = r"\EFI\debian\shimx64.efi", r"\EFI\debian\grubx64.efi"
DEBIAN = SystemPartition(
    partition=ESP,
    uuids=(str(PARTITION), "12AB-34CD"),
    programs=("/EFI/BOOT/BOOTX64.EFI", "/EFI/debian/grubx64.efi", "/EFI/debian/shimx64.efi", "/EFI/BOOT/BOOTAA64.EFI"),
    lists=(("/EFI/debian/BOOTX64.CSV", csv("gone.efi,Gone,,", "grubx64.efi,GRUB", "SHIMX64.EFI,debian,,remark, x")),),
)
NETWORK = RECORDED[3][RECORDED[3].index(b"\x02\x01\x0c") :].partition(END)[0] + END


def entry(number: int, path: bytes, label: str = "some", attributes: int = 1) -> BootEntry:
    """An entry as the firmware has it."""
    option = LoadOption(label=label, path=path, attributes=attributes)
    return BootEntry(number=number, option=option, raw=option.encode())


def firmware(*entries: BootEntry, order: tuple[int, ...] = (), architecture: str = "x86_64") -> FirmwareBoot:
    """With these entries, in that order, or their own."""
    numbers = tuple(one.number for one in entries)
    return FirmwareBoot(architecture=architecture, entries=entries, taken=frozenset(numbers), order=order or numbers)


def asked(esp_uuid: str | None = None) -> SelectBootRequest:
    """To boot the disk, whichever it is."""
    return SelectBootRequest(request_id="r", node_id="n", root_device=OperatorHints(specs={}), esp_uuid=esp_uuid)


def selected(has: FirmwareBoot, *partitions: SystemPartition, esp_uuid: str | None = None) -> SelectBoot:
    """The only step of the plan, which the checker has let through."""
    (step,) = check(plan_select_boot(SSD, has, partitions or (DEBIAN,), asked(esp_uuid))).steps
    assert isinstance(step, SelectBoot)
    return step


def test_a_new_entry_comes_first_and_nothing_is_lost() -> None:
    """The distribution's shim, under its label, by the lowest free number; what was in the order stays, as it was."""
    has = firmware(entry(0, NETWORK, "PXE"), entry(2, path_to(ESP, r"\EFI\other.efi")), order=(2, 1, 0))
    plan = check(plan_select_boot(SSD, has, (DEBIAN,), asked()))

    assert text(plan) == (
        "must hold: /dev/sda (WWN 0x5002538f00000001, serial S1, 480.0 GB) is there, and not in use\n"
        "1. let the firmware boot /dev/sda (WWN 0x5002538f00000001, serial S1, 480.0 GB) by Boot0003 "
        "'debian (bms-agent)' "
        r"(HD(2,GPT,0f0e0d0c-0b0a-0908-0706-050403020100,0x800,0x32000)/File(\EFI\debian\shimx64.efi)); "
        "its boot order becomes 0003,0002,0001,0000"
    )


def test_an_entry_that_leads_there_is_used() -> None:
    """Whatever it is called, and in whatever case its path is: it moves to the front, and no second one is made."""
    own = entry(7, path_to(ESP, SHIM.upper()), "Linux Firmware Update")
    step = selected(firmware(entry(0, NETWORK), own))

    assert (step.entry, step.order, step.before) == (own, (7, 0), (0, 7))


@pytest.mark.parametrize(
    "other",
    [
        entry(7, path_to(ESP, GRUB), "debian"),
        entry(7, path_to(ESP._replace(signature=bytes(16)), SHIM), "debian"),
        entry(7, path_to(ESP._replace(first_lba=34), SHIM), "debian"),
        entry(7, path_to(ESP, SHIM), "debian", attributes=0),
        entry(7, b"\x04\x01\xff\xff", "debian"),
    ],
    ids=["another file", "another partition", "where it no longer is", "inactive", "damaged"],
)
def test_an_equal_label_means_nothing(other: BootEntry) -> None:
    """Another system's entry, or one that the firmware passes over, is neither used nor changed, whatever its label."""
    step = selected(firmware(other))

    assert (step.entry.number, step.order) == (0, (0, 7))


def test_a_number_without_an_entry_that_can_be_read_is_taken() -> None:
    """What nobody can read is somebody's all the same; where there is no number left, that is said."""
    assert selected(firmware().model_copy(update={"taken": frozenset({0, 1})})).entry.number == 2
    full = firmware().model_copy(update={"taken": frozenset(range(0x10000))})
    with pytest.raises(HostError, match="the firmware has none"):
        selected(full)


def files(*programs: str, lists: tuple[tuple[str, bytes], ...] = ()) -> list[str]:
    """The loaders of a partition with these, best first."""
    partition = DEBIAN.model_copy(update={"programs": programs, "lists": lists})
    return [one.file for one in loaders(partition, "x86_64")]


def test_the_best_loader() -> None:
    """What a list names before the fallback, shim before all else in it; the fallback before names that we know."""
    assert [(one.file, one.label) for one in loaders(DEBIAN, "x86_64")] == [
        ("/EFI/debian/shimx64.efi", "debian"),
        ("/EFI/debian/grubx64.efi", "GRUB"),
        ("/EFI/BOOT/BOOTX64.EFI", None),
        ("/EFI/debian/shimx64.efi", None),
        ("/EFI/debian/grubx64.efi", None),
    ]
    windows = ("/EFI/Microsoft/Boot/bootmgfw.efi", "/EFI/systemd/systemd-bootx64.efi", "/EFI/a/memtest.efi")
    assert files(*windows) == [windows[1], windows[0]]
    assert files("/EFI/boot/bootx64.efi", *windows)[0] == "/EFI/boot/bootx64.efi"
    assert files("/EFI/BOOT/BOOTIA32.EFI", "/EFI/debian/shimaa64.efi") == []


def test_of_another_architecture() -> None:
    """Only what this machine's firmware can start is a loader."""
    assert selected(firmware(architecture="aarch64")).entry.option == LoadOption(
        label="OS on S1 (bms-agent)", path=path_to(ESP, r"\EFI\BOOT\BOOTAA64.EFI")
    )
    with pytest.raises(NothingToBoot, match=r"no loader for riscv64: partition 2 \(0f0e.*BOOTX64.EFI"):
        selected(firmware(architecture="riscv64"))


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lists_with_and_without_a_mark(mark: str) -> None:
    """With a byte-order mark or without; options are handed on; a list for another architecture is none."""
    lists = (
        ("/EFI/a/BOOTAA64.CSV", csv("x.efi,wrong")),
        ("/EFI/a/boot.csv", csv("x.efi,Label,one two,remark", mark=mark)),
    )
    partition = DEBIAN.model_copy(update={"programs": ("/EFI/a/x.efi",), "lists": lists})
    (found,) = loaders(partition, "x86_64")

    assert (found.file, found.label, found.data) == ("/EFI/a/x.efi", "Label", "one two".encode("utf-16-le"))


@given(st.binary(max_size=200))
def test_any_list(raw: bytes) -> None:
    """Whatever is in a list, no file comes out of it that is not there."""
    partition = DEBIAN.model_copy(update={"lists": (("/EFI/debian/BOOT.CSV", raw),)})

    assert {one.file for one in loaders(partition, "x86_64")} <= set(DEBIAN.programs)


def test_the_partition_that_is_meant() -> None:
    """By the partition's GUID or by its filesystem's number, in any case; else the first that has a loader."""
    empty = DEBIAN.model_copy(
        update={"programs": (), "lists": (), "uuids": ("AAAA-BBBB",), "partition": ESP._replace(number=1)}
    )
    broken = empty.model_copy(update={"unreadable": "0 sectors", "uuids": ("x",)})

    for uuid in ("12ab-34cd", str(PARTITION).upper(), None):
        assert selected(firmware(), empty, broken, DEBIAN, esp_uuid=uuid).entry.option.path == path_to(ESP, SHIM)
    with pytest.raises(NothingToBoot, match=r"none of its EFI system partitions is y: partition 1 \(AAAA-BBBB\); "):
        selected(firmware(), empty, DEBIAN, esp_uuid="y")
    with pytest.raises(NothingToBoot, match=r"partition 1 \(AAAA-BBBB\) has no program; partition 1 \(x\) has 0 sec"):
        selected(firmware(), empty, broken)
    with pytest.raises(NothingToBoot, match=r"/dev/sda.* boots: it has no EFI system partition"):
        plan_select_boot(SSD, firmware(), (), asked())


def test_an_mbr_has_a_number() -> None:
    """On a disk with an MBR the partition is known by the disk's number."""
    old = ESP._replace(table=MBR_KIND, signature=bytes.fromhex("78563412").ljust(16, b"\0"))
    step = selected(firmware(), DEBIAN.model_copy(update={"partition": old, "uuids": ("12AB-34CD",)}))

    assert "HD(2,MBR,0x12345678,0x800,0x32000)/File(" in str(step.entry)


def forgetting(*patterns: str) -> ForgetBootRequest:
    """These, or IPA's."""
    given = {"match_patterns": patterns} if patterns else {}
    return ForgetBootRequest.model_validate({"request_id": "r", "node_id": "n", **given})


HAS = firmware(
    entry(0, NETWORK, "UEFI: HD(fake)"),
    entry(1, path_to(ESP, SHIM)),
    entry(2, b"\x02\x01\x0c\x00\xd0\x41\x03\x0a\0\0\0\0" + path_to(ESP, r"\EFI\x\GRUBX64.EFI")),
    entry(3, b"\x02\x01\x0c\x00\xd0\x41\x03\x0a\0\0\0\0" + path_to(ESP, r"\EFI\x\refind.efi")),
    order=(3, 2, 1, 9, 0),
)


@pytest.mark.parametrize(
    ("patterns", "gone", "order"),
    [
        ((), [1, 2], (3, 9, 0)),
        (("REFIND",), [3], (2, 1, 9, 0)),
        (("^PciRoot.*MAC\\(525400123456,1\\)$",), [0], (3, 2, 1, 9)),
        ((".",), [0, 1, 2, 3], (9,)),
    ],
)
def test_what_is_forgotten(patterns: tuple[str, ...], gone: list[int], order: tuple[int, ...]) -> None:
    """What fits a pattern in its path, and only that: labels do not count; IPA's patterns are the default."""
    (step,) = check(plan_forget_boot(HAS, forgetting(*patterns))).steps

    assert isinstance(step, ForgetBoot)
    assert ([one.number for one in step.entries], step.order) == (gone, order)


def test_nothing_to_forget() -> None:
    """Where nothing fits there is nothing to do; what is no pattern is refused."""
    assert text(plan_forget_boot(HAS, forgetting("nowhere"))) == "nothing to do"
    with pytest.raises(ValidationError, match="'\\[' is no regular expression"):
        forgetting("[")
    (step,) = plan_forget_boot(HAS, forgetting("refind")).steps
    assert text(plan_forget_boot(HAS, forgetting("refind"))).startswith("1. remove the boot entries Boot0003 'some' (")
    assert step.kind == "forget_boot"


def test_the_order_is_not_for_the_planner_alone() -> None:
    """The checker refuses an order from which something is lost, or in which something trades places."""
    plan = check(plan_select_boot(SSD, HAS, (DEBIAN,), asked()))
    forget = plan_forget_boot(HAS, forgetting())
    for broken, change in ((plan, (1, 0, 9, 2, 3)), (plan, (1,)), (forget, (0, 9, 3)), (forget, (3, 9, 0, 5))):
        step = broken.steps[0].model_copy(update={"order": change})
        with pytest.raises(PlanRefused, match="more of the boot order"):
            check(broken.model_copy(update={"steps": (step,)}))
    with pytest.raises(PlanRefused, match="no precondition pins it"):
        check(plan.model_copy(update={"preconditions": ()}))


def test_partitions_are_told_apart_by_all_that_they_are() -> None:
    """The nil GUID is a GUID like others."""
    nil = ESP._replace(signature=UUID(int=0).bytes_le)
    step = selected(firmware(entry(4, path_to(ESP, SHIM))), DEBIAN.model_copy(update={"partition": nil}))

    assert step.entry.number == 0

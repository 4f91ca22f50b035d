# SPDX-License-Identifier: Apache-2.0
"""Ironic's device hints: read as ironic-python-agent reads them, and held against disks by its rules."""

from __future__ import annotations

import operator
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.errors import HostError, InputError, NoDiskMatches, PlanRefused
from agent.model.device_hints import KINDS, OperatorHints, Spec, expression
from agent.model.disk import Aliases, Disk, RootDeviceHints
from agent.model.fact import Unknown
from agent.model.plan import LeaveDisk
from agent.model.request import REQUEST, DeployRequest, EraseRequest
from agent.plan.check import check
from agent.plan.device_hints import GIB, in_order, judged
from agent.plan.disk import select
from agent.plan.erase import plan_erase
from agent.plan.image import plan_deploy
from agent.plan.text import text
from tests.hardware import HDD, NVME, SSD, deploy, machine

OK = Disk(
    name="sda",
    path="/dev/sda",
    size_bytes=60 * GIB,
    model="OK  Model",
    serial="fakeserial",
    wwn="wwn_1",
    hctl="0:0:0:0",
    device_number="8:0",
)
BIG = Disk(
    name="sdb",
    path="/dev/sdb",
    size_bytes=120 * GIB,
    vendor="Example Disks",
    model="big model",
    serial="veryfakeserial",
    wwn="wwn_2",
    wwn_with_extension="wwn_2_ext",
    also=Aliases(serials=("veryfakeserial", "ALSO"), wwns=("WWN_2_ext",), by_paths=("/dev/disk/by-path/b",)),
    by_path="/dev/disk/by-path/a",
    rotational=True,
    transport="sas",
    device_number="8:16",
)
SMALL = Disk(
    name="nvme0n1",
    path="/dev/nvme0n1",
    size_bytes=10 * GIB + GIB // 2,
    model="small model",
    serial="1500",
    rotational=False,
    transport="nvme",
    device_number="259:0",
)
DISKS = (SMALL, BIG, OK)  # by no order that any rule would make


def hints(**specs: Spec) -> OperatorHints:
    """These."""
    return OperatorHints(specs=specs)


def fitting(**specs: Spec) -> str:
    """The names of all disks that fit, in IPA's order."""
    return " ".join(disk.name for disk in in_order(DISKS) if judged(disk, hints(**specs)).fits)


@pytest.mark.parametrize(
    ("name", "spec", "expected"),
    [
        ("size", 60, "sda"),
        ("size", "120", "sdb"),
        ("size", "== 10", ""),  # 10.5: never rounded
        ("size", ">= 60", "sda sdb"),
        ("size", "= 60", "sda sdb"),  # no mistake: "=" is ">="
        ("size", ">60", "sdb"),
        ("size", "<= 60", "sda nvme0n1"),
        ("size", "< 60", "nvme0n1"),
        ("size", "!= 60", "sdb nvme0n1"),
        ("size", "<or> 60 <or> 120", "sda sdb"),
        ("size", "<range-in> [ 60 120 )", "sda"),
        ("size", "<range-in> ( 60 120 ]", "sdb"),
        ("model", "BIG MODEL", "sdb"),
        ("model", "s==big model", "sdb"),
        ("model", "s!= big model", "sda nvme0n1"),
        ("model", "ok model", "sda"),
        ("model", "<in> model", "sda sdb nvme0n1"),
        ("model", "<in> small", "nvme0n1"),
        ("model", "<in> 20", ""),  # IPA finds it in "big%20model"
        ("model", "<in> small <in> big", "nvme0n1"),  # the first counts
        ("model", "<all-in> mod big", "sdb"),
        ("model", "<or> model 5 <or> small model <or>", "nvme0n1"),
        ("model", "big%20model", ""),
        ("model", "s>= ok", "sda nvme0n1"),
        ("model", "s< ok", "sdb"),
        ("serial", "veryfakeserial", "sdb"),
        ("serial", "s== also", "sdb"),
        ("serial", "s!= also", "sda nvme0n1"),
        ("serial", ">= 1000", "nvme0n1"),
        ("wwn", "wwn_2_EXT", "sdb"),
        ("wwn", "s!= wwn_1", "sdb"),  # a disk without one is not told apart by it
        ("wwn_with_extension", "wwn_2_ext", "sdb"),
        ("wwn_with_extension", "s!= x", "sda sdb nvme0n1"),
        ("vendor", "example disks", "sdb"),
        ("vendor", "ATA", "sda"),  # as SCSI says of SATA disks, and the hints that were copied from there
        ("by_path", "/dev/disk/by-path/b", "sdb"),
        ("hctl", "0:0:0:0", "sda"),
        ("name", "<or> /dev/sdb <or> /dev/nvme0n1", "sdb nvme0n1"),
        ("tran", "nvme", "nvme0n1"),
        ("rotational", "Yes", "sdb"),
        ("rotational", False, "nvme0n1"),
        ("rotational", 0, "nvme0n1"),
        ("volume_name", "s!= root", ""),
    ],
)
def test_what_fits(name: str, spec: Spec, expected: str) -> None:
    """Each operator and each hint does what it does in IPA, or what it says where IPA has an accident."""
    assert fitting(**{name: spec}) == expected


def test_every_hint_must_fit() -> None:
    """Hints narrow each other down."""
    assert fitting(size=">= 50", model="s==big model", serial="veryfakeserial") == "sdb"
    assert fitting(size=">= 50", model="small model") == ""


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        *[("size", spec) for spec in ("big", 0, -5, True, "", "<or> 1 <or> x", ">= 1.5", "s== 5", "<in> 5")],
        *[("size", spec) for spec in ("<range-in> [ 20 10 ]", "<range-in> 10 20", ">= 1 <= 2", 1.5, None)],
        *[("rotational", spec) for spec in ("perhaps", 2, "")],
        *[(name, 5) for name, kind in KINDS.items() if kind == "text"],
        *[("wwn", spec) for spec in (" ", "s==", "<or>", "<in>", "== 0x5000", True)],
        ("colour", "red"),
    ],
)
def test_what_cannot_be_read(name: str, spec: object) -> None:
    """A hint that says nothing is refused before any disk is looked at, and by its name."""
    with pytest.raises(InputError, match=rf"reading the device hints: .*{name}"):
        OperatorHints.of({name: spec})


@pytest.mark.parametrize("given", [[], "serial", None, 5])
def test_hints_that_are_no_table(given: object) -> None:
    """Whatever stands in a node's properties, the answer is a refusal."""
    with pytest.raises(InputError):
        OperatorHints.of(given)


@given(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), st.integers(1, 10**6), st.integers(1, 10**6))
def test_sizes_compare_as_numbers(sign: str, have: int, want: int) -> None:
    """With or without a space after the operator, a size is compared as a number and not as a text."""
    disk = OK.model_copy(update={"size_bytes": have * GIB})
    compare = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}[sign]
    expected = getattr(operator, compare)(have, want)

    assert judged(disk, hints(size=f"{sign} {want}")).fits is judged(disk, hints(size=f"{sign}{want}")).fits is expected


PLAIN = st.text("abcXYZ019 -_./:", min_size=1, max_size=12).filter(str.strip)


@given(PLAIN, PLAIN)
def test_a_text_without_operator_is_the_whole_text(have: str, want: str) -> None:
    """Without an operator a text fits itself, in any case and spacing, and no other; `s!=` is the contrary."""
    disk = OK.model_copy(update={"model": have})
    same = have.lower().split() == want.lower().split()

    assert judged(disk, hints(model=want)).fits is judged(disk, hints(model=f"s== {want}")).fits is same
    assert judged(disk, hints(model=f"s!={want}")).fits is not same
    assert judged(disk, hints(model=f"<or> {want} <or> {have}")).fits


@given(st.text(max_size=30), st.sampled_from(sorted(KINDS)))
def test_any_text_is_read_or_refused(spec: str, name: str) -> None:
    """A spec is refused or can be held against any disk: nothing is found out about it only then."""
    try:
        wanted = OperatorHints.of({name: spec})
    except InputError:
        return
    assert isinstance(judged(BIG, wanted).fits, bool)


def test_expression() -> None:
    """The operator stands apart from its values; a text that only contains one has none."""
    assert expression("size", ">= 123") == (">=", ("123",))
    assert expression("model", "<or> Foo <or> foo  bar") == ("<or>", ("foo", "foo bar"))
    assert expression("model", "a == b") == ("", ("a == b",))


def test_the_first_in_ipas_order_is_taken() -> None:
    """Of several that fit, the lowest device number is taken, as lsblk has them: sd before nvme, sdb before sdaa."""
    last = OK.model_copy(update={"name": "sdaa", "path": "/dev/sdaa", "device_number": "65:160"})
    nameless = OK.model_copy(update={"name": "aaa", "path": "/dev/aaa", "device_number": Unknown(unknown="gone")})

    assert [disk.name for disk in in_order((nameless, last, *DISKS))] == ["sda", "sdb", "sdaa", "nvme0n1", "aaa"]
    assert select(DISKS, hints(size=">= 60")) == OK
    assert select(DISKS, hints(rotational="no")) == SMALL


def test_without_hints_the_smallest_that_is_large_enough() -> None:
    """Of at least 4 GiB, by size and then by name; a stick that was left in the server only where nothing else is."""
    tiny = OK.model_copy(update={"path": "/dev/sdz", "name": "sdz", "size_bytes": 4 * GIB - 1})
    twin = SMALL.model_copy(update={"path": "/dev/nvme1n1", "name": "nvme1n1", "device_number": "8:1"})
    stick = OK.model_copy(update={"path": "/dev/sdy", "name": "sdy", "size_bytes": 8 * GIB, "removable": True})

    assert select((tiny, twin, *DISKS, stick), hints()) == SMALL
    assert select((tiny, stick), hints()) == stick
    with pytest.raises(NoDiskMatches, match=r"for no hints: /dev/sdz .*: is smaller than 4 GiB"):
        select((tiny,), hints())


def test_none_fits_lists_every_disk() -> None:
    """The error names each disk with the hints that it fails; a write-protected one is said to be that."""
    locked = SSD.model_copy(update={"read_only": True})
    with pytest.raises(NoDiskMatches) as caught:
        select((locked, HDD, NVME), hints(size=">= 800", model="PM9A4"))

    assert str(caught.value) == (
        "selecting the disk for size >= 800, model PM9A4: "
        "/dev/sda (WWN 0x5002538f00000001, serial S1, 480.0 GB): is read-only, "
        "size is 447.035 GiB, model is SAMSUNG MZ7; "
        "/dev/sdb (WWN 0x5000c50000000001, serial H1, 4000.0 GB): model is ST4000; "
        "/dev/nvme0n1 (WWN eui.0025385b00000001, serial N1, 960.0 GB): model is PM9A3"
    )


def test_what_is_unknown_fits_nothing() -> None:
    """A fact that could not be read neither fits a hint nor differs from it."""
    blind = OK.model_copy(update={"serial": Unknown(unknown="udev is gone")})
    with pytest.raises(NoDiskMatches, match="serial is unknown \\(udev is gone\\)"):
        select((blind,), hints(serial="s!= x"))


def test_skipped_disks_are_never_chosen() -> None:
    """Neither what the list names, nor what it may name: not by hints of ours, of Ironic's, or without any."""
    skip = (hints(serial="fakeserial"), hints(volume_name="data"))
    blind = BIG.model_copy(update={"serial": Unknown(unknown="udev is gone")})

    assert select(DISKS, hints(size=">= 60"), skip) == BIG
    assert select((OK, BIG), RootDeviceHints(), skip) == BIG
    with pytest.raises(NoDiskMatches, match=r"sda.*is to be skipped by serial fakeserial"):
        select((OK,), hints(name="/dev/sda"), skip)
    with pytest.raises(NoDiskMatches, match=r"sdb.*may have to be skipped by serial fakeserial: serial is unknown"):
        select((blind,), hints(name="/dev/sdb"), skip)


def test_deploying_past_a_skipped_disk() -> None:
    """A deploy never writes to a disk of the skip list, though it fits first."""
    request = DeployRequest.model_validate(
        deploy().model_dump(mode="json")
        | {"root_device": {"specs": {}}, "skip": [{"specs": {"serial": "S1"}}], "overwrite": True}
    )
    plan = check(plan_deploy(machine(SSD, HDD), request, "/spool"))

    assert {step.disk.path for step in plan.steps if hasattr(step, "disk")} == {"/dev/sdb"}


def erase(*skip: OperatorHints, serials: tuple[str, ...] | None = None) -> EraseRequest:
    """Erase all but these."""
    return EraseRequest(request_id="r", node_id="n", skip=skip, serials=serials)


def test_erasing_leaves_skipped_disks() -> None:
    """A disk of the skip list is left as it is, locked or in use as it may be, and the plan says so."""
    held = SSD.model_copy(update={"users": ("/dev/sda1 is held by md0",)})
    plan = check(plan_erase(machine(held, HDD), erase(hints(size="< 1000"))))

    assert text(plan).splitlines()[1:] == [
        "1. leave /dev/sda (WWN 0x5002538f00000001, serial S1, 480.0 GB) as it is: to be skipped by size < 1000",
        "2. erase all of /dev/sdb (WWN 0x5000c50000000001, serial H1, 4000.0 GB); read 65 samples back",
    ]
    assert [one.disk.path for one in plan.preconditions] == ["/dev/sdb"]
    named = plan_erase(machine(SSD, HDD), erase(hints(serial="S1"), serials=("S1",)))
    assert [step.kind for step in named.steps] == ["leave_disk"]


def test_erasing_does_not_guess() -> None:
    """Whether a disk may be erased must be known: neither its loss nor its data left behind is a guess's worth."""
    blind = SSD.model_copy(update={"serial": Unknown(unknown="udev is gone")})
    with pytest.raises(HostError, match=r"judging whether /dev/sda .* is to be skipped by serial X: .*udev is gone"):
        plan_erase(machine(blind), erase(hints(serial="X")))


def test_requests_over_the_wire() -> None:
    """Both kinds of hints come back as what they were; a request of before has none to skip; an empty entry would
    skip every disk, and is refused.
    """
    ours, ironics = deploy(serial="S1"), deploy().model_copy(update={"root_device": hints(), "skip": (hints(size=5),)})
    for request in (ours, ironics):
        again = REQUEST.validate_json(REQUEST.dump_json(request))
        assert isinstance(again, DeployRequest)
        assert (again.root_device, again.skip) == (request.root_device, request.skip)
    before = ours.model_dump(mode="json", exclude={"skip"})
    assert DeployRequest.model_validate(before).skip == ()
    with pytest.raises(ValidationError, match="names no disk"):
        erase(hints())


def test_specs_keep_their_type() -> None:
    """A number stays a number and a truth a truth, over the wire too: 1 is not yes where a size is meant."""
    wanted = hints(size=1, rotational=True, serial="1")
    again = OperatorHints.model_validate_json(wanted.model_dump_json())

    assert [type(spec) for spec in again.specs.values()] == [int, bool, str] and set(get_args(Spec)) == {str, int, bool}


def test_leaving_a_disk_that_is_written() -> None:
    """The checker refuses a plan that writes to a disk which it says to leave."""
    plan = plan_erase(machine(SSD), erase())
    left = LeaveDisk(disk=SSD.identity, why="to be skipped")
    with pytest.raises(PlanRefused, match="is written and left as it is"):
        check(plan.model_copy(update={"steps": (*plan.steps, left)}))

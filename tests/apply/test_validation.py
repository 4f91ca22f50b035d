# SPDX-License-Identifier: Apache-2.0
"""Hardware that is tested: each verdict by its code, what was not tested never passes, and everything has an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from agent.apply.burn_in.course import Course
from agent.apply.burn_in.cpu import burn_cpu
from agent.apply.validation import TESTS, cut_short, validate
from agent.apply.validation.answers import ANSWERS, Answer, wrong_of
from agent.apply.validation.limits import more_s
from agent.apply.validation.links import gateways
from agent.apply.validation.processors import answers, temperatures
from agent.apply.validation.trials import Bench
from agent.errors import BurnInFailed, Recalled, TimeOver, ValidationFailed
from agent.host.fake import FakeHost, FaultPlan
from agent.host.fake.network import FakeProbe
from agent.model.burn_in import CpuLoad, Verdict
from agent.model.hardware.sensor import MemoryErrors, RankErrors, Sensor
from agent.model.network import IPAddress
from agent.model.validation import Validated, codes
from agent.model.validation.catalogue import CATALOGUE
from tests.apply.disks import disk_of
from tests.apply.validating import (
    GATEWAY,
    RECORD,
    Seen,
    codes_of,
    found,
    identity,
    made,
    report_of,
    step,
    timed,
    trials,
)


def test_every_test_of_the_catalogue_can_be_done() -> None:
    """And nothing else."""
    assert set(TESTS) == {one.name for one in CATALOGUE}


def test_a_machine_that_is_well() -> None:
    """All of the quick profile: nothing failed, each has a verdict, and nothing is left behind."""
    has, before = made(2), threading.active_count()
    names = [one.name for one in CATALOGUE if "quick" in one.profiles and not one.destroys]
    report = found(has, step(*names, disks=2, least=1))  # of memory, and of a moment: no siblings to compare

    assert report.state == "passed", report.verdicts
    assert {one.test for one in report.verdicts} == set(names)
    assert report.count("passed") + report.count("skipped") == len(report.verdicts)
    assert RECORD not in has.tree.entries and threading.active_count() == before
    assert disk_of(has).content.blank and not disk_of(has).opened_exclusively


@pytest.mark.parametrize("kind", list(ANSWERS))
def test_known_answers(kind: str) -> None:
    """This processor is well; one that computes that otherwise is found."""
    known = ANSWERS[kind]
    assert wrong_of({kind: known}) == ()
    assert wrong_of({kind: Answer(lambda: known.compute()[::-1], known.known)}) == (kind,)


def test_a_processor_that_is_wrong_now_and_then() -> None:
    """It is named, with what it cannot do, and no other is."""
    one = timed(made())
    turns = iter(["good", "good", "good", "bad"])
    asked = step("cpu.answers", rounds=2)
    course = Course(one, RECORD, lambda *_: None)
    bench = Bench(one, asked, course, Seen(one), Seen(one).hardware(), lambda _: None)
    verdicts = answers(bench, asked.trials[0], {"SHA": Answer(lambda: next(turns, "good"), "good")})

    assert [(one.subject, one.state, one.code) for one in verdicts] == [("processor 1", "failed", codes.CPU_WRONG)]
    assert verdicts[0].told == "wrong results: SHA (1 of 2)"


def test_temperatures() -> None:
    """Beyond its own limit is degraded; the one that is nearest to it is told; without limits nobody is judged."""
    (one,) = trials("cpu.load")

    def sensor(celsius: float, limit: float | None) -> Sensor:
        return Sensor(chip="coretemp", name=f"Core {celsius}", reading=celsius, reading_units="Cel", critical=limit)

    assert [each.code for each in temperatures(one, (sensor(50, 100), sensor(101, 100)))] == [codes.CPU_HOT]
    (well,) = temperatures(one, (sensor(50, 100), sensor(80, 90)))
    assert (well.state, well.figures["°C"], well.figures["limit °C"]) == ("passed", 80, 90)
    assert [each.state for each in temperatures(one, (sensor(50, None),))] == ["skipped"]


@pytest.mark.parametrize(
    ("chip", "name", "is_judged"),
    [
        ("k10temp", "Tctl", True), ("cpu_thermal", "temp1", True), ("x86_pkg_temp", "temp1", True),
        ("nct6798", "CPUTIN", True), ("nct6798", "PECI Agent 0", True), ("nct6798", "SYSTIN", False),
        ("nvme", "Composite", False), ("drivetemp", "temp1", False), ("mlx5", "asic", False),
        ("acpitz", "temp1", False), ("jc42", "temp1", False),
    ],
)  # fmt: skip
def test_whose_temperature_it_is(chip: str, name: str, is_judged: bool) -> None:
    """The load is the processors': a disk, a NIC or a module that is hot is not what this test finds."""
    (one,) = trials("cpu.load")
    hot = Sensor(chip=chip, name=name, reading=101, reading_units="Cel", critical=100)

    assert [each.state for each in temperatures(one, (hot,))] == (["degraded"] if is_judged else ["skipped"])


def counter(correctable: int, uncorrectable: int) -> tuple[MemoryErrors, ...]:
    """A memory controller with two modules."""
    ranks = (
        RankErrors(name="DIMM_A1", correctable=0, uncorrectable=0),
        RankErrors(name="DIMM_B2", correctable=correctable, uncorrectable=uncorrectable),
    )
    return (MemoryErrors(controller="mc0", correctable=correctable, uncorrectable=uncorrectable, modules=ranks),)


@pytest.mark.parametrize(
    ("counts", "state", "code"),
    [
        ((0, 0), "passed", codes.PASSED),
        ((3, 0), "degraded", codes.CORRECTED),
        ((3, 1), "failed", codes.UNCORRECTED),
    ],
)
def test_what_memory_controllers_counted(counts: tuple[int, int], state: str, code: str) -> None:
    """The module is named."""
    report = found(made(), step("memory.errors", "memory.bandwidth"), memory_errors=counter(*counts))

    assert (report.verdicts[0].state, report.verdicts[0].code) == (state, code)
    assert not any(counts) or report.verdicts[0].told == f"DIMM_B2: {counts[0]} corrected, {counts[1]} uncorrected"
    assert int(report.verdicts[1].figures["MB/s"]) > 0


def test_what_is_counted_meanwhile() -> None:
    """A machine check, or an error on the bus, while a test runs is a finding of its own, with the place."""
    has = made()
    has.tree.put(
        "/proc/interrupts", b"           CPU0       CPU1\n MCE:          0          0   Machine check exceptions\n"
    )
    aer = "/sys/bus/pci/devices/0000:01:00.0/aer_dev_correctable"
    has.tree.put(aer, b"RxErr 0\nTOTAL_ERR_COR 0\n")
    one = timed(has)

    def advance(*_: object) -> None:
        has.tree.put("/proc/interrupts", b" MCE:          0          2   Machine check exceptions\n")
        has.tree.put(aer, b"RxErr 7\nTOTAL_ERR_COR 7\n")

    waiting = Watching(advance)
    with pytest.raises(ValidationFailed, match=r"2 machine checks while it ran") as caught:
        validate(one, step("memory.bandwidth"), waiting, Seen(one))
    verdicts = {each.code: each for each in report_of(caught.value.found).verdicts}
    assert verdicts[codes.MACHINE_CHECK].state == "failed"
    assert verdicts[codes.BUS_CORRECTED].told.startswith("7 corrected PCI Express errors of 0000:01:00.0")
    assert verdicts[codes.PASSED].test == "memory.bandwidth"


@dataclass
class Watching:
    """Does something once a test is at work."""

    act: Callable[[], object]

    def __call__(self, done: int, total: int | None, text: str | None = None, /) -> None:
        """The progress."""
        if text and " of 1 s" in text:
            self.act()


def test_gateways() -> None:
    """One that answers; one that is silent; one that loses packets; errors that a NIC counts meanwhile."""
    assert codes_of(found(made(), step("network.gateway"))) == [(f"{GATEWAY} through eno1", codes.PASSED)]
    has = made()
    has.silent.add(GATEWAY)
    silent = found(has, step("network.gateway"))
    assert codes_of(silent) == [(f"{GATEWAY} through eno1", codes.GATEWAY_SILENT)] and silent.state == "failed"


@dataclass
class Narrow:
    """A probe to whom nothing longer than that is echoed."""

    probe: FakeProbe
    most: int

    def neighbour(self, link: str, address: IPAddress, timeout_s: float) -> bool:
        """As it is."""
        return self.probe.neighbour(link, address, timeout_s)

    def echo(self, link: str, address: IPAddress, size_bytes: int, timeout_s: float) -> bool:
        """Where it is short enough."""
        return size_bytes <= self.most and self.probe.echo(link, address, size_bytes, timeout_s)


@pytest.mark.parametrize(("most", "expected"), [(1400, ("failed", codes.MTU)), (0, ("skipped", codes.UNKNOWN))])
def test_gateways_that_do_not_take_the_whole_mtu(most: int, expected: tuple[str, str]) -> None:
    """A black hole is told; where no echo is answered nothing is known of the MTU."""
    has = made()
    one = replace(timed(has), probe=Narrow(FakeProbe(has, FaultPlan()), most))  # type: ignore[arg-type]
    asked = step("network.gateway")
    bench = Bench(one, asked, Course(one, RECORD, lambda *_: None), Seen(one), Seen(one).hardware(), lambda _: None)
    (verdict,) = gateways(bench, asked.trials[0])

    assert (verdict.state, verdict.code) == expected


def test_limits_grow_with_the_work() -> None:
    """Many packets take their time, to each gateway, and so do many bytes: that is no fault."""
    asked = step("network.gateway", packets=40)
    short = asked.trials[0].model_copy(update={"limit_s": 1})
    assert codes_of(found(made(), asked.model_copy(update={"trials": (short,)}))) == [
        (f"{GATEWAY} through eno1", codes.PASSED)
    ]

    one, large = timed(made()), step("disk.surface", "disk.write", "cpu.answers", "network.gateway", disks=1, wiped=1)
    large = large.model_copy(update={"disks": (identity().model_copy(update={"size_bytes": 24 * 10**12}),)})
    bench = Bench(one, large, Course(one, RECORD, lambda *_: None), Seen(one), Seen(one).hardware(), lambda _: None)
    surface, write, rounds, packets = (more_s(bench, trial) for trial in large.trials)
    assert surface > 10 * 86400 and 0 < write < 1 and rounds > 0 and packets > 8


def test_a_cable_that_loses() -> None:
    """Packets are counted, and so are the errors of NICs; both are degraded."""
    has = made()
    counted = "/sys/class/net/eno1/statistics/rx_crc_errors"
    has.tree.put(counted, b"4\n")
    one = timed(has)

    def losing(done: int, total: int | None, text: str | None = None, /) -> None:
        (has.silent.add if text and ", 4 of 8 packets" in text else has.silent.discard)(GATEWAY)
        if text and "packets" in text:
            has.tree.put(counted, b"9\n")

    report = report_of(validate(one, step("network.gateway"), losing, Seen(one)))
    assert [(each.code, each.state) for each in report.verdicts] == [
        (codes.LOSS, "degraded"),
        (codes.NIC_ERRORS, "degraded"),
    ]
    assert report.verdicts[0].figures["lost"] == 1 and report.verdicts[1].figures == {"rx_crc_errors": 5}


def test_called_off() -> None:
    """At once, whatever is at work; that is no finding, and nothing goes on."""
    before = threading.active_count()
    one = timed(made())

    def advance(done: int, total: int | None, text: str | None = None, /) -> None:
        if text and "cpu.load, cpu, " in text:
            raise Recalled("testing", "called off")

    began_s = time.monotonic()
    with pytest.raises(Recalled, match="called off"):
        validate(one, step("cpu.load", seconds=600), advance, Seen(one))
    assert time.monotonic() - began_s < 20 and threading.active_count() == before


def test_the_time_of_all_tests() -> None:
    """What did not come to its end, or was not begun, is not passed."""
    report = found(made(), step("memory.errors", "cpu.load", "disk.read", disks=1, seconds=600, time_limit_s=2))

    assert [one.code for one in report.verdicts] == [codes.NOT_APPLICABLE, codes.TIME_OVER, codes.TIME_OVER]
    assert report.state == "skipped"


def test_what_takes_too_long_and_moves() -> None:
    """It does not hang, the next one is done, and the whole is not passed."""
    asked = step("cpu.load", "memory.bandwidth", seconds=1)
    short = asked.trials[0].model_copy(update={"limit_s": 1, "settings": {"seconds": 600}})
    report = found(made(), asked.model_copy(update={"trials": (short, asked.trials[1])}))

    assert [one.code for one in report.verdicts] == [codes.TIME_OVER, codes.PASSED]
    assert report.state == "incomplete" and report.verdicts[0].told == "it did not end in 1 s"


def test_what_does_not_move() -> None:
    """That hangs, and who does is said."""
    one = cut_short(trials("memory.bandwidth")[0], ["bandwidth-3"], "it did not end in 9 s")

    assert (one.state, one.code) == ("failed", codes.HANGS)
    assert one.told == "it did not end in 9 s, and does not come back: bandwidth-3"


@pytest.mark.parametrize(
    ("skips", "state"),
    [
        ((), "passed"),
        ((codes.NOT_APPLICABLE, codes.NO_CARRIER), "passed"),
        ((codes.NOT_APPLICABLE, codes.TIME_OVER), "incomplete"),
        ((codes.UNKNOWN,), "incomplete"),
    ],
)
def test_what_the_whole_is(skips: tuple[str, ...], state: str) -> None:
    """Passed, if all of it was tested that is there; what is bad comes before, and nothing tested is nothing passed."""
    skipped = tuple(Verdict(part="cpu", state="skipped", code=code) for code in skips)

    assert Validated.of((Verdict(part="cpu", state="passed"), *skipped)).state == state
    assert Validated.of((Verdict(part="cpu", state="degraded"), *skipped)).state == "degraded"
    assert Validated.of(skipped).state == "skipped"


def test_wrong_answers_before_the_time_was_over() -> None:
    """They count, and so does that the rest is not known."""
    one, twice = timed(made()), threading.Event()
    turns: list[str] = []

    def wrong() -> str:
        turns.append("bad")
        if len(turns) > 1:
            twice.set()
        return turns[-1]

    def advance(*_: object) -> None:
        twice.wait(20)
        raise TimeOver("testing", "over")

    asked = step("cpu.answers", rounds=100_000)
    bench = Bench(one, asked, Course(one, RECORD, advance), Seen(one), Seen(one).hardware(), lambda _: None)
    verdicts = answers(bench, asked.trials[0], {"SHA": Answer(wrong, "good")})
    assert [each.code for each in verdicts] == [codes.TIME_OVER, codes.CPU_WRONG]

    course = Course(one, RECORD, advance)
    with pytest.raises(BurnInFailed, match="gave a wrong result"):
        burn_cpu(one, CpuLoad(seconds=600), course, wrong)


def test_nothing_tested_is_no_success() -> None:
    """A machine of which nothing is known has not passed."""
    one = timed(made())
    with pytest.raises(ValidationFailed, match=r"nothing was tested: memory\.errors skipped"):
        validate(one, step("memory.errors"), lambda *_: None, Seen(one))


def test_a_process_that_follows() -> None:
    """It tests nothing twice that was tested, and says that it was interrupted."""
    has = made()
    course = Course(FakeHost.of(has), RECORD, lambda *_: None)
    course.begin()
    before = Verdict(test="cpu.load", part="cpu", state="degraded", code=codes.CPU_UNEVEN, told="before")
    course.keep("cpu.load", (before,))
    one = timed(has)
    result = validate(one, step("cpu.load", "memory.bandwidth"), lambda *_: None, Seen(one))

    assert result["interrupted"] == 1 and result["verdict"] == "degraded"
    assert report_of(result).verdicts[0] == before and len(report_of(result).verdicts) == 2

# SPDX-License-Identifier: Apache-2.0
"""ATA drives that hide a part of themselves: it is shown for good, erased with the rest, and proven; or it is said why
that could not be.
"""

from __future__ import annotations

import pytest

from agent.errors import AgentError
from agent.host.erasers import showing
from agent.host.fake import FakeHost, Machine
from agent.host.fake.erasing import CAPACITIES, AtaMind
from agent.host.fake.faults import Died, Effect, FaultPlan
from agent.model.disk import DiskIdentity
from agent.model.erasing import ata
from agent.model.job import JobState
from agent.model.plan import EraseDisk, EraseDisks
from agent.model.request import EraseRequest
from agent.operations import Operations
from agent.plan.text import text
from tests.apply import test_boot
from tests.apply.erasable import DATA, MIB, SIZE, certified, drive, holds_data, machine, only, served
from tests.apply.test_erasing_hidden import FEATURES

HIDDEN = MIB
MORE: dict[str, object] = {"made_with": (SIZE + HIDDEN) // 512, "hidden": (DATA * (HIDDEN // len(DATA) + 1))[:HIDDEN]}


def hiding(**facts: object) -> tuple[Machine, AtaMind]:
    """A drive with somebody's data in what it shows, and in what it hides."""
    made = machine()
    return made, drive(made, AtaMind, **(MORE | facts))


def keeps_any(mind: AtaMind) -> bool:
    """Whether any of it is on the medium, wherever."""
    return holds_data(mind) or DATA in mind.medium.durable.read(SIZE, HIDDEN)


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("facts", [{}, {"sanitizes": 0xB000}, {"sanitizes": 0x9000, "leaves_noise": True}])
def test_what_is_hidden_is_shown_and_erased(feature: str, facts: dict[str, object]) -> None:
    """It is as large as it was made, for good, and proven erased to its end; what it hid is told."""
    made, mind = hiding(feature=feature, **facts)
    one = only(served(FakeHost.of(made), show_hidden=True))

    assert (one.outcome, one.size_bytes, mind.medium.size_bytes) == ("erased", SIZE + HIDDEN, SIZE + HIDDEN)
    assert not keeps_any(mind) and mind.orders[0] == "show"
    assert "it hid 1048576 bytes behind its end, and shows them now" in one.passed_over[-1]
    assert made.tree.entries[made.tree.resolve("/sys/block/sda0/size")] == f"{(SIZE + HIDDEN) // 512}\n".encode()


def test_the_samples_reach_to_its_end() -> None:
    """As they are planned, and told to the operator."""
    made, mind = hiding()
    planned = Operations(FakeHost.of(made), "ramdisk", "/s")
    plan = planned.plan(EraseRequest(request_id="r", node_id="n", method="secure", show_hidden=True))
    (step,) = plan.steps
    assert isinstance(step, EraseDisks) and isinstance(erasure := step.erasures[0], EraseDisk)
    assert erasure.shown_offsets[-1] == SIZE + HIDDEN - MIB and erasure.sample_offsets[-1] == SIZE - MIB
    assert "and the 1048576 bytes that it hides, which it is to show first" in text(plan) and mind.orders == []


def test_without_the_policy_nothing_is_shown() -> None:
    """Who does not ask for it keeps the drive as it is: it is told, and not proven."""
    made, mind = hiding()
    one = only(served(FakeHost.of(made)))

    assert (one.outcome, one.size_bytes) == ("unproven", SIZE) and "show" not in mind.orders


@pytest.mark.parametrize("facts", [{"is_frozen": True}, {"keeps_hidden": True}], ids=["frozen", "says that it did"])
def test_what_cannot_be_shown_is_not_proven(facts: dict[str, object]) -> None:
    """What can be reached is erased all the same; the rest is told, with what to do."""
    made, mind = hiding(**facts)
    one = only(served(FakeHost.of(made), show_hidden=True))

    assert (one.outcome, one.nist, one.size_bytes) == ("unproven", "none", SIZE) and not holds_data(mind)
    assert any("showing what it hides" in told and "switch the drive off and on" in told for told in one.passed_over)
    assert "it hides 1048576 bytes" in one.evidence


def test_a_kernel_that_does_not_see_it() -> None:
    """The drive shows it, and nobody can reach it before the next boot: not proven, and that boot is asked for."""
    made, mind = hiding()
    made.look_again = lambda: None  # type: ignore[method-assign]
    one = only(served(FakeHost.of(made), show_hidden=True))

    assert one.outcome == "unproven" and any("boot the machine again" in told for told in one.passed_over)
    del made.look_again
    made.cut_power()
    again = only(served(FakeHost.of(made), 2, show_hidden=True))
    assert (again.outcome, again.size_bytes) == ("erased", SIZE + HIDDEN) and not keeps_any(mind)


def test_a_locked_drive_is_opened_before() -> None:
    """It takes no such order while it is locked."""
    made, mind = hiding(password=ata.PASSWORD.ljust(32, b"\0"))
    one = only(served(FakeHost.of(made), show_hidden=True))

    assert (one.outcome, one.size_bytes) == ("erased", SIZE + HIDDEN) and not keeps_any(mind)


def test_what_comes_after_is_done_too() -> None:
    """A disk that grew is still the one that was planned for: boot entries, and the TPM, are seen to after it."""
    made, _ = hiding()
    made.tree.put("/proc/sys/kernel/arch", b"x86_64\n")
    told = test_boot.ready(test_boot.FORGET).variables
    assert told is not None
    made.variables = {**told, "BootNext": b"\x03\0"}
    job = served(FakeHost.of(made), show_hidden=True, platform=True)

    assert job.state is JobState.SUCCEEDED, job.fault
    assert "BootNext" not in made.variables


@pytest.mark.parametrize("effect", [Effect.FAIL, Effect.DIE_BEFORE, Effect.DIE_AFTER])
def test_every_fault_around_it(effect: Effect) -> None:
    """Whichever call fails or is the last: nothing is called erased that is not, and the next erasure proves all."""
    calls = FaultPlan()
    made, _ = hiding()
    served(FakeHost.of(made, calls), show_hidden=True)
    first = next(at for at, call in enumerate(calls.calls, 1) if call.startswith("erasers.ata_show"))
    for at in range(first - 8, first + 14):
        made, mind = hiding()
        try:
            job = served(FakeHost.of(made, FaultPlan(at=at, effect=effect)), show_hidden=True)
            if job.result.get("certificate"):
                assert not certified(job).is_clean or not keeps_any(mind)
        except (Died, AgentError):
            pass
        mind.lock()
        made.cut_power()
        again = served(FakeHost.of(made), 2, show_hidden=True)
        assert (again.state, only(again).size_bytes) == (JobState.SUCCEEDED, SIZE + HIDDEN), (at, again.fault)
        assert not keeps_any(mind)


def test_a_disk_that_grew_in_the_middle_is_the_one_begun() -> None:
    """After a power cut it shows more than when it was begun, and than the order says: by its names it is the same."""
    before = DiskIdentity(path="/dev/sda", wwn="0x5", serial="S", size_bytes=SIZE, logical_sector_bytes=512)
    assert before.grown(HIDDEN).has_grown_from(before) and not before.has_grown_from(before.grown(HIDDEN))
    other = before.model_copy(update={"wwn": "0x6"})
    nameless = before.model_copy(update={"wwn": None, "serial": None})
    assert not other.grown(HIDDEN).has_grown_from(before) and not nameless.grown(HIDDEN).has_grown_from(nameless)


def test_the_orders_byte_by_byte() -> None:
    """SET MAX ADDRESS EXT stands right behind the question, and is to outlast power cuts (COUNT 1); as hdparm -Np has
    them. The address is split as SAT-4, table 174, has it.
    """
    question, order = showing(CAPACITIES["protected area"], 0x123456789A)
    assert question.hex(" ") == "85 07 20 00 00 00 00 00 00 00 00 00 00 40 27 00"
    assert order.hex(" ") == "85 07 20 00 00 00 01 34 9a 12 78 00 56 40 37 00"
    (accessible,) = showing(CAPACITIES["max address"], 0x99)
    assert accessible.hex(" ") == "85 07 20 00 01 00 00 00 99 00 00 00 00 40 78 00"
    (restore,) = showing(CAPACITIES["overlay"], 0x99)
    assert restore.hex(" ") == "85 06 20 00 c0 00 00 00 00 00 00 00 00 00 b1 00"

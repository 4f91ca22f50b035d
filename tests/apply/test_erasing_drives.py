# SPDX-License-Identifier: Apache-2.0
"""Drives that forget by themselves: chosen by what they say, watched over power cuts, and never believed."""

from __future__ import annotations

import pytest

from agent.apply.erasing import erase
from agent.errors import AgentError
from agent.host.fake import Died, Effect, FakeHost, FaultPlan
from agent.host.fake.erasing import AtaMind, NvmeMind, Sanitizer, ScsiMind
from agent.link.key import node_key
from agent.model.erasing import Means, ata
from agent.model.erasing.certificate import IN_RESULT, SignedCertificate
from agent.model.job import JobState
from agent.model.plan import EraseDisk, EraseDisks
from agent.model.request import EraseRequest
from agent.operations import Operations
from tests.apply.erasable import SIZE, certified, drive, holds_data, machine, only, served

BOTH = 0xB000
"""Word 59: sanitize, by crypto scramble and by block erase."""
CASES = [
    (NvmeMind, {}, Means.NVME_SANITIZE_CRYPTO, "purge"),
    (NvmeMind, {"powers": 2}, Means.NVME_SANITIZE_BLOCK, "purge"),
    (NvmeMind, {"powers": 0}, Means.NVME_FORMAT_CRYPTO, "clear"),
    (NvmeMind, {"powers": 0, "fna": 0}, Means.NVME_FORMAT_ERASE, "clear"),
    (NvmeMind, {"powers": 0, "oacs": 0}, Means.ZERO, "clear"),
    (AtaMind, {"sanitizes": BOTH}, Means.ATA_SANITIZE_CRYPTO, "purge"),
    (AtaMind, {"sanitizes": 0x9000}, Means.ATA_SANITIZE_BLOCK, "purge"),
    (AtaMind, {}, Means.ATA_SECURE_ERASE_ENHANCED, "clear"),
    (AtaMind, {"has_enhanced": False}, Means.ATA_SECURE_ERASE, "clear"),
    (AtaMind, {"is_frozen": True}, Means.ZERO, "clear"),
    (AtaMind, {"is_frozen": True, "sanitizes": 0x9000}, Means.ATA_SANITIZE_BLOCK, "purge"),
    (ScsiMind, {}, Means.SCSI_SANITIZE_CRYPTO, "purge"),
    (ScsiMind, {"actions": (2,)}, Means.SCSI_SANITIZE_BLOCK, "purge"),
    (ScsiMind, {"actions": ()}, Means.ZERO, "clear"),
]


@pytest.mark.parametrize(("kind", "facts", "means", "nist"), CASES)
@pytest.mark.parametrize("noise", [False, True])
def test_the_best_that_a_drive_can(
    kind: type[Sanitizer], facts: dict[str, object], means: Means, nist: str, noise: bool
) -> None:
    """Each drive is erased by the best of what it says it can do, whatever it leaves; the certificate tells by what."""
    made = machine()
    mind = drive(made, kind, takes_s=600.0, leaves_noise=noise and means is not Means.ZERO, **facts)
    job = served(FakeHost.of(made))
    one = only(job)

    assert (job.state, one.outcome, one.means, one.nist) == (JobState.SUCCEEDED, "erased", means, nist), one.evidence
    assert one.samples.canaries == one.samples.read == 3 and not one.samples.survived
    assert (one.serial, one.firmware, one.size_bytes) == ("D0", "FW1", SIZE)
    assert not holds_data(mind) and mind.medium.table_rereads == 1
    assert means.is_sanitize == (one.drive_log is not None)


@pytest.mark.parametrize(("kind", "facts", "means", "_nist"), [case for case in CASES if case[2] is not Means.ZERO])
def test_no_success_is_believed(kind: type[Sanitizer], facts: dict[str, object], means: Means, _nist: str) -> None:
    """A drive that says it has forgotten, by whichever means, and has not, has failed: its canaries are alive."""
    made = machine()
    mind = drive(made, kind, takes_s=600.0, keeps=True, **facts)
    job = served(FakeHost.of(made))
    one = only(job)

    assert (job.state, one.outcome, one.nist) == (JobState.FAILED, "failed", "none") and mind.orders
    assert one.samples.survived == 3 and "3 canaries are still there" in one.evidence
    assert job.fault is not None and job.fault.code == "DISK.ERASE_UNPROVEN"


def test_frozen_is_told() -> None:
    """A drive that the firmware has frozen is erased by other means, and it is said why."""
    made = machine()
    drive(made, AtaMind, is_frozen=True)

    assert "frozen by the firmware" in only(served(FakeHost.of(made))).passed_over[0]


def test_a_drive_that_refuses_is_erased_otherwise() -> None:
    """What it says that it can do, and then does not begin, is passed over for the next; the certificate has both."""
    made = machine()
    mind = drive(made, NvmeMind, powers=2)
    said = mind.answer("identify 1 0")
    assert said is not None
    mind.powers, mind.fna = 0, 0
    made.drives["/dev/nvme0n1", "identify 1 0"] = said
    made.drives["/dev/nvme0n1", "log 129"] = bytes(512)

    class Boasting(NvmeMind):
        """Says what it once could."""

        def answer(self, question: str) -> bytes | None:
            """As recorded."""
            return None if question in ("identify 1 0", "log 129") else super().answer(question)

    made.minds["/dev/nvme0n1"] = Boasting(machine=made, medium=mind.medium, powers=0, fna=0)
    one = only(served(FakeHost.of(made)))

    assert (one.outcome, one.means) == ("erased", Means.NVME_FORMAT_ERASE)
    assert [text.partition(":")[0] for text in one.passed_over] == ["nvme_sanitize_block", "nvme_format_crypto"]


def test_samples_that_cannot_be_read_prove_nothing() -> None:
    """The drive says that it is sanitized, and cannot be read: unproven."""
    made = machine()
    drive(made, NvmeMind, unreadable_after=True)
    one = only(served(FakeHost.of(made)))

    assert (one.outcome, one.nist, one.samples.unreadable) == ("unproven", "none", 3)


def test_a_drive_that_vanishes() -> None:
    """One that is gone at the half is a failure that says so, and nobody waits for it for ever."""
    made = machine()
    drive(made, ScsiMind, takes_s=3600.0, gone_at=0.5)
    one = only(served(FakeHost.of(made)))

    assert one.outcome == "failed" and "the drive is gone, at 50%" in one.evidence
    assert made.uptime_s < 4000


def test_a_sanitize_that_stands_still() -> None:
    """Without any progress for hours it is given up."""
    made = machine()
    drive(made, NvmeMind, takes_s=1e12)
    one = only(served(FakeHost.of(made)))

    assert one.outcome == "failed" and "no progress for 6 hours" in one.evidence


@pytest.mark.parametrize(
    ("kind", "facts"), [(NvmeMind, {"powers": 2}), (AtaMind, {"sanitizes": 0x9000}), (ScsiMind, {"actions": (2,)})]
)
def test_a_sanitize_is_found_again_after_a_power_cut(kind: type[Sanitizer], facts: dict[str, object]) -> None:
    """It goes on by itself, is not begun again, and its end is proven by the drive's log and the samples."""
    made = machine()
    mind = drive(made, kind, takes_s=3600.0, **facts)
    host = FakeHost.of(made, FaultPlan(at=first_order(kind, "", **facts) + 4, effect=Effect.DIE_AFTER))
    with pytest.raises(Died):
        served(host)
    assert len(mind.orders) == 1
    made.cut_power(keep_files=False)
    mind.reboot(seconds=900.0)
    told: list[str] = []
    job = served(FakeHost.of(made), 2)
    one = only(job)

    assert (job.state, one.outcome, one.resumed, len(mind.orders)) == (JobState.SUCCEEDED, "erased", True, 1), told
    assert one.samples.zero == one.samples.read and one.drive_log
    assert 2600 < made.uptime_s < 2800  # what was left of the hour


def first_order(kind: type[Sanitizer], order: str, **facts: object) -> int:
    """The number of the call, of all doors', by which the drive is first given that order."""
    made = machine()
    drive(made, kind, takes_s=3600.0, **facts)
    faults = FaultPlan()
    served(FakeHost.of(made, faults))
    return next(at for at, call in enumerate(faults.calls, 1) if call.startswith(f"erasers.{order}"))


def test_noise_after_a_power_cut_proves_nothing() -> None:
    """A key that was thrown away leaves noise; whether it is another than before, nobody knows any more: it is begun
    anew, with canaries, at once.
    """
    made = machine()
    mind = drive(made, NvmeMind, takes_s=60.0, leaves_noise=True)
    mind.action = 4
    mind.begin("somebody's")
    one = only(served(FakeHost.of(made)))

    assert (one.outcome, one.nist, one.resumed, len(mind.orders)) == ("erased", "purge", False, 2)
    assert "which was under way: no canary could be written before" in one.passed_over[-1]


def test_power_cut_within_a_secure_erase() -> None:
    """The drive comes back locked; whoever erases it next opens it by the same password, erases it, and it has none."""
    made = machine()
    mind = drive(made, AtaMind)

    at = first_order(AtaMind, f"ata_security(/dev/sda0, {ata.ERASE_UNIT}")
    with pytest.raises(Died):
        served(FakeHost.of(made, FaultPlan(at=at, effect=Effect.DIE_BEFORE)))
    made.cut_power()
    mind.lock()
    assert mind.is_locked and mind.password == ata.PASSWORD.ljust(32, b"\0")
    job = served(FakeHost.of(made), 2)

    assert (job.state, only(job).outcome) == (JobState.SUCCEEDED, "erased")
    assert vars(mind)["password"] is None


@pytest.mark.parametrize("method", ["zero", "secure"])
def test_a_locked_drive_is_opened_whatever_is_asked(method: str) -> None:
    """Also an erasure by writing frees a drive that an earlier one left locked."""
    made = machine()
    mind = drive(made, AtaMind, password=ata.PASSWORD.ljust(32, b"\0"))

    assert only(served(FakeHost.of(made), method=method)).outcome == "erased" and mind.password is None


def test_a_strangers_password() -> None:
    """A drive that is locked by another password has failed; one try is made, since five would shut it."""
    made = machine()
    mind = drive(made, AtaMind, password=b"tenant".ljust(32, b"\0"))
    one = only(served(FakeHost.of(made)))

    assert one.outcome == "failed" and "another password than ours" in one.evidence
    assert mind.orders == ["security 0xf2"] and holds_data(mind)


@pytest.mark.parametrize("effect", [Effect.FAIL, Effect.DIE_AFTER])
def test_no_fault_leaves_a_password(effect: Effect) -> None:
    """Whichever door fails or is the last while the drive has one, the next erasure leaves it erased and without."""
    first = first_order(AtaMind, "ata_security")
    for at in range(first - 2, first + 9):
        made = machine()
        mind = drive(made, AtaMind)
        try:
            served(FakeHost.of(made, FaultPlan(at=at, effect=effect)))
        except (Died, AgentError):
            mind.lock()
        made.cut_power()
        job = served(FakeHost.of(made), 2)
        assert (job.state, mind.password) == (JobState.SUCCEEDED, None) and not holds_data(mind)


def test_a_family_that_a_drive_does_not_have_is_refused() -> None:
    """Whoever asks for one kind of means gets no other: nothing is touched."""
    made = machine()
    mind = drive(made, AtaMind)
    job = served(FakeHost.of(made), method="ata_sanitize")

    assert job.fault is not None and job.fault.code == "DISK.SELECTION" and holds_data(mind)
    assert "it has ata_secure_erase_enhanced, ata_secure_erase" in job.fault.message


def test_a_family_is_tried_alone() -> None:
    """The method names the means; better ones that the drive has are not used."""
    made = machine()
    drive(made, NvmeMind)

    assert only(served(FakeHost.of(made), method="nvme_format")).means is Means.NVME_FORMAT_CRYPTO


def test_one_dead_disk_is_quarantined() -> None:
    """By policy the request succeeds without it: the certificate names it, and nobody calls it erased."""
    made = machine()
    drive(made, NvmeMind)
    drive(made, NvmeMind, keeps=True)
    job = served(FakeHost.of(made), quarantine=True)
    certificate = certified(job)

    assert (job.state, certificate.quarantined, certificate.is_clean) == (JobState.SUCCEEDED, ("D1",), False)
    assert [one.outcome for one in certificate.disks] == ["erased", "failed"]
    assert "canaries" in str(job.result["quarantined D1"]) and "erased D1" not in job.result


def test_a_disk_that_went_read_only_is_quarantined() -> None:
    """As drives do at their end: by policy the others are erased, and it is named; else the request is refused."""
    made = machine()
    mind = drive(made, NvmeMind)
    drive(made, NvmeMind)
    made.tree.put("/sys/devices/pci0000:00/nvme/nvme0/nvme0n1/ro", b"1\n")
    job = served(FakeHost.of(made), quarantine=True)
    refused = served(FakeHost.of(made), 2)

    assert (job.state, certified(job).quarantined) == (JobState.SUCCEEDED, ("D0",)), job.fault
    assert {one.serial: one.outcome for one in certified(job).disks} == {"D0": "failed", "D1": "erased"}
    assert refused.fault is not None and refused.fault.code == "DISK.READ_ONLY" and holds_data(mind)


def test_its_share_is_told_from_where_it_is() -> None:
    """A sanitize that is found under way at a quarter is reported from there on."""
    made = machine()
    mind = drive(made, NvmeMind, takes_s=1000.0)
    mind.action = 4
    mind.begin("before the power cut")
    made.uptime_s += 250
    host, told = FakeHost.of(made), list[tuple[int, int | None, str | None]]()
    plan = Operations(host, "ramdisk", "/s").plan(EraseRequest(request_id="r", node_id="n", method="secure"))
    (step,) = plan.steps
    assert isinstance(step, EraseDisks) and isinstance(step.erasures[0], EraseDisk)
    erase(host, step.erasures[0], lambda done, total, why=None, /: told.append((done, total, why)))

    assert 0.24 < told[0][0] / SIZE < 0.26 and told[0][1] == SIZE and "25%" in str(told[0][2])
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told) and len(mind.orders) == 1


def test_a_disk_without_a_size_while_it_sanitizes() -> None:
    """A SCSI disk tells no size then: it is waited for, the kernel looks again, and the proof is for the next try."""
    made = machine()
    mind = drive(made, ScsiMind, takes_s=600.0)
    size = made.tree.entries["/sys/devices/pci0000:00/host0/end_device-0/block/sds0/size"]
    made.tree.put("/sys/devices/pci0000:00/host0/end_device-0/block/sds0/size", b"0\n")
    mind.begin("before the power cut")
    one = only(served(FakeHost.of(made)))
    rescan = made.tree.entries["/sys/devices/pci0000:00/host0/end_device-0/block/sds0/device/rescan"]
    made.tree.put("/sys/devices/pci0000:00/host0/end_device-0/block/sds0/size", bytes(size))  # type: ignore[arg-type]

    assert (one.outcome, one.resumed, rescan) == ("failed", True, b"1") and "erase it once more" in one.evidence
    assert only(served(FakeHost.of(made), 2)).outcome == "erased"


def test_the_key_is_the_nodes_own() -> None:
    """The certificate is signed by the key with which the agent signs its calls, which is kept where the agent is at
    home; where there is none yet, the agent finds the one that was made here.
    """
    made = machine()
    drive(made, NvmeMind)
    host = FakeHost.of(made)
    keys = []
    for number in (1, 2):
        text = str(served(host, number).result[IN_RESULT])
        keys.append(SignedCertificate.model_validate_json(text).key)

    assert keys == [node_key(host.files, "/run/agent").public] * 2


def test_without_the_policy_it_fails_all() -> None:
    """And the certificate of the failed request has what came of each."""
    made = machine()
    drive(made, NvmeMind)
    drive(made, NvmeMind, keeps=True)
    job = served(FakeHost.of(made))

    assert job.state is JobState.FAILED and certified(job).quarantined == ()
    assert [one.outcome for one in certified(job).disks] == ["erased", "failed"]


def test_nothing_but_dead_disks_is_no_success() -> None:
    """Where no disk was erased the policy does not help."""
    made = machine()
    drive(made, NvmeMind, keeps=True)

    assert served(FakeHost.of(made), quarantine=True).state is JobState.FAILED


def test_a_silent_drive_is_written() -> None:
    """One that does not tell what it can do is erased by writing, and it is said why."""
    made = machine()
    drive(made, NvmeMind)
    made.drives["/dev/nvme0n1", "identify 1 0"] = b"short"

    class Broken(NvmeMind):
        """Half an answer."""

        def answer(self, question: str) -> bytes | None:
            """As recorded."""
            return None

    made.minds["/dev/nvme0n1"] = Broken(machine=made, medium=made.disks["/dev/nvme0n1"])  # type: ignore[arg-type]
    one = only(served(FakeHost.of(made)))

    assert (one.outcome, one.means) == ("erased", Means.ZERO) and "did not say what it can do" in one.passed_over[0]

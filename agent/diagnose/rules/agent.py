# SPDX-License-Identifier: Apache-2.0
"""Rules about the agent itself: whether it runs, how it ended, what it was at, what it says."""

from __future__ import annotations

from collections.abc import Iterator

from agent.diagnose.seen import Ending, Seen, items
from agent.life.lives import AGENT, API, CONTROLLER, IMPORTER, LINK, Kind
from agent.model.fact import Unknown
from agent.model.fault import Fault
from agent.model.finding import Finding, Severity
from agent.model.job import NO_ANSWER, JobState
from agent.model.space import Space

KINDS = (AGENT, LINK, API, CONTROLLER, IMPORTER)
LEAST_BYTES = 64 * 1024
"""What a job's records, and what the agent says of itself, need at least."""
OFTEN = 3
"""Endings within a boot from which on it is no accident."""


def not_asked(seen: Seen) -> Iterator[Finding]:
    """Without root, half of the questions cannot be asked."""
    if seen.is_root is False:
        yield Finding(
            severity=Severity.NOTICE,
            code="DIAGNOSE.NOT_ROOT",
            what="this was not run as root, so not everything could be looked at",
            why="gateways, disks and the agent's own state are open to root only",
            to_do="Run it as root.",
        )


def configuration(seen: Seen) -> Iterator[Finding]:
    """Settings that nobody can go by."""
    if not isinstance(seen.place, Unknown) and (fault := seen.place.fault) is not None:
        yield of_fault(fault, Severity.ERROR, "the agent cannot start: its settings are wrong")


def not_running(seen: Seen) -> Iterator[Finding]:
    """It is installed, and is not there."""
    if seen.is_running is not False:
        return
    units = items(seen.units)
    yield Finding(
        severity=Severity.ERROR,
        code="AGENT.NOT_RUNNING",
        what="the agent does not run",
        why=", ".join(f"{unit.name} is {unit.state}, restarted {unit.restarts} times" for unit in units),
        to_do=f"systemctl status {units[0].name}; journalctl -u {units[0].name}; then systemctl restart it.",
    )


def crashed(seen: Seen) -> Iterator[Finding]:
    """In this boot, and in the last one before it of which there is a log; each kind of process by itself."""
    if isinstance(seen.boot_id, Unknown):
        return
    for kind in KINDS:
        found = [one for one in items(seen.endings) if kind_of(one.unit) is kind]
        now = [one for one in found if one.boot_id == seen.boot_id]
        if now:
            yield ended(now, kind, "", "in this boot", Severity.ERROR if len(now) >= OFTEN else Severity.WARNING)
        earlier = [one for one in found if one.boot_id != seen.boot_id]
        last = [one for one in earlier if one.boot_id == earlier[-1].boot_id] if earlier else []
        if last:
            yield ended(last, kind, "_BEFORE", "in an earlier boot", Severity.WARNING)


def kind_of(unit: str) -> Kind:
    """Whose unit it is."""
    return next((kind for kind in KINDS if kind is not AGENT and unit == f"{kind.units}.service"), AGENT)


def ended(endings: list[Ending], kind: Kind, more: str, when: str, severity: Severity) -> Finding:
    """A finding about some endings."""
    last = endings[-1]
    return Finding(
        severity=severity,
        code=f"{kind.code}{more}",
        what=f"{kind.name} ended {times(len(endings))} {when}, otherwise than it should",
        why=f"{last.unit}: {last.how}, at {last.at:%Y-%m-%d %H:%M:%S} UTC",
        to_do=f"Read what it said before: journalctl -u {last.unit} --until '{last.at:%Y-%m-%d %H:%M:%S} UTC' -n 50",
    )


def times(count: int) -> str:
    """In words."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def memory_damaged(seen: Seen) -> Iterator[Finding]:
    """What the agent remembers is there, and cannot be read: it cannot go on either."""
    for name, fact in (("journal", seen.jobs), ("outbox", seen.reports), ("desired state", seen.desired)):
        if isinstance(fact, Unknown) and ("damaged at byte" in fact.unknown or "of another version" in fact.unknown):
            yield Finding(
                severity=Severity.ERROR,
                code="AGENT.MEMORY_DAMAGED",
                what=f"the agent's {name} cannot be read",
                why=fact.unknown,
                to_do="Keep a copy of the file for its makers, take it away, and restart the agent: it begins anew.",
            )


def cannot_write(seen: Seen) -> Iterator[Finding]:
    """Where the agent keeps what it must remember: it begins nothing that it cannot write down."""
    is_here = seen.mode is not None or bool(items(seen.units))
    if isinstance(seen.spaces, Unknown) or not is_here:
        return
    for path, space in seen.spaces.items():
        of = f"the filesystem of {path}"
        if space.is_read_only:
            yield Finding(
                severity=Severity.ERROR,
                code="AGENT.STATE_READ_ONLY",
                what=f"{path} is read-only: the agent can remember nothing, and begins no job",
                why=f"{of} is mounted read-only",
                to_do="See why in the kernel's log (dmesg): after an error a filesystem is made so. Check or replace "
                f"the disk, then mount it for writing (findmnt --target {path}; mount -o remount,rw) and restart the "
                "agent.",
            )
        elif full := short_of(space):
            yield Finding(
                severity=Severity.ERROR,
                code="AGENT.STATE_FULL",
                what=f"there is no room in {path}: the agent can remember nothing more, and begins no job",
                why=f"{of} has {full}",
                to_do=f"See what takes it (df {path}; du -xah on that filesystem | sort -h | tail), and free some: "
                "logs first (journalctl --vacuum-size=100M). The agent goes on by itself.",
            )


def short_of(space: Space) -> str | None:
    """What there is too little of, with figures."""
    if space.size_bytes and space.free_bytes < LEAST_BYTES:
        return f"{space.free_bytes} of {space.size_bytes} bytes left"
    if space.files and not space.files_free:
        return f"none of {space.files} files left that it can have, though {space.free_bytes} bytes are free"
    return None


def job_failed(seen: Seen) -> Iterator[Finding]:
    """The last thing that was ordered did not work out."""
    jobs = items(seen.jobs)
    if jobs and jobs[-1].state is JobState.FAILED:
        last = jobs[-1]
        fault = last.fault or Fault(code="AGENT.BUG", message="nobody said why")
        step = f" in step {last.step}" if last.step else ""
        told = of_fault(fault, Severity.ERROR, f"the last job, {last.verb}, failed{step}: {fault.code}")
        yield told.model_copy(update={"code": "JOB.FAILED"})


def job_unfinished(seen: Seen) -> Iterator[Finding]:
    """It was begun, and has no end: that is as it should be while the agent is at it."""
    for job in items(seen.jobs):
        if job.state.final or seen.is_running is None:
            continue
        disks = ", ".join(str(disk) for disk in job.disks) or "no disk"
        why = f"request {job.request_id}, step {job.step or 'none yet'}, on {disks}"
        if seen.is_running:
            yield Finding(
                severity=Severity.NOTICE,
                code="JOB.UNDER_WAY",
                what=f"a job is under way: {job.verb}",
                why=why,
                to_do="Wait for its end; bms-agent status shows how far it is.",
            )
        else:
            yield Finding(
                severity=Severity.ERROR,
                code="JOB.UNFINISHED",
                what=f"a job was begun and not finished: {job.verb}",
                why=f"{why}; the agent does not run",
                to_do="Start the agent: it looks at the machine again and brings the job to its end. Until then the "
                "disk may hold half of something.",
            )


def disk_silent(seen: Seen) -> Iterator[Finding]:
    """What the agent is at waits for a disk. It goes on if the disk does; the kernel says when a disk is lost."""
    status = None if isinstance(seen.status, Unknown) else seen.status
    progress = status.progress if status is not None and seen.is_running is not False else None
    if progress is None or NO_ANSWER not in (progress.limited_by or ""):
        return
    of = f" of {progress.total_bytes}" if progress.total_bytes else ""
    yield Finding(
        severity=Severity.WARNING,
        code="DISK.NO_ANSWER",
        what=f"{progress.step} waits for a disk that takes nothing",
        why=f"{progress.limited_by}; {progress.done_bytes}{of} bytes are done of request {progress.request_id}",
        to_do="Look for resets and timeouts of the disk in the kernel's log (dmesg), and at its health (bms-agent "
        "validate --test disk.health). If it answers again, the job goes on by itself; if the kernel gives it up, the "
        "job fails and says so: replace the disk, its cable or its backplane.",
    )


def own_words(seen: Seen) -> Iterator[Finding]:
    """What the agent says that is wrong."""
    if not isinstance(seen.status, Unknown) and seen.status is not None and seen.is_running is not False:
        for fault in seen.status.faults:
            yield of_fault(fault, Severity.ERROR, f"the agent ({seen.status.doing}): {fault.message}")


def reports_waiting(seen: Seen) -> Iterator[Finding]:
    """The controller does not know yet what happened."""
    if not isinstance(seen.reports, Unknown) and seen.reports:
        yield Finding(
            severity=Severity.WARNING,
            code="JOB.REPORTS_WAITING",
            what=f"the controller has not confirmed {seen.reports} reports, and may show an older state",
            why="they are in the outbox, and are sent again until they are confirmed",
            to_do="If it stays so, see to the way to the controller.",
        )


def of_fault(fault: Fault, severity: Severity, what: str) -> Finding:
    """A fault as a finding: its code, evidence and advice are good enough."""
    why = "; ".join(part for part in (fault.message if fault.message not in what else "", fault.details) if part)
    return Finding(
        severity=severity,
        code=fault.code,
        what=what,
        why=why or "it said no more",
        to_do=fault.hint or "See the agent's log.",
    )

# SPDX-License-Identifier: Apache-2.0
"""Each format's file, written by the present agent as an agent writes it: with everything in it that there can be."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from agent.apply.chunked.pack import Options, Packing
from agent.host.fake import FakeHost
from agent.inventory import take
from agent.job.journal import Accepted, Begun, Ended, Journal, StepBegun
from agent.job.ledger import Ledger
from agent.job.network_record import Held, NetworkRecord, Pending
from agent.job.outbox import Outbox
from agent.model.disk import DiskIdentity
from agent.model.fault import Fault
from agent.model.job import JobReport, JobState, Progress, SequencedReport
from agent.model.network import NetworkConfig, Snapshot
from agent.model.plan import Epilogue
from agent.model.protocol import BootProof, Desired, Enroll, Heartbeat, ReportBatch, ServiceIdentity, Session
from tests.apply.test_chunked_sign import PEM
from tests.controller.chunks import Bytes
from tests.formats.said import LINKS, REQUESTS

HOME = "/var/lib/bms-agent"
DISK = DiskIdentity(
    path="/dev/sda", wwn="0x5002538f00000001", serial="S1", size_bytes=480 * 10**9, logical_sector_bytes=512
)
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MACHINE = Path(__file__).parent.parent / "machines" / "synthetic-dell-r650"
CHUNK_BYTES = 256 * 1024
CONTENT = b"what a server needs to boot; " * 300
FAULT = Fault(code="DISK.CHANGED", message="another disk is there", details="as it is", hint="Plan again.")


def journal() -> bytes:
    """A job that succeeded, one that failed before it began, and one that was begun."""
    files = FakeHost.with_files({}).files
    kept = Journal(files, HOME)
    for name, verb in (("done", "image.deploy"), ("failed", "disk.erase"), ("begun", "raid.create")):
        kept.write(Accepted(request_id=name, verb=verb, digest="ab" * 32))
    kept.write(Ended(request_id="failed", state=JobState.FAILED, boot_id="boot-1", fault=FAULT))
    for name, epilogue in (("done", Epilogue.REBOOT), ("begun", None)):
        kept.write(Begun(request_id=name, disks=(DISK,), epilogue=epilogue))
        kept.write(StepBegun(request_id=name, step="write_image"))
    result: dict[str, str | int] = {"image_bytes": 10, "sha256": "cd" * 32}
    kept.write(Ended(request_id="done", state=JobState.SUCCEEDED, boot_id="boot-1", result=result))
    return files.read_bytes(f"{HOME}/journal.log")


def outbox() -> bytes:
    """Four reports, the first of which the controller has."""
    files = FakeHost.with_files({}).files
    kept = Outbox(files, HOME, "stream-1")
    for name, state in (("done", "running"), ("done", "succeeded"), ("failed", "running"), ("failed", "failed")):
        fault = FAULT if state == "failed" else None
        kept.put(JobReport(request_id=name, verb="disk.erase", state=JobState(state), step="x", fault=fault, at=AT))
    kept.confirm(1)
    return files.read_bytes(f"{HOME}/outbox.log")


def image() -> bytes:
    """A chunked image of a disk that is mostly empty, signed."""
    disk = CONTENT.ljust(3 * CHUNK_BYTES, b"\0") + CONTENT[::-1]
    options = Options(threads=1, level=1, chunk_bytes=CHUNK_BYTES, signing_pem=PEM)
    return b"".join(Packing(Bytes(disk.ljust(4 * CHUNK_BYTES, b"\0")), options).pieces())


def identity() -> bytes:
    """As it lies on a config drive for as long as the server lives, and in its state directory."""
    told = {"controller_url": "http://10.0.0.1:8480", "node_id": "node-1", "server_id": "server-1",
            "credential": "s3cret", "nonce": "n0nce", "network": {"links": LINKS}}  # fmt: skip
    return ServiceIdentity.model_validate(told).model_dump_json().encode()


def messages() -> bytes:
    """What it tells its controller, a line each."""
    session = Session(session_id="s-1", boot_id="b-1", mode="ramdisk", agent_version="0.1.0")
    progress = Progress(request_id="r-1", step="write_image", done_bytes=5, total_bytes=10)
    begun = JobReport(request_id="r-1", verb="disk.erase", state=JobState.RUNNING, step="x", at=AT)
    result: dict[str, str | int] = {"a": 1, "b": "c"}
    ended = begun.model_copy(update={"state": JobState.FAILED, "step": None, "fault": FAULT, "result": result})
    reports = tuple(SequencedReport(sequence=number, report=one) for number, one in enumerate((begun, ended), 1))
    inventory = take(FakeHost.load(MACHINE))
    told = (
        Enroll(session=session, token=SecretStr("t0ken"), boot_mac="52:54:00:00:00:01", inventory=inventory),
        BootProof(
            session=session,
            nonce=SecretStr("n0nce"),
            machine_id="m" * 32,
            hostname="web1",
            root_disk_wwn="0x5",
            root_disk_serial="S1",
            hardware=("mac:52:54:00:00:00:01",),
        ),
        Heartbeat(session=session, sequence=3, at=AT, applied_generation=2, progress=progress, problems=(FAULT,)),
        ReportBatch(stream_id="st-1", reports=reports),
    )
    return b"".join(one.model_dump_json().encode() + b"\n" for one in told)


def ledgers() -> bytes:
    """A ledger a line: one for each thing that can be ordered."""
    return b"\n".join(line for line in map(ledger, REQUESTS) if line) + b"\n"


def ledger(request: dict[str, Any]) -> bytes | None:
    """With that order; none where this agent does not know it."""
    told = {"generation": 7, "node_id": "node-1", "request": request, "network": {"links": LINKS}}
    try:
        desired = Desired.model_validate(told)
    except ValidationError:
        return None
    files = FakeHost.with_files({}).files
    Ledger(files, HOME, "node-1").accept(desired)
    return files.read_bytes(f"{HOME}/ledger.json")


def networks() -> bytes:
    """What holds, and a change that is under way: a line each."""
    files = FakeHost.with_files({}).files
    config = NetworkConfig.model_validate({"links": LINKS})
    held = Held.model_validate({"generation": 7, "config": config})
    record = NetworkRecord(files, HOME)
    record.hold(held)
    snapshot = Snapshot.model_validate({"links": config.links, "files": {"/etc/a": "text", "/etc/b": None}})
    record.begin(Pending(deadline_s=12.5, boot_id="boot-1", snapshot=snapshot, failed=config, held=held))
    return b"\n".join(files.read_bytes(f"{HOME}/{name}") for name in ("network.json", "network-change.json")) + b"\n"

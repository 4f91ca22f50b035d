# SPDX-License-Identifier: Apache-2.0
"""The journal over restarts: what is made shorter at each start says the same, whatever a job came to."""

from __future__ import annotations

import pytest

from agent.host.fake import FakeHost
from agent.job.journal import Accepted, Begun, Ended, Entry, Job, Journal, StepBegun
from agent.model.disk import DiskIdentity
from agent.model.fault import Fault
from agent.model.job import JobState
from agent.model.plan import Epilogue

DIRECTORY = "/var/lib/bms-agent"
DISK = DiskIdentity(path="/dev/sda", wwn=None, serial="S0", size_bytes=1, logical_sector_bytes=512)
TAKEN = Accepted(request_id="r", verb="hardware.validate", digest="d")
BEGUN = Begun(request_id="r", disks=(), epilogue=None)
DONE = Ended(request_id="r", state=JobState.SUCCEEDED, boot_id="b", result={"verdict": "passed"})
FAILED = Ended(
    request_id="r", state=JobState.FAILED, boot_id="b", fault=Fault(code="X", message="x"), result={"verdict": "failed"}
)


@pytest.mark.parametrize(
    "entries",
    [
        [TAKEN],
        [TAKEN, FAILED],
        [TAKEN, BEGUN],
        [TAKEN, BEGUN, StepBegun(request_id="r", step="validate"), DONE],
        [TAKEN, BEGUN, FAILED],
        [TAKEN, Begun(request_id="r", disks=(DISK,), epilogue=Epilogue.REBOOT), DONE],
        [TAKEN, Begun(request_id="r", disks=(DISK,), epilogue=None), BEGUN, DONE],
    ],
)
def test_a_job_is_remembered_over_restarts(entries: list[Entry]) -> None:
    """Written down anew at each of them: state, disks, fault and result stay as they were."""
    host = FakeHost.with_files({})
    journal = Journal(host.files, DIRECTORY)
    for entry in entries:
        known = journal.write(entry)
    for _ in range(3):
        host = host.restarted()
        again = Journal(host.files, DIRECTORY).job("r")
        assert again is not None and facts(again) == facts(known)


def facts(job: Job) -> tuple[object, ...]:
    """All but the step, which is of the process that was at work."""
    return job.verb, job.state, job.disks, job.epilogue, job.boot_id, job.fault, job.result

# SPDX-License-Identifier: Apache-2.0
"""A journal and an outbox are opened, also where they cannot be read: damaged in their middle, or written by a later
version of this agent, which went. They are kept by another name, and begun anew: a server must not be out of reach for
it. Whatever may have been begun has failed then, and is never begun again.
"""

from __future__ import annotations

from dataclasses import replace

from agent.errors import AgentError, DecodeError, HostError, JournalLost
from agent.host.doors import Files
from agent.job.journal import ENTRY, Accepted, Job, Journal, digest, learned
from agent.job.log import Log
from agent.job.outbox import Outbox
from agent.model.fault import Fault
from agent.model.job import JobState
from agent.model.request import Request
from agent.program.log import Logger

LOST = "what had become of it cannot be read any more"

log = Logger("job")


def opened_journal(files: Files, directory: str, wanted: Request | None, boot_id: str) -> Journal:
    """`wanted` is what the ledger holds: it may be what cannot be read. Raises `HostError`."""
    path = f"{directory}/journal.log"
    try:
        return Journal(files, directory)
    except DecodeError as error:
        log.error("the journal cannot be read", error=str(error))
    keep_aside(files, path)
    entries = [entry for job in settled(known(files, path), wanted, boot_id) for entry in job.entries()]
    if not Log(files, path, ENTRY).compact(entries):  # at once in place of the old one: there is never none
        raise HostError(f"writing {path}", "it could not be begun anew")
    return Journal(files, directory)


def opened_outbox(files: Files, directory: str, new_stream_id: str) -> Outbox:
    """Of what waited in one that cannot be read, the executor tells what is still wanted anew. Raises `HostError`."""
    path = f"{directory}/outbox.log"
    try:
        return Outbox(files, directory, new_stream_id)
    except DecodeError as error:
        log.error("the outbox cannot be read", error=str(error))
    keep_aside(files, path)
    files.remove(path)
    return Outbox(files, directory, new_stream_id)


def keep_aside(files: Files, path: str) -> None:
    """A copy, for people; a full disk has none."""
    try:
        files.write(f"{path}.unreadable", files.read_bytes(path), mode=0o600)
    except HostError as error:
        log.warning("what cannot be read is not kept", path=path, error=str(error))


def known(files: Files, path: str) -> dict[str, Job]:
    """What the entries that can be read say. One that does not follow from those before it is left out."""
    jobs: dict[str, Job] = {}
    for entry in Log(files, path, ENTRY).readable():
        if entry.request_id not in jobs and not isinstance(entry, Accepted):
            continue
        try:
            jobs[entry.request_id] = learned(jobs.get(entry.request_id), entry)
        except AgentError:
            continue
    return jobs


def settled(jobs: dict[str, Job], wanted: Request | None, boot_id: str) -> list[Job]:
    """All of them at their end, and what is wanted among them."""
    if wanted is not None and wanted.request_id not in jobs:
        jobs = jobs | {wanted.request_id: Job(wanted.request_id, wanted.verb, digest(wanted))}
    return [job if job.state.final else failed(job, boot_id) for job in jobs.values()]


def failed(job: Job, boot_id: str) -> Job:
    """Nobody knows how it ended."""
    fault = Fault.of(JournalLost(f"carrying out {job.request_id}", LOST))
    return replace(job, state=JobState.FAILED, boot_id=boot_id, fault=fault)

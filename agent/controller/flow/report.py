# SPDX-License-Identifier: Apache-2.0
"""An agent reports what became of its requests: every report is taken once, in order, and acknowledged for good."""

from __future__ import annotations

from datetime import datetime

from agent.controller.context import Controller
from agent.controller.flow import erasure, jobs, outcome, sessions, validation
from agent.controller.flow.assign import renew
from agent.controller.flow.beat import node_of
from agent.controller.flow.network import let_go
from agent.controller.flow.publish import deploy_secrets, publish
from agent.controller.keys import digest
from agent.controller.records.job import Assignment, AssignmentState, Job, Operation, Stage
from agent.controller.records.node import BootTarget, Credential, Node, Stream
from agent.controller.refusal import AgentUnauthorized
from agent.controller.rules.steering import Waiting
from agent.controller.store.database import Transaction
from agent.model.erasing.certificate import Certificate
from agent.model.fault import Fault
from agent.model.job import JobReport, JobState
from agent.model.protocol import ReportBatch, ReportsAnswer
from agent.program.log import Logger

MAX_TRIES = 3

log = Logger("controller")


def take_reports(controller: Controller, credential: Credential, batch: ReportBatch) -> ReportsAnswer:
    """Take what is new in the batch. Raises `AgentUnauthorized`."""
    now = controller.clock.now()
    with controller.write() as tx:
        node = node_of(tx, credential)
        session = sessions.speaking(tx, node, credential)
        if session is not None:
            sessions.seen(tx, now, session)
        stream = tx.streams.get(batch.stream_id)
        if stream is None:
            stream = tx.streams.add(Stream(stream_id=batch.stream_id, node_id=node.id))
        elif stream.node_id != node.id:
            raise AgentUnauthorized("taking reports", "this outbox is another node's")
        acknowledged = stream.acknowledged
        for entry in sorted(batch.reports, key=lambda entry: entry.sequence):
            if entry.sequence > acknowledged:
                take_report(controller, tx, node, entry.report, credential.signed_by)
                acknowledged = entry.sequence
        tx.streams.change(stream, acknowledged=acknowledged)
        publish(controller, tx, node.id)
    return ReportsAnswer(acknowledged=acknowledged)


def take_report(
    controller: Controller, tx: Transaction, node: Node, report: JobReport, signed_by: str | None = None
) -> None:
    """What it means for the job. One of a request that is over, abandoned or another node's means nothing. `signed_by`:
    the key with which the node's agent signed the call.
    """
    now = controller.clock.now()
    request = tx.assignments.get(report.request_id)
    job = tx.jobs.get(request.job_id) if request else None
    if (
        request is None
        or job is None
        or request.node_id != node.id
        or request.state is not AssignmentState.OPEN
        or job.request_id != request.request_id
        or job.status.final
    ):
        log.info("report of an earlier request", node=node.name, request=report.request_id, state=report.state.value)
        return
    job = jobs.running(tx, job)
    match report.state:
        case JobState.ACCEPTED:
            pass
        case JobState.RUNNING:
            _step(tx, now, node, job, request, report.step)
        case JobState.SUCCEEDED:
            tx.assignments.change(request, state=AssignmentState.SUCCEEDED)
            if request.verb == "hardware.validate":
                validation.done(tx, now, job, is_told=validation.keep(tx, now, node, job, report))
                return
            certificate = _certified(tx, now, node, request, report, signed_by)
            _succeeded(controller, tx, now, node, job, request, certificate)
        case JobState.FAILED:
            tx.assignments.change(request, state=AssignmentState.FAILED)
            certificate = _certified(tx, now, node, request, report, signed_by)
            erasure.condemned(controller, tx, node, certificate, request.disks)
            if request.verb == "hardware.validate":
                validation.keep(tx, now, node, job, report)
            _failed(controller, tx, now, job, request, report.fault or _nameless(report))


def _certified(
    tx: Transaction, now: datetime, node: Node, request: Assignment, report: JobReport, signed_by: str | None
) -> Certificate | None:
    """Of an erasure alone: a tenant's OS, which is asked to reboot, has nothing to say of disks."""
    return erasure.keep(tx, now, node, report, signed_by) if request.verb == "disk.erase" else None


def _step(tx: Transaction, now: datetime, node: Node, job: Job, request: Assignment, step: str | None) -> None:
    """From the first step on, the node is not clean any more, and what is on the disk is the server's own."""
    jobs.enter(tx, now, job, step or request.verb)
    server = tx.servers.get(job.server_id) if job.server_id else None
    if request.verb == "image.deploy" and server is not None and not server.owns_disk:
        tx.servers.change(server, owns_disk=True)
        tx.nodes.change(node, clean=False)


def _succeeded(
    controller: Controller,
    tx: Transaction,
    now: datetime,
    node: Node,
    job: Job,
    request: Assignment,
    certificate: Certificate | None,
) -> None:
    match request.verb:
        case "image.deploy":
            _deployed(controller, tx, now, node, job, request)
        case "disk.erase":
            _erased(controller, tx, now, node, job, request, certificate)
        case "power.off":
            jobs.enter(tx, now, job, Waiting.POWERING_OFF, Stage.OFF)
        case "power.reboot" if job.stage is Stage.OS and job.operation is Operation.REBOOT:
            jobs.enter(tx, now, job, Waiting.REBOOTING, Stage.BOOT)
        case _:
            pass  # on its way into the ramdisk or out of it: the next session tells


def _erased(
    controller: Controller,
    tx: Transaction,
    now: datetime,
    node: Node,
    job: Job,
    request: Assignment,
    certificate: Certificate | None,
) -> None:
    """Only what its certificate shows counts."""
    fault = erasure.judged(controller, tx, node, certificate, request.disks)
    if fault is None:
        outcome.erased(controller, tx, job)
    else:
        outcome.failed(tx, now, job, fault)


def _deployed(
    controller: Controller, tx: Transaction, now: datetime, node: Node, job: Job, request: Assignment
) -> None:
    """The disk is written and verified: from now on the machine boots it, and its OS may speak."""
    secrets = deploy_secrets(controller, request.request_id)
    tx.credentials.add(
        Credential(digest=digest(secrets.credential), node_id=node.id, mode="service", request_id=request.request_id)
    )
    server = tx.servers.get(job.server_id) if job.server_id else None
    if server is not None:
        tx.servers.change(server, deploy_id=request.request_id, phone_home=digest(secrets.phone_home), updated_at=now)
        let_go(tx, server.id)
    tx.nodes.change(node, boot_target=BootTarget.DISK, updated_at=now)
    jobs.enter(tx, now, job, Waiting.REBOOTING, Stage.BOOT)


def _failed(
    controller: Controller, tx: Transaction, now: datetime, job: Job, request: Assignment, fault: Fault
) -> None:
    """Some faults pass: a deploy is tried again. A reboot that failed is left to patience and the BMC."""
    log.warning("request failed", request=request.request_id, code=fault.code, fault=fault.message)
    if request.verb == "image.deploy" and fault.retryable and request.attempt < MAX_TRIES:
        renew(controller, tx, job, request.verb)
    elif request.verb != "power.reboot" or job.stage is Stage.OS:
        outcome.failed(tx, now, job, fault)


def _nameless(report: JobReport) -> Fault:
    return Fault(code="AGENT.ERROR", message=f"carrying out {report.verb}: it failed without saying why")

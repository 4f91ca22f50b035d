# SPDX-License-Identifier: Apache-2.0
"""The records are those of a backup: what went on since is not known, and nothing may be done as if it were.

Every job that was open then is over: it may have ended long ago, and to begin its deploy or wipe again would cost
whoever has the machine now their data. For the same reason no node is given to anybody before an operator has looked
at it. Every desired state is newer than what any agent holds, so that agents take it. Images whose file did not come
along are killed, and say so. Orders that waited for a second person wait no more: they may have been given. Enrolment
tokens let nobody else in: whether they were used since is not known either; who came by one comes by it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.controller.context import Controller
from agent.controller.flow import outcome
from agent.controller.flow.access import RESTORE
from agent.controller.images import image_path
from agent.controller.records.approval import Decision
from agent.controller.records.image import ImageStatus
from agent.controller.records.job import JobStatus
from agent.controller.store.database import Transaction
from agent.model.fault import Fault
from agent.program.log import Logger

AHEAD = 1_000_000
"""By how many a generation rises: more than a node is told in its life between two backups."""
UNKNOWN = Fault(
    code="BMS.RESTORED",
    message="the controller was restored from a backup that was made while this job ran: how it ended is not known",
    hint="Look at the machine, then order it again: bmsctl server reinstall or delete, bmsctl node clean.",
)
NO_FILE = Fault(
    code="BMS.RESTORED",
    message="the controller was restored from a backup without this image's file",
    hint="Delete the image, and create it again.",
)

log = Logger("controller")


@dataclass(frozen=True)
class Settled:
    """What was done, in numbers."""

    nodes: int
    jobs: int
    images: int


def settle(controller: Controller) -> Settled:
    """Call once, before the restored controller serves."""
    now = controller.clock.now()
    with controller.write() as tx:
        jobs = [job for job in tx.jobs.all() if job.status in (JobStatus.INIT, JobStatus.RUNNING)]
        for job in jobs:
            outcome.failed(tx, now, job, UNKNOWN)
        nodes = tx.nodes.all()
        for node in nodes:
            tx.nodes.change(node, maintenance=True, generation=node.generation + AHEAD, updated_at=now)
        for one in tx.approvals.all(decision=None):
            tx.approvals.change(one, decision=Decision.REFUSED, decided_by=RESTORE, decided_at=now)
        for token in tx.passes.all():
            tx.passes.change(token, left=0)
        settled = Settled(nodes=len(nodes), jobs=len(jobs), images=_images(tx, controller.images))
    log.warning("restored from a backup", nodes=settled.nodes, jobs=settled.jobs, images=settled.images)
    return settled


def _images(tx: Transaction, directory: Path) -> int:
    """How many have no file."""
    ours = [image for image in tx.images.all(url=None) if image.status is not ImageStatus.KILLED]
    lost = [image for image in ours if not image_path(directory, image.id).is_file()]
    for image in lost:
        tx.imports.remove(image_id=image.id)
        tx.images.change(image, status=ImageStatus.KILLED, fault=NO_FILE)
    return len(lost)

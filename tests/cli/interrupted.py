# SPDX-License-Identifier: Apache-2.0
"""A deploy as an operator's command carries it out, on a loop device, in a process that can be interrupted.

python -m tests.cli.interrupted NODE DIRECTORY REQUEST.json
"""

from __future__ import annotations

import sys
from pathlib import Path
from uuid import uuid4

from agent.cli.job import watched
from agent.host.identity import boot_id
from agent.job.executor import Executor
from agent.job.journal import Journal
from agent.job.outbox import Outbox
from agent.model.disk import Disk, DiskIdentity
from agent.model.plan import Plan
from agent.model.request import DeployRequest, Request
from agent.operations import Operations
from agent.plan.image import plan_deploy
from tests.apply.real import host
from tests.hardware import machine
from tests.loops import command


class OneDisk(Operations):
    """Of a machine that has no disk but this one, which nobody uses. A loop device is no disk to the inventory."""

    disk: Disk

    def plan(self, request: Request, begun: tuple[DiskIdentity, ...] = ()) -> Plan:
        """As for any, without the look that would not find it."""
        assert isinstance(request, DeployRequest)
        planned = plan_deploy(machine(self.disk), request, self._spool, begun)
        return planned.model_copy(update={"preconditions": (), "epilogue": None})


def main() -> None:
    """Ends as Python does when it is interrupted."""
    node, directory, file = sys.argv[1:]
    request = DeployRequest.model_validate_json(Path(file).read_text())
    doors = host()
    operations = OneDisk(doors, None, f"{directory}/spool")
    size = int(command("blockdev", "--getsize64", node))
    operations.disk = Disk(name=Path(node).name, path=node, size_bytes=size, serial="LOOP", logical_sector_bytes=512)
    outbox = Outbox(doors.files, directory, str(uuid4()))
    executor = Executor(operations, Journal(doors.files, directory), outbox, doors.clock, boot_id(doors.files))
    job = watched(executor, request)
    assert job.fault is None, job.fault
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()

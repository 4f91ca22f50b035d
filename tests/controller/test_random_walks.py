# SPDX-License-Identifier: Apache-2.0
"""Random lives of a machine: ordered, killed, deleted at any moment, under a controller that is restarted too.

The machine does its work step by step, so that whatever happens can happen between two steps. What must hold is
compared with what is really on the machine's disk.
"""

from __future__ import annotations

import atexit
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.controller.flow.assign import DESTRUCTIVE
from agent.model.job import JobState
from agent.model.request import DeployRequest, EraseRequest, Request
from tests.controller.conftest import MEMORY
from tests.controller.machine import DEPLOY_STEPS, Machine
from tests.controller.world import World


@cache
def stock() -> Path:
    """The data of a controller with a stock of everything."""
    directory = Path(mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    atexit.register(shutil.rmtree, directory)
    world = World(directory / "data")
    world.stock()
    world.close()
    return directory / "data"


class Lives(RuleBasedStateMachine):
    """One machine, one server at a time."""

    @initialize()
    def begin(self) -> None:
        """A machine in its ramdisk."""
        self.directory = Path(mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.world = World(Path(shutil.copytree(stock(), self.directory / "data")))
        self.machine = Machine(self.world).power_on()
        self.steps = 0
        self.request_id: str | None = None
        self.taken: dict[str, str] = {}

    @property
    def idle(self) -> bool:
        """There is a server to which nothing is done."""
        return self.server is not None and self.server["task_state"] is None

    def look(self) -> None:
        """See how things stand."""
        servers = self.world.user("GET", "/v1/servers")
        self.server: dict[str, Any] | None = servers[0] if servers else None
        self.node: dict[str, Any] = self.world.node(self.machine.node_id)

    @precondition(lambda self: self.server is not None and self.server["task_state"] != "deleting")
    @rule()
    def delete(self) -> None:
        """A user deletes it, whatever it is at."""
        self.world.user("DELETE", "/v1/servers/web")

    @precondition(lambda self: self.idle and self.server["status"] in ("ACTIVE", "ERROR", "SHUTOFF"))
    @rule()
    def reinstall(self) -> None:
        """A user has it installed again."""
        self.world.user("POST", "/v1/servers/web/reinstall")

    @precondition(lambda self: self.idle and self.server["status"] == "ACTIVE" and self.server["host_status"] == "UP")
    @rule()
    def reboot(self) -> None:
        """A user reboots it."""
        self.world.user("POST", "/v1/servers/web/reboot")

    @precondition(lambda self: self.idle)
    @rule()
    def plug(self) -> None:
        """A user attaches a second NIC, or detaches it."""
        (_, *more) = self.world.user("GET", "/v1/servers/web/nics")["nics"]
        if more:
            self.world.user("DELETE", f"/v1/servers/web/nics/{more[0]['port_id']}")
        else:
            self.world.user("POST", "/v1/servers/web/nics", {"subnet": "net"})

    @precondition(lambda self: self.server is not None)
    @rule()
    def kill(self) -> None:
        """The machine loses its power, and starts again; its ramdisk has forgotten everything."""
        self.request_id = None
        self.machine.power_on()

    @precondition(lambda self: self.server is not None)
    @rule()
    def restart_agent(self) -> None:
        """The agent's process dies, and is started again in the same boot."""
        if self.machine.mode == "ramdisk":
            self.machine.enrol()
        elif self.machine.mode == "service" and self.machine.send("/v1/agent/boot", self.machine.proof()).is_error:
            self.machine.mode = None

    @precondition(lambda self: self.server is not None)
    @rule()
    def restart_controller(self) -> None:
        """Another process on the same data."""
        self.world.restart()

    @precondition(lambda self: self.server is not None)
    @rule()
    def wait(self) -> None:
        """Minutes pass; the agent is heard of at their end."""
        self.world.look(100)
        if self.machine.mode is not None:
            self.machine.beat()

    @rule(steps=st.integers(1, 9))
    def work(self, steps: int) -> None:
        """The agent takes some steps of what it is asked: a whole deploy and its boot are six. If there is no server, a
        user orders one first."""
        if self.server is None and self.node["state"] == "available":
            self.world.order()
        for _ in range(steps):
            self.work_once()

    def work_once(self) -> None:
        """One step, if anything is asked."""
        request = self.machine.desired().request if self.machine.mode is not None else None
        if request is None:
            return
        if request.request_id != self.request_id:
            self.steps, self.request_id = 0, request.request_id
        if request.verb in DESTRUCTIVE:
            boot = self.taken.setdefault(request.request_id, self.machine.boot_id)
            assert boot == self.machine.boot_id, "a destructive request was given to two boots"
        self.step(request)

    def step(self, request: Request) -> None:
        """One step."""
        self.steps += 1
        match request:
            case DeployRequest() if self.steps <= len(DEPLOY_STEPS):
                self.machine.drive = None
                self.machine.report(request, JobState.RUNNING, DEPLOY_STEPS[self.steps - 1])
            case DeployRequest() if self.steps == len(DEPLOY_STEPS) + 1:
                self.machine.write(request)
            case DeployRequest() if self.steps == len(DEPLOY_STEPS) + 2:
                self.machine.report(request, JobState.SUCCEEDED)
            case EraseRequest() if self.steps == 1:
                self.machine.report(request, JobState.RUNNING, "erase_disks")
            case EraseRequest():
                self.machine.drive = None
                self.machine.report(request, JobState.SUCCEEDED, result=self.machine.certificate(request))
            case _ if request.verb == "power.reboot" and self.steps == 1:
                self.machine.report(request, JobState.SUCCEEDED)
            case _:
                self.machine.power_on()

    @invariant()
    def what_is_said_is_true(self) -> None:
        """ACTIVE: an OS of this server is on the disk and has said so. Available: without a server. Clean: without
        anybody's data."""
        self.look()
        server, node = self.server, self.node
        assert node["server_id"] == (server["id"] if server else None)
        assert node["state"] != "available" or server is None
        assert not node["clean"] or self.machine.drive is None
        if server is not None and server["status"] == "ACTIVE" and server["task_state"] is None:
            assert self.machine.drive is not None
            assert server["boot_proof"] == "agent"
            assert self.machine.identity().server_id == server["id"]
            assert node["state"] == "active"

    def teardown(self) -> None:
        """However it got there, it ends well; and nothing is left behind."""
        if not hasattr(self, "world"):
            return
        try:
            self.end()
        finally:
            self.world.close()
            shutil.rmtree(self.directory)

    def end(self) -> None:
        """Whoever deletes the server gets the node back, and no job is left over."""
        self.look()
        if self.server is not None and self.server["task_state"] != "deleting":
            self.world.user("DELETE", "/v1/servers/web")
        for _ in range(12):
            self.work_once()
            if self.machine.mode is None:
                self.machine.power_on()
        self.look()
        assert (self.server, self.node["state"], self.node["job_id"]) == (None, "available", None)
        with self.world.controller.read() as tx:
            assert tx.ports.count() + tx.detached.count() == 0


Lives.TestCase.settings = settings(
    max_examples=10,
    stateful_step_count=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a life of 25 steps reads well enough, and shrinking is slow
)
TestLives = Lives.TestCase
TestLives.__doc__ = "ACTIVE, available and clean are true at every moment of every life, and every life ends well."

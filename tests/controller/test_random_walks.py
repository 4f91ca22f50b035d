# SPDX-License-Identifier: Apache-2.0
"""Random lives of a machine: ordered, killed, deleted at any moment, under a controller that is restarted too.

The machine does its work step by step, so that whatever happens can happen between two steps. What must hold is
compared with what is really on the machine's disk.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.model.job import JobState
from agent.model.request import DeployRequest, EraseRequest, Request
from tests.controller.conftest import MEMORY
from tests.controller.machine import DEPLOY_STEPS, Machine
from tests.controller.world import World


class Lives(RuleBasedStateMachine):
    """One machine, one server at a time."""

    @initialize()
    def begin(self) -> None:
        """A machine in its ramdisk."""
        self.directory = Path(mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.world = World(self.directory / "data")
        self.world.stock()
        self.machine = Machine(self.world).power_on()
        self.steps = 0
        self.request_id: str | None = None

    @property
    def server(self) -> dict[str, object] | None:
        """The living server."""
        servers = self.world.user("GET", "/v1/servers")
        return servers[0] if servers else None

    @property
    def idle(self) -> bool:
        """There is a server to which nothing is done."""
        server = self.server
        return server is not None and server["task_state"] is None

    @precondition(lambda self: self.server is None and self.world.node()["state"] == "available")
    @rule()
    def order(self) -> None:
        """A user orders a server."""
        self.world.order()

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

    @rule()
    def kill(self) -> None:
        """The machine loses its power, and starts again."""
        self.machine.power_on()

    @rule()
    def restart_agent(self) -> None:
        """The agent's process dies, and is started again in the same boot."""
        if self.machine.mode == "ramdisk":
            self.machine.enrol()
        elif self.machine.mode == "service" and self.machine.send("/v1/agent/boot", self.machine.proof()).is_error:
            self.machine.mode = None

    @rule()
    def restart_controller(self) -> None:
        """Another process on the same data."""
        self.world.restart()

    @rule()
    def wait(self) -> None:
        """Minutes pass; the agent is heard of at their end."""
        self.world.look(100)
        if self.machine.mode is not None:
            self.machine.beat()

    @rule()
    def work(self) -> None:
        """The agent takes one step of what it is asked."""
        request = self.machine.desired().request if self.machine.mode is not None else None
        if request is None:
            return
        if request.request_id != self.request_id:
            self.steps, self.request_id = 0, request.request_id
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
                self.machine.report(request, JobState.RUNNING, "erase_disk")
            case EraseRequest():
                self.machine.drive = None
                self.machine.report(request, JobState.SUCCEEDED)
            case _ if request.verb == "power.reboot" and self.steps == 1:
                self.machine.report(request, JobState.SUCCEEDED)
            case _:
                self.machine.power_on()

    @invariant()
    def active_is_true(self) -> None:
        """A server is ACTIVE only with an OS on the disk that has said so; the node agrees."""
        server, node = self.server, self.world.node()
        assert node["server_id"] == (server["id"] if server else None)
        if server is not None and server["status"] == "ACTIVE" and server["task_state"] is None:
            assert self.machine.drive is not None
            assert server["boot_proof"] == "agent"
            assert self.machine.identity().server_id == server["id"]
            assert node["state"] == "active"

    @invariant()
    def available_is_true(self) -> None:
        """An available node has no server, and nobody's data if it is called clean."""
        node = self.world.node()
        assert node["state"] != "available" or self.server is None
        assert not node["clean"] or self.machine.drive is None

    def teardown(self) -> None:
        """However it got there: whoever deletes the server gets the node back, and every job has come to its end."""
        if not hasattr(self, "world"):
            return
        if self.server is not None and self.server["task_state"] != "deleting":
            self.world.user("DELETE", "/v1/servers/web")
        for _ in range(12):
            self.work()
            if self.machine.mode is None:
                self.machine.power_on()
        assert self.server is None
        assert (self.world.node()["state"], self.world.node()["job_id"]) == ("available", None)
        self.world.close()
        shutil.rmtree(self.directory)


Lives.TestCase.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
TestLives = Lives.TestCase
TestLives.__doc__ = "ACTIVE, available and clean are true at every moment of every life, and every life ends well."

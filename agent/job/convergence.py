# SPDX-License-Identifier: Apache-2.0
"""Convergence: the network is brought to what is desired, and kept there. Unlike a job it has no end and no report.

Each round observes and plans; what differs is changed, proven and observed again, or taken back (`commit`). What was
taken back is tried again, later each time. A change that nobody ordered is drift: it is told, and put right if the
policy says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import AgentError, NetworkDrifted
from agent.host.doors import Host
from agent.job.commit import NetworkCommit, NetworkDoer
from agent.job.watcher import LinkWatcher, standing
from agent.model.fault import Fault
from agent.model.network import DriftPolicy, NetworkConfig, NetworkState
from agent.model.network.plan import NetworkPlan
from agent.plan.network.text import line
from agent.program.log import Logger

FIRST_PAUSE_S, LONGEST_PAUSE_S = 30.0, 1800.0

log = Logger("network")


@dataclass(frozen=True)
class Again:
    """What was taken back is not tried again at once: each try costs the network that works some seconds. Another
    configuration is tried at once.
    """

    config: NetworkConfig | None = None
    pause_s: float = 0.0
    not_before_s: float = 0.0

    def failed(self, config: NetworkConfig, now_s: float) -> Again:
        """Once more: the pause is twice as long."""
        pause_s = min(self.pause_s * 2, LONGEST_PAUSE_S) if config == self.config else FIRST_PAUSE_S
        return Again(config, pause_s, now_s + pause_s)

    def must_wait(self, config: NetworkConfig, now_s: float) -> bool:
        """Whether it is too early."""
        return config == self.config and now_s < self.not_before_s


class Convergence:
    """The desired network of one generation, and whether it holds."""

    def __init__(self, host: Host, doer: NetworkDoer, directory: str) -> None:
        self._doer = doer
        self._commit = NetworkCommit(host, doer, directory)
        self._wanted: tuple[int, NetworkConfig] = (0, NetworkConfig())
        self._settled: tuple[NetworkState, NetworkConfig] | None = None
        self._watcher = LinkWatcher()
        self._clock = host.clock
        self._again = Again()
        self.applied_generation = 0
        self.state: NetworkState | None = None
        self.fault: Fault | None = None

    def want(self, generation: int, desired: NetworkConfig | None) -> None:
        """From now on this is desired; `None` leaves the network as it is."""
        _, before = self._wanted
        self._wanted = generation, before if desired is None else desired  # at once: a round may be reading it

    @property
    def wanted(self) -> tuple[int, NetworkConfig]:
        """The newest generation, and what it says."""
        return self._wanted

    def round(self) -> bool:
        """One round; True if the desired network holds at its end. Raises nothing that a next round may cure."""
        generation, desired = self._wanted
        if self._again.must_wait(desired, self._clock.monotonic_s()):
            return False
        try:
            self._bring_about(generation, desired)
        except AgentError as error:
            self._settled = None
            self._failed(Fault.of(error))
            return False
        self.fault = None
        self.applied_generation = generation
        return True

    @property
    def problems(self) -> tuple[Fault, ...]:
        """All that is wrong now, with the network as a whole and with its links."""
        state, (_, desired) = self.state, self._wanted
        return (*(() if self.fault is None else (self.fault,)), *(standing(state, desired) if state else ()))

    def recover(self) -> None:
        """Take back what an earlier run left behind. It is told if it fails, and tried again with each round."""
        try:
            if self._commit.recover():
                log.warning("an unfinished change of the network was taken back")
        except AgentError as error:
            self._failed(Fault.of(error))

    def _bring_about(self, generation: int, desired: NetworkConfig) -> None:
        self._commit.recover()
        self.state = state = self._doer.network_state(desired)
        self._watcher.look(state)
        if self._settled is not None and self._settled[0] is state and self._settled[1] == desired:
            return
        held, now = self._commit.record.held(), self._commit.held_now(generation, desired)
        plan = self._doer.plan_network(state, desired, held.config)
        if plan.steps:
            if (held.config, held.boot_id) == (desired, now.boot_id):
                self._tell_drift(plan, desired)
            try:
                self._commit.bring_about(plan, state, desired, held, generation)
            except AgentError:
                self._again = self._again.failed(desired, self._clock.monotonic_s())
                raise
            self._again = Again()
            self.state = self._doer.network_state(desired)
            self._watcher.look(self.state)  # what happens from now on differs from this
            self._settled = None  # somebody may have changed it since it was proven: the next round plans once more
            return
        if held != now:
            self._commit.record.hold(now)
        self._settled = (state, desired)

    def _tell_drift(self, plan: NetworkPlan, desired: NetworkConfig) -> None:
        """Of what has held in this boot. Raises `NetworkDrifted` where it is only to be reported."""
        if desired == NetworkConfig():
            return
        lines = "; ".join(line(step) for step in plan.steps[:8])
        log.warning("the network was changed by somebody else", drift=lines, policy=desired.drift)
        if desired.drift is DriftPolicy.REPORT:
            raise NetworkDrifted("keeping the network", f"what would put it right: {lines}")

    def _failed(self, fault: Fault) -> None:
        if fault != self.fault:
            log.warning("network not as desired", code=fault.code, fault=fault.message, causes=fault.details)
        self.fault = fault

# SPDX-License-Identifier: Apache-2.0
"""Convergence: the network is brought to what is desired, and kept there. Unlike a job it has no end and no report.

Each round observes, plans, applies, observes again and compares. A round that fails is tried again, later each time.
"""

from __future__ import annotations

from typing import Protocol

import structlog

from agent.errors import AgentError, NotAsObserved
from agent.model.fault import Fault
from agent.model.job import Advance, Result
from agent.model.network import NetworkConfig, NetworkState
from agent.model.plan import Plan, Precondition, Step

log = structlog.get_logger("network")


class NetworkDoer(Protocol):
    """What the table of operations gives for the network."""

    def network_state(self) -> NetworkState: ...
    def plan_network(self, state: NetworkState, desired: NetworkConfig) -> Plan: ...
    def unmet(self, state: NetworkState, desired: NetworkConfig) -> tuple[str, ...]: ...
    def hold(self, precondition: Precondition) -> None: ...
    def do(self, step: Step, advance: Advance) -> Result: ...


class Convergence:
    """The desired network of one generation, and whether it holds."""

    def __init__(self, doer: NetworkDoer) -> None:
        self._doer = doer
        self._wanted = (0, NetworkConfig())
        self.applied_generation = 0
        self.state: NetworkState | None = None
        self.fault: Fault | None = None

    def want(self, generation: int, desired: NetworkConfig | None) -> None:
        """From now on this is desired; `None` leaves the network as it is."""
        _, before = self._wanted
        self._wanted = generation, before if desired is None else desired  # at once: a round may be reading it

    def round(self) -> bool:
        """One round; True if the desired network holds at its end. Raises nothing that a next round may cure."""
        generation, desired = self._wanted
        try:
            self.state = self._bring_about(desired)
        except AgentError as error:
            self._failed(Fault.of(error))
            return False
        self.fault = None
        self.applied_generation = generation
        return True

    def _bring_about(self, desired: NetworkConfig) -> NetworkState:
        self.state = before = self._doer.network_state()
        plan = self._doer.plan_network(before, desired)
        for precondition in plan.preconditions:
            self._doer.hold(precondition)
        for step in plan.steps:
            log.info("applying", step=step.kind)
            self._doer.do(step, lambda *_: None)
        after = self._doer.network_state() if plan.steps else before
        unmet = self._doer.unmet(after, desired)
        if unmet:
            self.state = after
            raise NotAsObserved("bringing the network about", "; ".join(unmet))
        return after

    def _failed(self, fault: Fault) -> None:
        if fault != self.fault:
            log.warning("network not as desired", code=fault.code, fault=fault.message, causes=fault.details)
        self.fault = fault

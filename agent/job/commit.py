# SPDX-License-Identifier: Apache-2.0
"""A change of the network: proven, or taken back. Whatever becomes of this process.

    write down what to bring back ─► arm the guard ─► apply ─► prove ─► observe again ─► hold ─► end
                                          │               └── fails ──► take back
                                          └── this process dies, or the time is over: the guard takes back

The guard is another process, in a unit of its own where there is systemd. Both work under one lock, which ends with its
holder; so whoever gets it and finds a change pending takes it back. After a power cut the next start does. A process
that hangs keeps that lock: which of the two has the last word is decided under a second one, which nobody has for long.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event
from typing import Protocol

from agent.errors import AgentError, ChangeUnderWay, CommandFailed, NotAsObserved, RevertFailed
from agent.host.doors import Host
from agent.host.identity import boot_id
from agent.job.network_record import Held, NetworkRecord, Pending
from agent.model.network import NetworkConfig, NetworkState, Snapshot
from agent.model.network.plan import NetworkPlan
from agent.model.network.step import AddRemote, ChangeMembers, NetworkStep, PersistNetwork, RemoveRemote
from agent.program.log import Logger

TIME_S = 180.0
"""For applying and proving together; then the guard acts."""
GUARD_POLL_S = 0.2
GUARD_START_S = 45.0
GUARD_AGAIN_S = 30.0
"""Until the guard tries again what it could not do."""
VERDICT_S = 30.0
"""For the guard to have taken a change back, if it is at that; then it is done beside it."""
REVERT_TRIES = 5
REVERT_PAUSE_S = 1.0
UNIT = "bms-agent-network-guard"
SYSTEMD = "/run/systemd/system"

log = Logger("network")


class NetworkDoer(Protocol):
    """What the table of operations gives for the network."""

    def network_state(self, config: NetworkConfig) -> NetworkState: ...
    def plan_network(self, state: NetworkState, config: NetworkConfig, before: NetworkConfig) -> NetworkPlan: ...
    def plan_revert(self, state: NetworkState, snapshot: Snapshot, failed: NetworkConfig) -> NetworkPlan: ...
    def snapshot(
        self, state: NetworkState, config: NetworkConfig, before: NetworkConfig, plan: NetworkPlan
    ) -> Snapshot: ...
    def unmet(self, state: NetworkState, config: NetworkConfig, before: NetworkConfig) -> tuple[str, ...]: ...
    def apply_network(self, plan: NetworkPlan, doing: Callable[[NetworkStep], None]) -> None: ...


class NetworkCommit:
    """Changes of one machine's network, one at a time."""

    def __init__(self, host: Host, doer: NetworkDoer, directory: str, *, time_s: float = TIME_S) -> None:
        self._host = host
        self._doer = doer
        self._directory = directory
        self._time_s = time_s
        self.record = NetworkRecord(host.files, directory)

    def bring_about(
        self, plan: NetworkPlan, state: NetworkState, config: NetworkConfig, held: Held, generation: int
    ) -> None:
        """Raises `AgentError` if it was taken back, `RevertFailed` if that did not work either."""
        with self._host.lock(self.record.lock):
            if self.record.pending() is not None:
                raise ChangeUnderWay("changing the network", "an earlier change is not taken back yet")
            if self.record.held() != held:  # the plan is of a network that is no more
                raise ChangeUnderWay("changing the network", "another process has changed it since it was looked at")
            if not is_risky(plan):
                self._attempt(plan, config, lambda step: log.info("applying", step=step.kind))
                self.record.hold(self.held_now(generation, config))
                return
            pending = self._pending(plan, state, config, held)
            self.record.begin(pending)
            try:
                self._arm()
                self._attempt(plan, config, lambda step: self._in_time(pending, step))
                with self._host.lock(self.record.verdict, wait_s=VERDICT_S):
                    self._still_ours()
                    self.record.hold(self.held_now(generation, config))
                    self.record.end()
            except AgentError as error:
                log.warning("network change fails, taking it back", code=error.code, error=str(error))
                self._give_up(pending)
                raise

    def _give_up(self, pending: Pending) -> None:
        """Take it back, once the guard is not at that any more."""
        with ExitStack() as verdict:
            with suppress(AgentError):  # a guard that hangs: it takes back what is taken back already
                verdict.enter_context(self._host.lock(self.record.verdict, wait_s=VERDICT_S))
            self._take_back(pending)

    def _in_time(self, pending: Pending, step: NetworkStep) -> None:
        """A process that was stopped and goes on must not do what the guard is taking back."""
        if self._host.clock.monotonic_s() > pending.deadline_s:
            raise NotAsObserved("changing the network", f"it took more than {self._time_s:.0f} s")
        log.info("applying", step=step.kind)

    def _still_ours(self) -> None:
        if self.record.pending() is None:
            raise NotAsObserved("changing the network", "it took so long that the guard has taken it back")

    def held_now(self, generation: int, config: NetworkConfig) -> Held:
        """That it holds, in this boot."""
        return Held(generation=generation, config=config, boot_id=boot_id(self._host.files))

    def _pending(self, plan: NetworkPlan, state: NetworkState, config: NetworkConfig, held: Held) -> Pending:
        return Pending(
            deadline_s=self._host.clock.monotonic_s() + self._time_s,
            boot_id=boot_id(self._host.files),
            snapshot=self._doer.snapshot(state, config, held.config, plan),
            failed=config,
            held=held,
        )

    def _arm(self) -> None:
        unit = f"{UNIT}-{os.getpid()}-{int(self._host.clock.monotonic_s() * 1000)}"
        if self._host.files.exists(SYSTEMD):
            try:
                self._host.run(guard_argv(self._directory, unit), timeout_s=GUARD_START_S)
                return
            except CommandFailed as error:  # a guard that ends with our unit is better than a network that stays away
                log.warning("the guard gets no unit of its own", error=str(error))
        self._host.run(guard_argv(self._directory, None), timeout_s=GUARD_START_S)

    def _attempt(self, plan: NetworkPlan, config: NetworkConfig, doing: Callable[[NetworkStep], None]) -> None:
        self._doer.apply_network(plan, doing)
        unmet = self._doer.unmet(self._doer.network_state(config), config, config)
        if unmet:
            raise NotAsObserved("bringing the network about", "; ".join(unmet[:8]))

    def recover(self) -> bool:
        """Take back what an earlier process, or one before a power cut, left pending; whether there was anything.
        Raises `ChangeUnderWay` while that process lives, `RevertFailed`.
        """
        with self._host.lock(self.record.lock):
            if (pending := self.record.pending()) is None:
                return False
            self._take_back(pending)
            return True

    def _take_back(self, pending: Pending) -> None:
        """Until it is as it was. A step that fails is tried again with a new plan: something was in its way."""
        left: tuple[str, ...] = ()
        failure: AgentError | None = None
        for _ in range(REVERT_TRIES):
            try:
                plan = self._doer.plan_revert(self._state_of(pending), pending.snapshot, pending.failed)
                self._doer.apply_network(plan, lambda step: log.info("taking back", step=step.kind))
                plan = self._doer.plan_revert(self._state_of(pending), pending.snapshot, pending.failed)
                left = tuple(step.kind for step in plan.steps)
                failure = None
                if not left:
                    self.record.hold(pending.held)
                    self.record.end()
                    return
            except AgentError as error:
                failure = error
            self._host.clock.wait(Event(), REVERT_PAUSE_S)
        raise RevertFailed("taking the network change back", ", ".join(left)) from failure

    def _state_of(self, pending: Pending) -> NetworkState:
        return self._doer.network_state(pending.failed)

    def guard(self) -> bool:
        """The guard's life: until no change is pending; whether it took one back. It does not give up: who could not be
        reached meanwhile would never be again. What it cannot do it does later, or the next start does.
        """
        pause_s = GUARD_POLL_S
        while True:
            try:
                if (taken_back := self._watch()) is not None:
                    return taken_back
                pause_s = GUARD_POLL_S
            except AgentError as error:
                pause_s = min(pause_s * 2, GUARD_AGAIN_S)
                log.error("the network change is not taken back yet", code=error.code, error=str(error))
            self._host.clock.wait(Event(), pause_s)

    def _watch(self) -> bool | None:
        """One look; None while there is nothing to do but to look again. Raises `AgentError`."""
        if (pending := self.record.pending()) is None:
            return False
        clock = self._host.clock
        over = clock.monotonic_s() > pending.deadline_s or pending.boot_id != boot_id(self._host.files)
        with suppress(ChangeUnderWay), self._host.lock(self.record.lock):
            return self._taken_back("the agent is gone, taking its network change back")
        if over:  # it has had more than the time of all that it does
            with suppress(ChangeUnderWay), self._host.lock(self.record.verdict):
                return self._taken_back("the agent hangs, taking its network change back")
        return None

    def _taken_back(self, why: str) -> bool:
        """What is still pending; whether anything was. Raises `RevertFailed`."""
        if (pending := self.record.pending()) is None:
            return False
        log.warning(why)
        self._take_back(pending)
        return True


def is_risky(plan: NetworkPlan) -> bool:
    """Whether it could cut anything off: files for the next boot, and who is a member or a remote, cannot."""
    return any(
        not isinstance(step, PersistNetwork | ChangeMembers | AddRemote | RemoveRemote)
        or (isinstance(step, PersistNetwork) and bool(step.activate))
        for step in plan.steps
    )


def guard_argv(directory: str, unit: str | None) -> list[str]:
    """It returns once the guard watches. In a unit of its own it outlives the agent's unit being stopped."""
    path = f"PYTHONPATH={Path(__file__).parents[2]}"
    around = ["env", path]
    if unit is not None:
        around = [
            "systemd-run",
            "--quiet",
            "--collect",
            f"--unit={unit}",
            "--property=Type=forking",
            f"--setenv={path}",
        ]
    return [*around, sys.executable, "-P", "-m", "agent", "network", "guard", "--state", directory]

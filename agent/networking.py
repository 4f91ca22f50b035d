# SPDX-License-Identifier: Apache-2.0
"""Floor 4, the table's page on the network: observing, planning, applying and reverting it on one host.

Every face that changes the network (the service, `bms-agent network`, the guard) goes through it; `job/commit.py`
decides in which order, and `job/convergence.py` when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from agent.apply.network import apply_network, check_nic
from agent.errors import AgentError, PreconditionError
from agent.host.doors import Host
from agent.host.network_doors import Tables
from agent.inventory.network import network_state
from agent.inventory.network.persistence import manager_of
from agent.model.network import IPAddress, Manager, NetworkConfig, NetworkState, Snapshot
from agent.model.network.plan import NetworkPlan
from agent.model.network.proof import ControllerAddress
from agent.model.network.step import NetworkStep
from agent.plan.network import Stored, plan_network, plan_revert
from agent.plan.network.invariants import check_network
from agent.plan.network.render import CLOUD_INIT_FOLDER, folders, render
from agent.plan.network.resolve import resolve, resolve_what_is_there, with_bond_macs
from agent.plan.network.snapshot import snapshot
from agent.plan.network.sysctls import FILE, sysctl_file, sysctls_of
from agent.plan.network.text import line

CONTROLLER_S = 2.0


class Networking:
    """`job.commit.NetworkDoer` on one host."""

    def __init__(
        self, host: Host, controller: str | None = None, *, persist: bool = True, resident: bool = False
    ) -> None:
        """`controller` is a URL; without `persist` the next boot knows nothing of a change. `resident`: this agent is
        there at the next boot, so a system without anything that could bring a network up gets one all the same.
        """
        self._host = host
        self._controller = controller
        self._persist = persist
        self._resident = resident
        self._last: tuple[Tables, NetworkState] | None = None

    def network_state(self, config: NetworkConfig) -> NetworkState:
        """As it is, with the sysctls that this configuration is about. The same object as before if nothing changed."""
        tables = self._host.netlink.tables()
        state = network_state(self._host, tables, sysctl_keys(config, tables), since=self._last and self._last[1])
        self._last = (tables, state)
        return state

    def plan_network(self, state: NetworkState, config: NetworkConfig, before: NetworkConfig) -> NetworkPlan:
        """What would bring it about; an empty plan if it is so already. Raises `AgentError`: nothing was touched."""
        stored = self._stored()
        plan = plan_network(state, config, before, stored)
        if plan.steps and self._controller is not None:  # only now: looking a name up may take its time
            plan = plan_network(state, config, before, stored, self._address())
        return check_network(plan)

    def plan_revert(self, state: NetworkState, snapshot: Snapshot, failed: NetworkConfig) -> NetworkPlan:
        """What would bring back what was."""
        return plan_revert(state, snapshot, failed, self._texts(snapshot.files))

    def snapshot(
        self, state: NetworkState, config: NetworkConfig, before: NetworkConfig, plan: NetworkPlan
    ) -> Snapshot:
        """What a revert of this plan needs."""
        paths = {path for step in plan.steps for path in (*getattr(step, "files", ()), *getattr(step, "removed", ()))}
        wanted, was = resolve(config, state), resolve_what_is_there(before, state)
        return snapshot(state, wanted, was, plan.steps, self._texts(paths), self._manager())

    def unmet(self, state: NetworkState, config: NetworkConfig, before: NetworkConfig) -> tuple[str, ...]:
        """What would still have to be done, in words: the judgement after applying."""
        steps = plan_network(state, config, before, self._stored()).steps
        return tuple(line(step) for step in steps if step.kind != "prove_network")

    def apply_network(self, plan: NetworkPlan, doing: Callable[[NetworkStep], None]) -> None:
        """All of it, its preconditions first. Raises `AgentError`."""
        for nic in plan.nics:
            check_nic(self._host, nic)
        apply_network(self._host, plan.steps, doing)

    def _address(self) -> ControllerAddress | None:
        parts = urlsplit(self._controller or "")
        if parts.hostname is None:
            return None
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        answers = self._host.probe.connects(host, port, CONTROLLER_S)
        return ControllerAddress(host=host, addresses=self._addresses(host), port=port, answers=answers)

    def _addresses(self, name: str) -> tuple[IPAddress, ...]:
        try:
            return (ip_address(name),)
        except ValueError:
            return self._host.probe.addresses(name)

    def _manager(self) -> Manager | None:
        """Whoever fetches leases here; a system without one has none to lose."""
        try:
            return manager_of(self._host.files)
        except PreconditionError:
            return None

    def _stored(self) -> Stored:
        if not self._persist:
            return Stored()
        manager = self._manager() if self._resident else manager_of(self._host.files)
        if manager is None:
            return Stored()
        paths = [f"{folder}/{name}" for folder in folders(manager) for name in self._host.files.names(folder)]
        cloud_init = self._host.files.exists(CLOUD_INIT_FOLDER)
        return Stored(manager, self._texts([*paths, FILE]), cloud_init=cloud_init)

    def _texts(self, paths: Iterable[str]) -> dict[str, str]:
        files = self._host.files
        return {path: files.read_text(path) for path in paths if files.exists(path)}


def sysctl_keys(config: NetworkConfig, tables: Tables) -> tuple[str, ...]:
    """Those that matter. A configuration for NICs that are not there has none: planning refuses it."""
    try:
        return tuple(sysctls_of(resolve(config, NetworkState(links=tables.links))))
    except AgentError:
        return ()


def rendered(config: NetworkConfig, manager: Manager) -> dict[str, str]:
    """The files with which a boot begins with this network: absolute path → text."""
    return render(manager, with_bond_macs(config)) | sysctl_file(sysctls_of(config))

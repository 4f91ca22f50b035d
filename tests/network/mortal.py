# SPDX-License-Identifier: Apache-2.0
"""Agents that something happens to in the middle of a change. As a program: one for many changes, each in a fork.

python -m tests.network.mortal NAMESPACE DIRECTORY URL      # then orders, one a line, and what became of each
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from agent.host import real
from agent.host.doors import Host
from agent.host.files import RealFiles
from agent.host.netlink import RealNetlink
from agent.host.network_doors import KernelStep
from agent.host.nftables import RealNftables
from agent.host.traffic import RealTraffic
from agent.job.commit import TIME_S, NetworkCommit
from agent.model.network import Bandwidth, NetworkConfig
from agent.model.network.plan import NetworkPlan
from agent.model.network.proof import ProveNetwork
from agent.networking import Networking
from tests.network.enter import STATE, enter, kill_guards
from tests.network.world import REPOSITORY, URL, Server

PROOF_S = 10.0
HURRIED_S = 1.5
"""For a proof that is to fail."""
END_S = 60


@dataclass
class Fate:
    """Counts what changes the machine; after the change of number `at` these things happen, in order."""

    namespace: str
    at: int
    strikes: Sequence[str]
    cutting: Sequence[str]
    count: int = 0

    def changed(self) -> None:
        """One more."""
        self.count += 1
        for strike in self.strikes if self.count == self.at else ():
            match strike:
                case "cut":
                    subprocess.run(self.cutting, check=True)
                case "guard":
                    kill_guards(self.namespace)
                case "self":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "stop":
                    os.kill(os.getpid(), signal.SIGSTOP)


class MortalNetlink(RealNetlink):
    """One change at a time."""

    def __init__(self, fate: Fate) -> None:
        super().__init__()
        self._fate = fate

    def change(self, steps: Sequence[KernelStep]) -> None:
        """As it does."""
        for step in steps:
            super().change([step])
            self._fate.changed()


class MortalFiles(RealFiles):
    """Records, and settings of the kernel."""

    def __init__(self, fate: Fate) -> None:
        super().__init__("/")
        self._fate = fate

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """As it does."""
        super().write(path, data, mode=mode)
        self._fate.changed()

    def tell(self, path: str, text: str) -> None:
        """As it does."""
        super().tell(path, text)
        self._fate.changed()

    def remove(self, path: str) -> None:
        """As it does."""
        super().remove(path)
        self._fate.changed()


class MortalNftables(RealNftables):
    """Rules."""

    def __init__(self, fate: Fate) -> None:
        super().__init__()
        self._fate = fate

    def __call__(self, script: str) -> None:
        """As it does."""
        super().__call__(script)
        self._fate.changed()


class MortalTraffic(RealTraffic):
    """Limits."""

    def __init__(self, fate: Fate) -> None:
        self._fate = fate

    def limit(self, link: str, bandwidth: Bandwidth) -> None:
        """As it does."""
        super().limit(link, bandwidth)
        self._fate.changed()


def mortal(fate: Fate) -> Host:
    """The real doors, with that fate behind those that change anything."""
    return replace(
        real.host(),
        files=MortalFiles(fate),
        netlink=MortalNetlink(fate),
        nftables=MortalNftables(fate),
        traffic=MortalTraffic(fate),
    )


def hurried(plan: NetworkPlan, proof_s: float) -> NetworkPlan:
    """The same, with less patience for its proofs."""
    steps = (
        step.model_copy(update={"timeout_s": proof_s}) if isinstance(step, ProveNetwork) else step
        for step in plan.steps
    )
    return plan.model_copy(update={"steps": tuple(steps)})


def change(order: dict[str, Any], fate: Fate, url: str) -> None:
    """What `bms-agent network apply --no-persist` does."""
    host = mortal(fate)
    networking = Networking(host, url, persist=False)
    commit = NetworkCommit(host, networking, str(STATE), time_s=order["time_s"])
    config = NetworkConfig.model_validate(order["config"])
    held = commit.record.held()
    state = networking.network_state(config)
    plan = hurried(networking.plan_network(state, config, held.config), order["proof_s"])
    commit.bring_about(plan, state, config, held, held.generation + 1)


def child(order: dict[str, Any], namespace: str, url: str) -> None:
    """One change, in a process of its own; its error is its last words."""
    os.dup2(2, 1)
    fate = Fate(namespace, order["at"], order["strikes"], order["cutting"])
    try:
        change(order, fate, url)
    except BaseException:  # noqa: BLE001 - whatever it is, it is told
        (STATE / "error").write_text(traceback.format_exc())
        sys.exit(1)
    (STATE / "count").write_text(str(fate.count))
    sys.exit(0)


def main() -> None:
    """Obey until there are no more orders."""
    namespace, directory, url = sys.argv[1:]
    enter(namespace, Path(directory))
    for line in sys.stdin:
        order = json.loads(line)
        if (pid := order.get("resume")) is not None:
            os.kill(pid, signal.SIGKILL if order["kill"] else signal.SIGCONT)
        elif (pid := os.fork()) == 0:
            child(order, namespace, url)
        _, status = os.waitpid(pid, os.WUNTRACED)
        code = None if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)
        sys.stdout.write(json.dumps({"pid": pid, "status": code}) + "\n")
        sys.stdout.flush()


@dataclass
class Agents:
    """The other end of such a program."""

    server: Server
    cutting: tuple[str, ...]
    url: str = URL
    _process: subprocess.Popen[str] = field(init=False)

    def __enter__(self) -> Agents:
        argv = [
            sys.executable,
            "-m",
            "tests.network.mortal",
            self.server.namespace,
            str(self.server.directory),
            self.url,
        ]
        log = (self.server.directory / "log").open("w")
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=REPOSITORY
        )
        log.close()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.communicate(timeout=END_S)

    def change(
        self, config: NetworkConfig, at: int = 0, *strikes: str, time_s: float = TIME_S, proof_s: float = PROOF_S
    ) -> int | None:
        """Let an agent bring it about; its exit status (below 0: the signal), or None if it was stopped."""
        order = {"config": config.model_dump(mode="json"), "at": at, "strikes": strikes, "time_s": time_s}
        return self._order(order | {"proof_s": proof_s, "cutting": ("ip", *self.cutting)})

    def resume(self, *, kill: bool = False) -> int | None:
        """Let the stopped one go on, or kill it."""
        return self._order({"resume": self.pid, "kill": kill})

    def _order(self, order: dict[str, Any]) -> int | None:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        self.pid = int(answer["pid"])
        status = answer["status"]
        return None if status is None else int(status)

    @property
    def count(self) -> int:
        """Changes of the last that came to its end."""
        return int((self.server.directory / "count").read_text())

    @property
    def error(self) -> str:
        """What the last that failed said."""
        return (self.server.directory / "error").read_text()


if __name__ == "__main__":
    main()

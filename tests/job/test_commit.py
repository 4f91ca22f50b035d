# SPDX-License-Identifier: Apache-2.0
"""A change of the network with a fault at every call of a door: it ends as it shall be or as it was, never between."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

import pytest

from agent.errors import AgentError, ChangeUnderWay, NotAsObserved
from agent.host.fake import Died, Effect, FakeHost, FaultPlan, Machine, Output, Tree, silent
from agent.host.fake.doors import FakeClock
from agent.host.fake.machine import Record
from agent.job.commit import TIME_S, NetworkCommit
from agent.job.convergence import Convergence
from agent.job.network_record import NetworkRecord
from agent.model.network import Bandwidth, DriftPolicy, Ethernet, Firewall, LinkState, NetworkConfig
from agent.networking import Networking

DIRECTORY = "/var/lib/bms-agent"
CONTROLLER = "http://10.9.0.9:8480"
NICS = {"eno1": "52:54:00:00:00:01", "eno2": "52:54:00:00:00:02"}
ETHERNETS = [{"kind": "ethernet", "name": name, "mac": mac} for name, mac in NICS.items()]
FILES = {
    "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service": "",
    "/proc/sys/kernel/random/boot_id": "boot-1\n",
    "/proc/sys/net/ipv4/conf/all/rp_filter": "0\n",
}
BEFORE = NetworkConfig.model_validate(
    {
        "links": [ETHERNETS[0] | {"addresses": ["10.1.0.10/24"]}, ETHERNETS[1]],
        "routes": [{"destination": "0.0.0.0/0", "link": "eno1", "gateway": "10.1.0.1"}],
        "rules": [],
    }
)
AFTER = NetworkConfig.model_validate(
    {
        "links": [
            *ETHERNETS,
            {
                "kind": "bond",
                "name": "bond0",
                "mode": "active-backup",
                "miimon_ms": 100,
                "ports": list(NICS),
                "addresses": ["10.1.0.10/24", "10.1.0.11/24"],
            },
            {
                "kind": "vlan",
                "name": "bond0.7",
                "parent": "bond0",
                "vlan_id": 7,
                "addresses": ["10.7.0.10/24"],
                "bandwidth": {"egress_mbps": 10},
            },
        ],
        "routes": [
            {"destination": "0.0.0.0/0", "link": "bond0", "gateway": "10.1.0.1"},
            {"destination": "0.0.0.0/0", "link": "bond0.7", "gateway": "10.7.0.1", "table": 1007},
        ],
        "rules": [{"priority": 1000, "table": 1007, "source": "10.7.0.10/32"}],
        "firewall": {
            "groups": [{"id": "web", "rules": [{"direction": "in"}, {"direction": "out"}]}],
            "links": {"bond0.7": ["web"]},
        },
    }
)
LIMITED = BEFORE.model_copy(
    update={"links": (BEFORE.links[0].model_copy(update={"bandwidth": Bandwidth(egress_mbps=10)}), BEFORE.links[1])}
)


def machine() -> Machine:
    """Two NICs, networkd, and no configuration yet."""
    links = tuple(
        LinkState(
            name=name,
            index=index,
            kind="ethernet",
            mac=mac,
            permanent_mac=mac,
            carrier=True,
            up=True,
            mtu=1500,
            config=Ethernet(name=name, mac=mac, mtu=1500, up=True, addresses=()),
        )
        for index, (name, mac) in enumerate(NICS.items(), 2)
    )
    made = Machine.of(Tree.of(FILES), Record(origin="synthetic: two NICs", links=links))
    made.programs |= {"networkctl": silent, "env": silent, "modprobe": silent}
    return made


def process(made: Machine, faults: FaultPlan | None = None) -> Convergence:
    """What a start of the service has."""
    host = FakeHost.of(made, faults)
    return Convergence(host, Networking(host, CONTROLLER), DIRECTORY)


def settled(*wanted: NetworkConfig) -> Machine:
    """A machine that was brought to each of these in turn."""
    made = machine()
    for generation, config in enumerate(wanted, 1):
        convergence = process(made)
        convergence.want(generation, config)
        assert convergence.round(), convergence.fault
    return made


def kernel(made: Machine) -> dict[str, Any]:
    """The network as it is, but for numbers that mean nothing."""
    links = {name: link.model_dump(exclude={"index"}) for name, link in made.links.items()}
    for link in links.values():
        link["shaper"] = made.limits.get(made.links[link["name"]].index)
    firewall = Networking(FakeHost.of(made)).network_state(NetworkConfig()).firewall_digest
    return {
        "links": links,
        "routes": sorted(map(repr, made.routes.values())),
        "rules": sorted(map(repr, made.rules)),
        "sysctls": texts(made, "/proc/sys/net/"),
        "firewall": None if firewall == Firewall().digest else firewall,  # an empty table filters as none does
    }


def texts(made: Machine, *folders: str) -> dict[str, str]:
    """Files, without the blanks at their ends."""
    return {
        path: content.decode().strip()
        for path, content in made.tree.entries.items()
        if path.startswith(folders) and isinstance(content, bytes)
    }


def next_boot(made: Machine) -> dict[str, str]:
    """What the next boot reads."""
    return texts(made, "/etc/")


def record(made: Machine) -> NetworkRecord:
    """What is remembered."""
    return NetworkRecord(FakeHost.of(made).files, DIRECTORY)


def struck(faults: FaultPlan, start: NetworkConfig, goal: NetworkConfig) -> Machine:
    """A machine on which the change was tried, with these faults."""
    made = settled(start)
    convergence = process(made, faults)
    convergence.want(2, goal)
    with suppress(Died):
        convergence.round()
    return made


def calls(start: NetworkConfig, goal: NetworkConfig) -> list[str]:
    """Of one change without a fault."""
    counting = FaultPlan()
    struck(counting, start, goal)
    return counting.calls


CHANGES = [
    pytest.param(BEFORE, AFTER, id="two NICs become a bond"),
    pytest.param(AFTER, BEFORE, id="a bond becomes two NICs"),
    pytest.param(BEFORE, LIMITED, id="bandwidth"),
]


@pytest.mark.parametrize("effect", Effect)
@pytest.mark.parametrize(("start", "goal"), CHANGES)
def test_every_fault(start: NetworkConfig, goal: NetworkConfig, effect: Effect) -> None:
    """Whatever fails, or wherever the agent dies: after its next start the network is wholly the old or wholly the new
    one, as are the files for the next boot and what is remembered, and the next round ends in the new one.
    """
    old, new = settled(start), settled(start, goal)
    before, after = (kernel(old), next_boot(old)), (kernel(new), next_boot(new))
    assert before != after

    for at, call in enumerate(calls(start, goal), 1):
        made = struck(FaultPlan(at=at, effect=effect), start, goal)
        where = f"{effect.name} at {at}, {call}"
        convergence = process(made)
        convergence.recover()

        assert convergence.fault is None, where
        assert record(made).pending() is None, where
        held = record(made).held().config
        assert held in (start, goal), where
        assert (kernel(made), next_boot(made)) == (after if held == goal else before), where
        convergence.want(2, goal)
        assert convergence.round(), where
        assert (kernel(made), next_boot(made), record(made).held().config) == (*after, goal), where
        commands = len(made.commands)
        assert convergence.round() and len(made.commands) == commands, where


@pytest.mark.parametrize("reboot", [False, True])
def test_death_then_power_cut(*, reboot: bool) -> None:
    """A change that is pending after a power cut is taken back at the next start, by the kernel as it is then."""
    old = settled(BEFORE)
    for at in range(1, len(calls(BEFORE, AFTER)) + 1, 7):
        made = struck(FaultPlan(at=at, effect=Effect.DIE_AFTER), BEFORE, AFTER)
        if reboot:
            made.cut_power(keep_files=True)
            made.tree.put("/proc/sys/kernel/random/boot_id", b"boot-2\n")
        if record(made).pending() is None:
            continue  # it was proven: nothing is taken back
        convergence = process(made)
        convergence.recover()
        convergence.want(1, BEFORE)

        assert convergence.round(), (at, convergence.fault)
        assert (kernel(made), next_boot(made)) == (kernel(old), next_boot(old)), at
        assert record(made).pending() is None


def late(made: Machine, while_away: Callable[[FakeHost], None]) -> NetworkCommit:
    """A commit whose process is stopped while it changes the network, and goes on after its time."""
    host = FakeHost.of(made)

    def stopped(machine: Machine, argv: object, stdin: str | None) -> Output:
        machine.uptime_s += TIME_S + 1
        while_away(host)
        return Output()

    made.programs["env"] = stopped
    return NetworkCommit(host, Networking(host), DIRECTORY)


@pytest.mark.parametrize("guarded", [False, True])
def test_too_late_is_not_done(*, guarded: bool) -> None:
    """An agent that was stopped and goes on after its time does not go on with the change, whether the guard has taken
    it back meanwhile or not: all is as it was.
    """
    made = settled(BEFORE)
    before = kernel(made), next_boot(made)

    def guard(host: FakeHost) -> None:
        if guarded:
            assert NetworkCommit(host, Networking(host), DIRECTORY).guard()

    commit = late(made, guard)
    doer = Networking(FakeHost.of(made))
    state = doer.network_state(AFTER)
    held = commit.record.held()
    with pytest.raises(NotAsObserved, match="it took more than 180 s"):
        commit.bring_about(doer.plan_network(state, AFTER, BEFORE), state, AFTER, held, 2)

    assert (kernel(made), next_boot(made)) == before
    assert commit.record.pending() is None and commit.record.held() == held


def test_one_change_at_a_time() -> None:
    """While a change is pending no other is begun; the guard of a living agent waits for its end."""
    made = struck(FaultPlan(at=len(calls(BEFORE, AFTER)) // 2, effect=Effect.DIE_BEFORE), BEFORE, AFTER)
    host = FakeHost.of(made)
    doer = Networking(host)
    commit = NetworkCommit(host, doer, DIRECTORY)
    state = doer.network_state(AFTER)
    plan = doer.plan_network(state, AFTER, BEFORE)

    with pytest.raises(AgentError, match="an earlier change is not taken back yet"):
        commit.bring_about(plan, state, AFTER, commit.record.held(), 2)
    with host.lock(commit.record.lock), pytest.raises(AgentError, match="another process has it"):
        commit.recover()
    assert commit.guard() and kernel(made) == kernel(settled(BEFORE))


def test_what_a_boot_loses_is_no_drift() -> None:
    """With the policy to report, what the next boot's files cannot bring back comes about again after it, while what
    somebody takes away later is only told.
    """
    wanted = LIMITED.model_copy(update={"drift": DriftPolicy.REPORT})
    made = settled(BEFORE, wanted)
    before = kernel(made)

    made.limits.clear()
    convergence = process(made)
    convergence.want(2, wanted)
    assert not convergence.round() and convergence.fault is not None
    assert convergence.fault.code == "NETWORK.DRIFTED" and "limit eno1 to 10 Mbit/s out" in convergence.fault.message
    assert not made.limits

    made.tree.put("/proc/sys/kernel/random/boot_id", b"boot-2\n")
    convergence = process(made)
    convergence.want(2, wanted)
    assert convergence.round() and kernel(made) == before
    made.limits.clear()
    assert not convergence.round() and not made.limits


@pytest.mark.parametrize("effect", [Effect.FAIL, Effect.FAIL_AFTER])
def test_a_guard_does_not_give_up(effect: Effect) -> None:
    """Whatever fails once in the guard, also before it begins to take back: in the end all is as it was."""
    before = kernel(settled(BEFORE))
    half = FaultPlan(at=len(calls(BEFORE, AFTER)) // 2, effect=Effect.DIE_BEFORE)
    counting = FaultPlan()
    assert guarded(struck(half, BEFORE, AFTER), counting)

    for at, call in enumerate(counting.calls, 1):
        made = struck(FaultPlan(half.at, half.effect), BEFORE, AFTER)
        assert guarded(made, FaultPlan(at, effect)), call
        assert kernel(made) == before and record(made).pending() is None, call


def guarded(made: Machine, faults: FaultPlan) -> bool:
    """What a guard's life comes to."""
    host = FakeHost.of(made, faults)
    return NetworkCommit(host, Networking(host), DIRECTORY).guard()


@dataclass
class Full(FakeClock):
    """A clock, on a machine whose disk is full until some time."""

    made: Machine
    faults: FaultPlan
    until_s: float

    def __post_init__(self) -> None:
        super().__init__(self.made)

    def wait(self, stop: Event, timeout_s: float) -> bool:
        """Let the time pass."""
        stopped = super().wait(stop, timeout_s)
        self.faults.broken = "files, written" if self.monotonic_s() < self.until_s else None
        return stopped


def test_a_guard_outlasts_what_is_in_its_way() -> None:
    """For minutes the machine has no room to write: the guard is there when it has some again."""
    made = struck(FaultPlan(at=len(calls(BEFORE, AFTER)) // 2, effect=Effect.DIE_BEFORE), BEFORE, AFTER)
    faults = FaultPlan(at=0, broken="files, written")
    clock = Full(made, faults, made.uptime_s + 300)
    host = replace(FakeHost.of(made, faults), clock=clock)

    assert NetworkCommit(host, Networking(host), DIRECTORY).guard()
    assert kernel(made) == kernel(settled(BEFORE)) and made.uptime_s >= clock.until_s


def test_a_plan_of_before_is_not_carried_out() -> None:
    """Whoever has planned, and is then overtaken by another process's change, changes nothing: the plan, and what it
    would be taken back to, are of a network that is no more.
    """
    made = settled(BEFORE)
    host = FakeHost.of(made)
    doer = Networking(host)
    commit = NetworkCommit(host, doer, DIRECTORY)
    state, held = doer.network_state(LIMITED), commit.record.held()
    plan = doer.plan_network(state, LIMITED, held.config)
    other = process(made)
    other.want(2, AFTER)
    assert other.round(), other.fault

    with pytest.raises(ChangeUnderWay, match="another process has changed it"):
        commit.bring_about(plan, state, LIMITED, held, 2)
    assert kernel(made) == kernel(settled(BEFORE, AFTER)) and commit.record.held().config == AFTER

# SPDX-License-Identifier: Apache-2.0
"""Convergence of the network, by the real table on a fake host."""

from __future__ import annotations

from ipaddress import ip_interface

from agent.host.fake import FakeHost, Machine, Tree, failing
from agent.host.fake.machine import Record
from agent.job.convergence import Again, Convergence
from agent.model.network import DriftPolicy, NetworkConfig, NetworkState
from agent.model.network.step import RemoveAddress
from agent.networking import Networking
from tests.hardware import MAC, NETWORKD, link, static

DEVICE = {"/sys/class/net/eno1/device/vendor": "0x8086\n", "/proc/sys/kernel/random/boot_id": "b\n"}
OURS = ip_interface("192.168.1.10/24")
WANTED = static(dns=("9.9.9.9",))


def machine() -> Machine:
    """A machine with one NIC that has another address."""
    links = (link("eno1", "10.9.9.9/24"),)
    return Machine.of(Tree.of(DEVICE | NETWORKD), Record(origin="synthetic: one NIC", links=links))


def convergence_on(made: Machine) -> Convergence:
    """As the service has it."""
    host = FakeHost.of(made)
    return Convergence(host, Networking(host, "http://192.168.1.1:8480"), "/var/lib/bms-agent")


def test_brings_about_and_then_rests() -> None:
    """The first round changes what differs and writes the files for the next boot; the second touches nothing."""
    made = machine()
    convergence = convergence_on(made)
    convergence.want(7, WANTED)
    assert convergence.round() is True
    changes, commands = made.network_changes, list(made.commands)
    assert convergence.round() is True

    now = made.links["eno1"]
    assert (now.up, now.addresses) == (True, (OURS,))
    assert [str(route.gateway) for route in made.routes.values()] == ["192.168.1.1"]
    assert (made.network_changes, made.commands) == (changes, commands)
    assert commands[0][0] == "env" and len(commands) > 1
    assert convergence.applied_generation == 7 and convergence.fault is None


def test_what_does_not_hold_is_told() -> None:
    """A NIC that is not there is a fault with its evidence; the generation does not count as applied."""
    convergence = convergence_on(machine())
    convergence.want(7, static(mac="52:54:00:00:00:99"))
    assert convergence.round() is False

    assert convergence.applied_generation == 0
    assert convergence.fault is not None and f"eno1 {MAC}" in convergence.fault.message


def test_what_does_not_work_is_taken_back() -> None:
    """A gateway that does not answer: everything is as it was, and the fault says which test failed."""
    made = machine()
    made.silent.add("192.168.1.1")
    convergence = convergence_on(made)
    convergence.want(7, WANTED)
    assert convergence.round() is False

    assert made.links["eno1"].addresses == (ip_interface("10.9.9.9/24"),) and made.routes == {}
    assert convergence.fault is not None and convergence.fault.code == "NETWORK.PROOF_FAILED"
    assert "gateway 192.168.1.1 does not answer ARP on eno1" in convergence.fault.message


def test_manual_change_is_put_right() -> None:
    """An address that somebody removed comes back with the next round."""
    made = machine()
    convergence = convergence_on(made)
    convergence.want(7, WANTED)
    convergence.round()
    FakeHost.of(made).netlink.change((RemoveAddress(name="eno1", address=OURS),))
    convergence.round()

    assert made.links["eno1"].addresses == (OURS,)


def test_a_change_in_the_moment_in_which_it_was_proven() -> None:
    """What somebody removes between the proof and the last look is no part of what holds: the next round puts it right,
    though the kernel says the same as at that look."""
    made = machine()
    host = FakeHost.of(made)

    class Crossed(Networking):
        """Somebody is quicker, once."""

        is_over = False

        def unmet(self, state: NetworkState, config: NetworkConfig, before: NetworkConfig) -> tuple[str, ...]:
            """What is missing; and from then on an address."""
            found = super().unmet(state, config, before)
            if not self.is_over:
                self.is_over = True
                host.netlink.change((RemoveAddress(name="eno1", address=OURS),))
            return found

    convergence = Convergence(host, Crossed(host, "http://192.168.1.1:8480"), "/var/lib/bms-agent")
    convergence.want(7, WANTED)
    assert convergence.round() is True and OURS not in made.links["eno1"].addresses
    convergence.round()

    assert made.links["eno1"].addresses == (OURS,)


def test_manual_change_is_reported() -> None:
    """Where the policy is to report, the change stays, and the fault says what would put it right."""
    made = machine()
    convergence = convergence_on(made)
    convergence.want(7, WANTED.model_copy(update={"drift": DriftPolicy.REPORT}))
    assert convergence.round() is True
    FakeHost.of(made).netlink.change((RemoveAddress(name="eno1", address=OURS),))
    assert convergence.round() is False

    assert made.links["eno1"].addresses == ()
    assert convergence.fault is not None and convergence.fault.code == "NETWORK.DRIFTED"
    assert "add 192.168.1.10/24 to eno1" in convergence.fault.message


def test_what_was_taken_back_waits() -> None:
    """A network that does not work is not tried again at once: each try would cut off the one that does. Another one is
    tried at once, and so is the same one after a while.
    """
    made = machine()
    made.silent.add("192.168.1.1")
    convergence = convergence_on(made)
    convergence.want(7, WANTED)
    convergence.round()
    changes = made.network_changes
    assert convergence.round() is False and made.network_changes == changes
    assert convergence.fault is not None and convergence.fault.code == "NETWORK.PROOF_FAILED"

    convergence.want(8, static("192.168.1.11/24", gateway=None))
    assert convergence.round() is True and convergence.applied_generation == 8
    convergence.want(9, WANTED)
    made.silent.clear()
    assert convergence.round() is True


def test_pauses_grow() -> None:
    """Half a minute, then twice as long each time, half an hour at most."""
    again, now_s, pauses = Again(), 0.0, []
    for _ in range(9):
        again = again.failed(WANTED, now_s)
        pauses.append(again.pause_s)
        assert again.must_wait(WANTED, now_s + again.pause_s - 1) and not again.must_wait(WANTED, now_s + again.pause_s)
    assert pauses == [30, 60, 120, 240, 480, 960, 1800, 1800, 1800]


def test_a_record_of_another_version_stops_nothing() -> None:
    """What cannot be read is put aside, and the network is brought about all the same."""
    made = machine()
    FakeHost.of(made).files.write("/var/lib/bms-agent/network.json", b'{"generation": 3, "config": {"new": 1}}')
    convergence = convergence_on(made)
    convergence.want(7, WANTED)

    assert convergence.round() is True
    assert FakeHost.of(made).files.exists("/var/lib/bms-agent/network.json.unreadable")


def test_guard_without_a_unit() -> None:
    """Where systemd gives the guard no unit of its own, it is a process of the agent's: the network must come up."""
    made = machine()
    made.tree.make_directory("/run/systemd/system")
    made.programs["systemd-run"] = failing(1, "Failed to connect to bus")
    convergence = convergence_on(made)
    convergence.want(7, WANTED)

    assert convergence.round() is True
    assert [argv[0] for argv in made.commands[:2]] == ["systemd-run", "env"]

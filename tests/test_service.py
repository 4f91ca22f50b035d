# SPDX-License-Identifier: Apache-2.0
"""Service mode: who this server is, and what it proves."""

from __future__ import annotations

import socket
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path
from threading import Event, Thread

import pytest

from agent import service
from agent.cli.exits import NOBODYS
from agent.config import Settings
from agent.daemon import new_session
from agent.errors import CommandFailed, ConfigError, ControllerRefused, DecodeError, HostError, LinkError
from agent.host.fake import FakeHost, FaultPlan, Machine, Output, Tree, failing
from agent.host.fake.doors import FakeUdev
from agent.host.fake.machine import Record
from agent.job.ledger import Ledger
from agent.job.status import status_in
from agent.life.sd_notify import Notifier
from agent.link.client import Client
from agent.link.key import NodeKey
from agent.model.frozen import Frozen, Model
from agent.model.protocol import Desired, ServiceIdentity
from agent.service import begin_network, identify, looked_for, prove
from tests.hardware import MAC, NETWORKD, link, static

SETTINGS = Settings()
ROOT = Path(__file__).resolve().parents[1]
KEPT = "/var/lib/bms-agent/identity.json"
LEDGER = "/var/lib/bms-agent/ledger.json"
DRIVE = {"vda2": {"DEVTYPE": "partition", "ID_FS_LABEL": "config-2"}}
ENO1 = link(up=False)
BOOT = {"/proc/sys/kernel/random/boot_id": "b\n"}
NIC = {"/sys/class/net/eno1/device/vendor": "0x8086\n", "/sys/class/net/eno1/address": f"{MAC}\n"}


def identity(server_id: str = "server-1", address: str = "192.168.1.10/24") -> ServiceIdentity:
    """An identity."""
    return ServiceIdentity.model_validate({
        "controller_url": "http://controller", "node_id": "node-1", "server_id": server_id, "credential": "c1",
        "nonce": "n1", "network": static(address),
    })  # fmt: skip


def machine(drive: str | None, kept: str | None = None, partitions: dict[str, dict[str, str]] | None = None) -> Machine:
    """A machine with this on its config drive and in its state directory."""
    files = (
        dict(NIC) | NETWORKD | {"/proc/sys/kernel/random/boot_id": "b\n"} | ({KEPT: kept} if kept is not None else {})
    )
    udev = partitions if partitions is not None else ({} if drive is None else DRIVE)
    made = Machine.of(Tree.of(files), Record(origin="synthetic: a server", udev=udev, links=(ENO1,)))

    def mount(machine: Machine, argv: object, stdin: str | None) -> Output:
        FakeHost.of(machine).files.write("/run/bms-agent/config-drive/bms-agent/service.json", (drive or "").encode())
        return Output()

    def umount(machine: Machine, argv: object, stdin: str | None) -> Output:
        FakeHost.of(machine).files.remove("/run/bms-agent/config-drive/bms-agent/service.json")
        return Output()

    made.programs |= {"mount": mount, "umount": umount}
    return made


def test_first_start_takes_the_drive_s_identity() -> None:
    """On the first boot the drive says who this is; it is kept for the time when the drive is gone."""
    made = machine(identity().model_dump_json())
    assert identify(FakeHost.of(made), SETTINGS) == identity()

    assert made.commands[-1][0] == "umount"
    made.record = Record(origin="synthetic: the drive deleted")
    assert identify(FakeHost.of(made), SETTINGS) == identity()


def test_drive_of_another_server_replaces_everything() -> None:
    """A reinstalled or cloned disk does not go on with the earlier server's ledger."""
    made = machine(identity("server-2").model_dump_json(), kept=identity().model_dump_json())
    FakeHost.of(made).files.write(LEDGER, b"{}")

    assert identify(FakeHost.of(made), SETTINGS).server_id == "server-2"
    assert not FakeHost.of(made).files.exists(LEDGER)


EARLIER = """{"controller_url":"http://controller","node_id":"node-1","server_id":"server-1","credential":"c1",
"nonce":"n1","network":{}}"""
"""As a release wrote it that knew no `ca`."""
STATE = {
    f"/var/lib/bms-agent/{name}": b"kept"
    for name in ("ledger.json", "journal.log", "outbox.log", "node-key", "node-key.sealed", "node-key.lost")
}


@pytest.mark.parametrize("kept", [EARLIER, EARLIER.replace('"nonce"', '"of_a_later_release":1,"nonce"')])
def test_another_release_of_this_agent_goes_on_with_what_is_kept(kept: str) -> None:
    """An upgrade, or the way back: the same server, however its identity is written; key, ledger, journal and outbox
    stay, and the identity is written as it is told now."""
    made = machine(identity().model_dump_json(), kept=kept)
    for path, content in STATE.items():
        made.tree.put(path, content)

    assert identify(FakeHost.of(made), SETTINGS) == identity()
    assert {path: made.tree.entries.get(path) for path in STATE} == STATE
    assert made.tree.entries[KEPT] == identity().model_dump_json().encode()


@pytest.mark.parametrize("kept", ["{", *(EARLIER.replace(one, "other") for one in ("node-1", "server-1", "c1"))])
def test_nothing_is_kept_of_another_server(kept: str) -> None:
    """Another node, server or deploy, or nobody knows whose it was."""
    made = machine(identity().model_dump_json(), kept=kept)
    for path, content in STATE.items():
        made.tree.put(path, content)

    identify(FakeHost.of(made), SETTINGS)
    assert not STATE.keys() & made.tree.entries.keys()


def test_a_lost_key_is_told_before_anybody_is_asked() -> None:
    """A disk whose key another TPM has sealed: what there is to be done is on the screen, and in what diagnose finds,
    while the controller does not hear this machine, or is away."""
    made = machine(identity().model_dump_json())
    made.tree.put("/var/lib/bms-agent/node-key.sealed", b"another TPM's")
    made.tree.put(KEPT, identity().model_dump_json().encode())
    made.tree.put("/etc/machine-id", b"0123456789abcdef0123456789abcdef\n")
    made.tree.put("/proc/sys/kernel/hostname", b"web1\n")
    made.tpm = {}
    host, stop = FakeHost.of(made), Event()
    stop.set()
    with pytest.raises(LinkError):
        service.run(host, Settings(controller="http://127.0.0.1:9"), stop, Notifier({}))

    status = status_in(host.files, "/run/bms-agent")
    assert status is not None and [fault.code for fault in status.faults] == ["KEY.LOST"]
    assert status.fingerprint is not None and status.fingerprint in status.faults[0].message


def test_nobody_s_server() -> None:
    """Without drive and earlier identity there is nothing to serve, now or in this boot: nobody's boot waits for it, no
    link is touched, and systemd is told by a status of its own not to start it again.
    """
    with pytest.raises(ConfigError, match="no config drive and no earlier identity"):
        identify(FakeHost.of(machine(None)), SETTINGS)
    host = FakeHost.of(machine(None))
    began_s = host.clock.monotonic_s()
    assert service.run(host, SETTINGS, Event(), Notifier({})) is False

    assert 30 < host.clock.monotonic_s() - began_s < 120
    assert not [call for call in host.faults.calls if call.startswith("netlink")]
    unit = (ROOT / "systemd/bms-agent.service").read_text(encoding="utf-8")
    assert f"\nRestartPreventExitStatus={NOBODYS}\nSuccessExitStatus={NOBODYS}\n" in unit


def test_a_drive_that_turns_up_late() -> None:
    """A disk whose driver takes its time is looked for again: a server of ours is never given up."""
    made = machine(identity().model_dump_json(), partitions={})
    host = FakeHost.of(made)

    class Late(Notifier):
        """The disk comes meanwhile."""

        def watchdog(self) -> None:
            """Alive."""
            made.record = Record(origin="synthetic: the disk is there", udev=DRIVE)

    assert looked_for(host, SETTINGS, Event(), Late({})) == identity()


def test_who_is_stopped_meanwhile() -> None:
    """It is no answer to whose server this is: the next start asks again."""
    stop = Event()
    stop.set()
    assert service.run(FakeHost.of(machine(None)), SETTINGS, stop, Notifier({})) is True


def test_damaged_drive() -> None:
    """A drive that cannot be read is an error, not an earlier identity."""
    with pytest.raises(DecodeError, match="reading this server's identity"):
        identify(FakeHost.of(machine("{", kept=identity().model_dump_json())), SETTINGS)


def test_two_drives() -> None:
    """With two config drives it is not guessed which is ours."""
    both = DRIVE | {"vdb2": DRIVE["vda2"]}
    with pytest.raises(HostError, match=r"/dev/vda2, /dev/vdb2"):
        identify(FakeHost.of(machine(identity().model_dump_json(), partitions=both)), SETTINGS)


def test_drive_that_the_tenant_has_in_use() -> None:
    """A drive that cannot be read any more (mounted for writing, doubled) does not put the server out of reach: who it
    is, is known. Without that it is an error."""
    made = machine(identity().model_dump_json(), kept=identity().model_dump_json())
    made.programs["mount"] = failing(32, "already mounted")
    assert identify(FakeHost.of(made), SETTINGS) == identity()

    made.tree.drop(KEPT)
    with pytest.raises(HostError, match="already mounted"):
        identify(FakeHost.of(made), SETTINGS)


def test_network_first_from_the_drive_then_from_the_ledger() -> None:
    """Before the controller can be reached the drive's network is set; what the ledger holds is newer and wins."""
    made = machine(identity().model_dump_json())
    begin_network(FakeHost.of(made), SETTINGS, identity(), "http://controller")
    assert made.links["eno1"].addresses == (IPv4Interface("192.168.1.10/24"),)
    newer = Desired(generation=4, node_id="node-1", network=static("192.168.1.77/24"))
    Ledger(FakeHost.of(made).files, "/var/lib/bms-agent", "node-1").accept(newer)
    convergence = begin_network(FakeHost.of(made), SETTINGS, identity(), "http://controller")

    assert made.links["eno1"].addresses == (IPv4Interface("192.168.1.77/24"),)
    assert convergence.applied_generation == 4


@pytest.mark.parametrize("ledger", [b"{", b'{"generation": 9, "node_id": "node-1", "of_a_later_version": true}'])
def test_a_ledger_that_cannot_be_read(ledger: bytes) -> None:
    """The network that held goes on holding, not the drive's; the controller is asked anew, and the file is kept."""
    made = machine(identity().model_dump_json())
    newer = Desired(generation=4, node_id="node-1", network=static("192.168.1.77/24"))
    Ledger(FakeHost.of(made).files, "/var/lib/bms-agent", "node-1").accept(newer)
    begin_network(FakeHost.of(made), SETTINGS, identity(), "http://controller")
    made.tree.put("/var/lib/bms-agent/ledger.json", ledger)
    convergence = begin_network(FakeHost.of(made), SETTINGS, identity(), "http://controller")

    assert convergence.fault is None and convergence.applied_generation == 0
    assert made.links["eno1"].addresses == (IPv4Interface("192.168.1.77/24"),)
    assert made.tree.entries["/var/lib/bms-agent/ledger.json.unreadable"] == ledger
    assert Ledger(FakeHost.of(made).files, "/var/lib/bms-agent", "node-1").accept(newer)


def test_network_without_anything_to_keep_it() -> None:
    """A system that brings no network up at boot gets one all the same: this agent is there at the next boot, too."""
    made = machine(identity().model_dump_json())
    for path in NETWORKD:
        made.tree.drop(path)
    convergence = begin_network(FakeHost.of(made), SETTINGS, identity(), "http://controller")

    assert convergence.fault is None
    assert made.links["eno1"].addresses == (IPv4Interface("192.168.1.10/24"),)


def test_ready_without_a_controller(tmp_path: Path) -> None:
    """With the controller away systemd hears "ready" all the same, once the network is set: a boot must not wait."""
    made = machine(identity().model_copy(update={"controller_url": "http://127.0.0.1:9"}).model_dump_json())
    for path, text in (("/proc/sys/kernel/random/boot_id", "b\n"), ("/proc/sys/kernel/hostname", "web1\n"),
                       ("/etc/machine-id", "0123\n"), ("/proc/self/mountinfo", "")):  # fmt: skip
        made.tree.put(path, text.encode())
    stop, heard = Event(), []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10)

        def listen() -> None:
            heard.append(systemd.recv(4096).decode())
            heard.append(str(made.links["eno1"].addresses[0]))
            stop.set()

        thread = Thread(target=listen)
        thread.start()
        with pytest.raises(LinkError, match=r"127\.0\.0\.1:9"):
            service.run(FakeHost.of(made), SETTINGS, stop, Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}))
        thread.join()

    assert heard == ["READY=1\nSTATUS=network set, reporting to http://127.0.0.1:9", "192.168.1.10/24"]


def test_udev_that_does_not_come_to_rest() -> None:
    """A disk that hangs keeps udev busy for minutes: the network is set in spite of it."""
    made = machine(identity().model_dump_json())
    host = replace(FakeHost.of(made), udev=Restless(made, FaultPlan()))
    begin_network(host, SETTINGS, identify(host, SETTINGS), "http://controller")

    assert made.links["eno1"].addresses == (IPv4Interface("192.168.1.10/24"),)


def test_drive_that_udev_is_still_looking_at() -> None:
    """Early in a boot udev may not have seen the drive yet: it is waited for before an earlier identity is believed."""
    made = machine(identity("server-2").model_dump_json(), kept=identity().model_dump_json(), partitions={})
    host = replace(FakeHost.of(made), udev=Late(made, FaultPlan()))

    assert identify(host, SETTINGS).server_id == "server-2"


class Restless(FakeUdev):
    """Never comes to rest."""

    def settle(self, timeout_s: float = 30.0) -> None:
        """Time is over."""
        raise CommandFailed("running udevadm settle", "exit status 1")


class Late(FakeUdev):
    """Has seen the drive only when it has come to rest."""

    def settle(self, timeout_s: float = 30.0) -> None:
        """The drive is seen."""
        self.machine.record.udev.update(DRIVE)


class Refusing(Client):
    """A controller that takes this machine for a copy, so many times."""

    def __init__(self, stop: Event, times: int) -> None:
        super().__init__("http://controller")
        self.stop, self.times = stop, times

    def post(self, path: str, message: Frozen, answer: type[Model]) -> Model:
        """No; then yes."""
        self.times -= 1
        if self.times < 0:
            return answer.model_validate({"server_id": "server-1"})
        if self.times == 0:
            self.stop.set()
        raise ControllerRefused("calling", "BOOT.CLONE: it is another machine", refusal="BOOT.CLONE")


def test_a_copy_takes_the_servers_network_down() -> None:
    """The copy of a disk in another machine keeps none of the server's addresses, nor the files that would bring them
    back, and tries for them no more; once the controller takes it, it has them again."""
    made = machine(None, kept=identity().model_dump_json())
    made.tree.put("/etc/machine-id", b"0123456789abcdef0123456789abcdef\n")
    made.tree.put("/proc/sys/kernel/hostname", b"web1\n")
    host, stop = FakeHost.of(made), Event()
    convergence = begin_network(host, SETTINGS, identity(), "http://controller")

    def addresses() -> list[str]:
        return [str(one) for one in made.links["eno1"].addresses]

    assert addresses() == ["192.168.1.10/24"]
    files = {path for path in made.tree.entries if path.startswith("/etc/systemd/network/")}
    assert files
    key, session = NodeKey(b"k" * 32), new_session(host, "service", "1")
    with pytest.raises(ControllerRefused):
        prove(host, identity(), session, Refusing(stop, 1), key, convergence, stop, Notifier({}))
    assert addresses() == []
    assert not files & set(made.tree.entries)
    assert convergence.round() and addresses() == []

    convergence.want(0, identity().network)
    prove(host, identity(), session, Refusing(Event(), 0), key, convergence, Event(), Notifier({}))
    assert convergence.round()
    assert addresses() == ["192.168.1.10/24"]

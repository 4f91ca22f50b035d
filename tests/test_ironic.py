# SPDX-License-Identifier: Apache-2.0
"""The ramdisk under Ironic: how it introduces itself, and what it does with what it is told."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import load_pem_x509_certificate

from agent.api.ironic.record import Record
from agent.config import Settings
from agent.errors import ControllerRefused, LinkError
from agent.host.doors import Host
from agent.host.fake import FakeHost, Machine
from agent.host.files import RealFiles
from agent.host.real import host as real_host
from agent.ironic import (
    Introduced,
    begin,
    callback_url,
    identity_of,
    introduced,
    message,
    run,
    status_file,
)
from agent.life.lives import KILLED, Lives
from agent.life.sd_notify import Notifier
from agent.link.ironic.address import own_address
from agent.link.ironic.client import Ironic
from agent.model.ironic.parameters import Parameters
from agent.model.ironic.wire import MASKED, Lookup
from agent.model.job import Progress
from tests.api.ironic.served import until
from tests.apply.disks import machine
from tests.hardware import MAC, link
from tests.link.answers import Scripted, answering
from tests.link.beside import beside
from tests.link.test_ironic import LOOKUP, UUID
from tests.media import machine as media_machine

TOKEN = "t" * 43
PATIENCE_S = 20.0


def conducted(folder: Path, made: Machine | None = None) -> Host:
    """A fake machine whose files, clock and routes are real: the API needs them."""
    files = RealFiles(str(folder))
    for path, text in {
        "/proc/sys/kernel/random/boot_id": "boot-1\n",
        "/proc/net/if_inet6": "",
        "/sys/class/net/eno1/device/vendor": "0x8086\n",
    }.items():
        files.write(path, text.encode())
    real = real_host()
    made = made or machine()
    made.links["eno1"] = link(up=True)
    return replace(FakeHost.of(made), files=files, clock=real.clock, probe=real.probe)


def free_port() -> int:
    """Where nobody listens."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class Process:
    """The agent in a thread."""

    def __init__(self, host: Host, parameters: Parameters, link: Path | None = None) -> None:
        self._stop = Event()
        settings = Settings(link_socket=link) if link else Settings()
        self.died: list[BaseException] = []

        def work() -> None:
            try:
                run(host, settings, parameters, self._stop, Notifier({}))
            except BaseException as error:  # noqa: BLE001 - told at the end
                self.died.append(error)

        self.thread = Thread(target=work, name="ramdisk")
        self.thread.start()

    def end(self) -> None:
        """As SIGTERM does."""
        self._stop.set()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()


def bodies(server: Scripted, part: str) -> list[Any]:
    """What was sent to these pages."""
    return [json.loads(body or b"{}") for path, _, body in server.asked if part in path]


def called_at(server: Scripted, ca: Path) -> str:
    """Once it has beaten: where its commands are; its certificate is written to `ca`."""
    until(lambda: bool(bodies(server, "heartbeat")))
    first = bodies(server, "heartbeat")[0]
    ca.write_text(first["agent_verify_ca"])
    return f"{first['callback_url']}/v1/commands/?agent_token={TOKEN}"


def test_introduced_called_and_restarted(tmp_path: Path) -> None:
    """It looks itself up once, beats at once, is called where it says; and after a restart it is the same to Ironic:
    no second lookup, which a node on hold would not get (T28), the same URL, certificate and token, and the list of its
    commands (T2, T5, T16).
    """
    host = conducted(tmp_path)
    with answering((200, json.dumps(LOOKUP)), (202, "")) as server:
        parameters = Parameters(
            api_urls=(server.url,), listen_port=free_port(), listen_host="127.0.0.1", disk_attempts=0
        )
        first = Process(host, parameters)
        url = called_at(server, tmp_path / "ca")
        order = {"name": "clean.get_clean_steps", "params": {}}
        done = requests.post(url, json=order, verify=str(tmp_path / "ca"), timeout=PATIENCE_S).json()
        until(lambda: len(bodies(server, "heartbeat")) > 1)  # at once: something ended
        first.end()
        second = Process(host, parameters)
        until(lambda: len(bodies(server, "heartbeat")) > 2)
        listed = requests.get(url, verify=str(tmp_path / "ca"), timeout=PATIENCE_S).json()["commands"]
        second.end()

    beats = bodies(server, "heartbeat")
    assert len(bodies(server, "lookup")) == 1
    assert len({(one["callback_url"], one["agent_verify_ca"], one["agent_token"]) for one in beats}) == 1
    assert beats[0]["agent_token"] == TOKEN
    assert [one["id"] for one in listed] == [done["id"]]
    assert not first.died + second.died


def test_as_the_command_line_says(tmp_path: Path) -> None:
    """From the words of the kernel to the first heartbeat: it is called where they say, with the certificate that they
    want, and what nobody knows is no hindrance.
    """
    host = conducted(tmp_path)
    stop = Event()
    with answering((200, json.dumps(LOOKUP)), (202, "")) as server:
        port = free_port()
        words = f"ipa-api-url={server.url} ipa-listen-host=127.0.0.1 ipa-listen-port={port} ipa-disk-wait-attempts=0"
        cmdline = f"{words} ipa-advertise-host=127.0.0.1 ipa-tls-certificate-curve=p256 ipa-from-the-future=1"
        thread = Thread(target=lambda: begin(host, Settings(), cmdline, stop, Notifier({})), name="ramdisk")
        thread.start()
        until(lambda: bool(bodies(server, "heartbeat")))
        stop.set()
        thread.join(PATIENCE_S)

    beat = bodies(server, "heartbeat")[0]
    key = load_pem_x509_certificate(beat["agent_verify_ca"].encode()).public_key()
    assert beat["callback_url"] == f"https://127.0.0.1:{port}"
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.key_size == 256


def test_the_address_of_a_nic_that_was_named() -> None:
    """By name or MAC; IPv4 first; link-local ones are nobody's to call. One that comes late is waited for."""
    host = FakeHost.of(machine())
    host.files.write("/sys/class/net/eno1/device/vendor", b"0x8086")
    found = []
    for name in ("eno1", MAC):
        host.machine.links["eno1"] = link("eno1", "fe80::1/64", "2001:db8::7/64", "192.0.2.7/24", up=True)
        found.append(own_address(host, Parameters(api_urls=("http://a",), network_interface=name), Event()))
    host.machine.links["eno1"] = link("eno1", "fe80::1/64", up=True)
    before = host.machine.uptime_s
    with pytest.raises(LinkError, match="eno1 has none"):
        own_address(host, Parameters(api_urls=("http://a",), network_interface="eno1", address_attempts=3), Event())

    assert found == ["192.0.2.7"] * 2
    assert host.machine.uptime_s - before == pytest.approx(20, abs=1)


def test_another_process_makes_its_calls(tmp_path: Path) -> None:
    """Where there is one, inspection, lookup and heartbeats go by it; and the screen tells how it does."""
    with (
        beside(tmp_path, before=Lives(ended=4, last=KILLED, began_s=time.monotonic())) as path,
        answering((202, json.dumps({"uuid": UUID})), (200, json.dumps(LOOKUP)), (202, "")) as server,
    ):
        host = conducted(tmp_path / "root")
        host.files.write(path, b"")  # it is there in what the agent takes for its root, too
        parameters = Parameters(
            api_urls=(server.url,),
            collectors=("default",),
            dhcp_wait_s=0,
            listen_port=free_port(),
            listen_host="127.0.0.1",
            disk_attempts=0,
        )
        process = Process(host, parameters, Path(path))
        until(lambda: bool(bodies(server, "heartbeat")))
        until(lambda: "LINK.CRASHED" in host.files.read_text("/run/bms-agent/status.json"))
        process.end()
        callers = [one.partition("?")[0] for one, _, _ in server.asked]

    assert callers[:3] == ["/v1/continue_inspection", "/v1/lookup", f"/v1/heartbeat/{UUID}"]
    assert bodies(server, "heartbeat")[0]["agent_token"] == TOKEN
    assert not process.died


def test_inspection_alone(tmp_path: Path) -> None:
    """Without an API there is no lookup and no heartbeat: the machine is posted, and waits to be switched off (T21)."""
    with answering((202, json.dumps({"uuid": UUID}))) as server:
        callback = f"{server.url}/v1/continue_inspection"
        process = Process(
            conducted(tmp_path),
            Parameters(inspection_urls=(callback,), collectors=("default",), dhcp_wait_s=0, disk_attempts=0),
        )
        until(lambda: bool(server.asked))
        time.sleep(0.3)
        process.end()

    assert [path for path, _, _ in server.asked] == ["/v1/continue_inspection"]
    assert bodies(server, "continue")[0]["inventory"]["interfaces"][0]["mac_address"]
    assert not process.died


def test_lockdown_ends_it(tmp_path: Path) -> None:
    """Once locked down it neither beats nor answers, nor does it after a restart (T24)."""
    made = machine()
    made.programs["ip"] = made.programs["networkctl"]
    host = conducted(tmp_path, made)
    with answering((200, json.dumps(LOOKUP)), (202, "")) as server:
        parameters = Parameters(
            api_urls=(server.url,), listen_port=free_port(), listen_host="127.0.0.1", disk_attempts=0
        )
        process = Process(host, parameters)
        url = called_at(server, tmp_path / "ca")
        order = {"name": "system.lockdown", "params": {}}
        answer = requests.post(url, json=order, verify=str(tmp_path / "ca"), timeout=PATIENCE_S)
        until(lambda: ["ip", "link", "set", "dev", "eno1", "down"] in [list(argv) for argv in made.commands])
        with pytest.raises(requests.ConnectionError):
            requests.get(url, verify=str(tmp_path / "ca"), timeout=PATIENCE_S)
        process.end()
        told = len(server.asked)
        again = Process(host, parameters)
        time.sleep(0.3)
        again.end()

    assert answer.json()["command_status"] == "SUCCEEDED"
    assert len(server.asked) == told
    record = Record(host.files, "/run/bms-agent/ironic", "boot-1")
    assert record.held is not None
    assert record.held.is_over


def test_the_screen_has_no_secret() -> None:
    """Of several URLs neither does the second show its password."""
    host = FakeHost.of(machine())
    parameters = Parameters(api_urls=("http://192.0.2.1:6385", "https://user:hunter2@ironic.example:6385"))
    status_file(host, Settings(), parameters).tell("looking")

    text = host.files.read_text("/run/bms-agent/status.json")
    assert "ironic.example:6385" in text and "hunter2" not in text
    with pytest.raises(LinkError, match=r"127\.0\.0\.1:1") as caught:
        Ironic(["http://user:hunter2@127.0.0.1:1"]).lookup([MAC], None)
    assert "hunter2" not in str(caught.value)


def test_after_the_end_nothing_is_prepared() -> None:
    """A process that is started again on a machine that was locked down, or has gone to its owner, neither looks for
    virtual media, which may hold a token, nor brings NICs up by it, nor fails because that says nothing any more.
    """
    host = FakeHost.of(media_machine({}))
    record = Record(host.files, "/run/bms-agent/ironic", "boot-1")
    found = looked_up(TOKEN)
    record.open(identity_of(Parameters(api_urls=("http://a",)), found), found.lookup.node)
    record.end()
    before = len(host.faults.calls)
    stop = Event()
    stop.set()
    begin(host, Settings(), "boot_method=vmedia", stop, Notifier({}))

    asked = [call for call in host.faults.calls[before:] if not call.startswith("clock")]
    assert asked and all("held.json" in call or "boot_id" in call for call in asked)


def looked_up(token: str | None) -> Introduced:
    """An answer with this token."""
    return Introduced(
        "192.0.2.7", "certificate", "key", Lookup.model_validate({**LOOKUP, "config": {"agent_token": token}})
    )


@pytest.mark.parametrize("told", [None, MASKED])
def test_a_token_that_somebody_else_has(told: str | None) -> None:
    """Without a token nothing can be done: an error that says what to do. With virtual media it came before (T16)."""
    with pytest.raises(ControllerRefused) as caught:
        identity_of(Parameters(api_urls=("http://127.0.0.1",)), looked_up(told))
    assert "power this machine off and on" in caught.value.hint
    given = Parameters.model_validate({"api_urls": ("http://127.0.0.1",), "agent_token": "v" * 43})
    found = identity_of(given, looked_up(told))
    assert found.token.get_secret_value() == "v" * 43
    assert found.callback_url == "https://192.0.2.7:9999"


def test_no_way_to_ironic() -> None:
    """A machine without an address cannot be called. That is found out before the token is asked for."""
    host = FakeHost.with_files({})
    stop = Event()
    stop.set()
    with answering((200, json.dumps(LOOKUP))) as server:
        with pytest.raises(LinkError, match="no route leads to"):
            introduced(host, Parameters(api_urls=(server.url,)), Ironic([server.url]), stop)
        assert server.asked == []


def test_words() -> None:
    """Addresses of IPv6 stand in brackets; progress is one line."""
    assert callback_url("2001:db8::1", 9999) == "https://[2001:db8::1]:9999"
    now = Progress(request_id="1", step="write_image", done_bytes=1_500_000_000, total_bytes=3_000_000_000)
    assert message(now) == "write_image: 1500 of 3000 MB"
    assert message(now.model_copy(update={"limited_by": "the disk, 510 MB/s"})).endswith(
        "limited by the disk, 510 MB/s"
    )

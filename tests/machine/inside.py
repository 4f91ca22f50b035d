# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: does what the test outside asks for, one JSON line each way over TCP.

One process for all, since starting Python takes many seconds where the processor is emulated; the operator's command
runs in copies of it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from agent.cli import main as command
from agent.host.real import host as open_host
from agent.job.network_record import Held, NetworkRecord
from agent.job.watcher import LinkWatcher
from agent.model.network import Firewall, NetworkConfig, NetworkState
from agent.networking import Networking

STATE = "/var/lib/bms-agent"
ECHO_PORT = 7
PAUSE_S = 0.02
LATE_S = 1.0


class Stream(Thread):
    """Numbered packets to somebody who sends them back."""

    def __init__(self, address: str, link: str | None) -> None:
        super().__init__(name="stream", daemon=True)
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if link is not None:
            self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
        self._udp.connect((address, ECHO_PORT))
        self._udp.setblocking(False)
        self._over = Event()
        self.sent = 0
        self._back: set[bytes] = set()

    def run(self) -> None:
        """Until it is over, and a little longer for what is late."""
        while not self._over.is_set():
            with suppress(OSError):  # for a while there may be no way
                self._udp.send(b"%d" % self.sent)
            self.sent += 1
            self._hear(PAUSE_S)
        self._hear(LATE_S)

    def _hear(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self._back.add(self._udp.recv(64).split()[0])
            except OSError:
                time.sleep(PAUSE_S / 4)

    @property
    def back(self) -> int:
        """How many came back."""
        return len(self._back)

    def end(self) -> None:
        """And wait for it."""
        self._over.set()
        self.join()
        self._udp.close()


class Inside:
    """What can be asked for."""

    def __init__(self) -> None:
        self._host = open_host()
        self._networking = Networking(self._host, persist=False)
        self._record = NetworkRecord(self._host.files, STATE)
        self._watcher = LinkWatcher()
        self._stream: Stream | None = None

    def shell(self, text: str) -> str:
        """What these commands say; they must end well."""
        done = subprocess.run(["bash", "-ec", text], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def begin(self, *words: str) -> int:
        """The operator's command; its process id."""
        pid = os.fork()
        if pid == 0:
            said = os.open(f"/run/said.{os.getpid()}", os.O_WRONLY | os.O_CREAT)
            os.dup2(said, 1)
            os.dup2(said, 2)
            sys.argv = ["bms-agent", *words]
            status: Any = 1
            try:
                command()
            except SystemExit as ended:
                status = ended.code or 0
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os.execv("/bin/sh", ["sh", "-c", f"exit {status}"])
        return pid

    def end(self, pid: int) -> tuple[int, str]:
        """Its exit status, and what it said."""
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), Path(f"/run/said.{pid}").read_text()

    def change(self, wanted: dict[str, Any]) -> list[str]:
        """To this network, without a guard; back again, which must leave all as it was; there for good. The steps."""
        config = NetworkConfig.model_validate(wanted)
        held = self._record.held().config
        state = self._networking.network_state(config)
        plan = self._networking.plan_network(state, config, held)
        snapshot = self._networking.snapshot(state, config, held, plan)
        self._bring_about(config, plan)
        revert = self._networking.plan_revert(self._networking.network_state(config), snapshot, config)
        self._networking.apply_network(revert, lambda _: None)
        after = self._networking.network_state(config)
        assert normalised(after) == normalised(state), differences(state, after)
        self._bring_about(config, self._networking.plan_network(after, config, held))
        self._record.hold(Held(config=config))
        return [step.model_dump_json() for step in plan.steps]

    def _bring_about(self, config: NetworkConfig, plan: Any) -> None:
        self._networking.apply_network(plan, lambda _: None)
        unmet = self._networking.unmet(self._networking.network_state(config), config, config)
        assert unmet == (), f"unmet: {unmet}"

    def events(self) -> list[str]:
        """What happened to links since it was asked last."""
        return list(self._watcher.look(self._networking.network_state(NetworkConfig())))

    def echo(self, address: str, link: str, port: int = ECHO_PORT) -> str | None:
        """What comes back from there within two seconds."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
            udp.settimeout(2 * LATE_S)
            udp.connect((address, port))
            try:
                udp.send(b"anybody")
                return udp.recv(64).decode()
            except OSError:
                return None

    def send(self, address: str, link: str | None = None) -> None:
        """Begin to."""
        self._stream = Stream(address, link)
        self._stream.start()

    def count(self) -> tuple[int, int]:
        """Packets sent, and come back, so far."""
        assert self._stream is not None
        return self._stream.sent, self._stream.back

    def stop(self) -> tuple[int, int]:
        """Packets sent, and come back, in all."""
        assert self._stream is not None
        self._stream.end()
        return self.count()


def normalised(state: NetworkState) -> dict[str, Any]:
    """Without what nobody orders: numbers, carriers, partners; in one order. A table of no groups is like none."""
    links = {link.name: link.model_dump(mode="json", exclude={"index", "carrier", "bond"}) for link in state.links}
    routes = sorted(route.model_dump_json() for route in state.routes)
    rules = sorted(rule.model_dump_json() for rule in state.rules)
    firewall = None if state.firewall_digest == Firewall().digest else state.firewall_digest
    return {"links": links, "routes": routes, "rules": rules, "sysctls": state.sysctls, "firewall": firewall}


def differences(before: NetworkState, after: NetworkState) -> str:
    """In words."""
    was, now = normalised(before), normalised(after)
    found = [f"{key}: {was[key]} is now {now[key]}" for key in was if key != "links" and was[key] != now[key]]
    for name in sorted(was["links"].keys() | now["links"].keys()):
        old, new = was["links"].get(name), now["links"].get(name)
        found += [f"{name}: {old} is now {new}"] if old != new else []
    return "; ".join(found)


def serve(host: str, port: int) -> None:
    """Until the other end closes."""
    inside = Inside()
    with socket.create_connection((host, port)) as talk, talk.makefile("r") as lines:
        for line in lines:
            name, *words = json.loads(line)
            try:
                answer = {"said": getattr(inside, name)(*words)}
            except Exception as error:  # noqa: BLE001 - the test outside shall see it
                answer = {"failed": f"{type(error).__name__}: {error}"}
            talk.sendall(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))

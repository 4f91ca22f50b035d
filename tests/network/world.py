# SPDX-License-Identifier: Apache-2.0
"""A small data centre of namespaces: servers with two NICs, a router, and a controller behind it.

    server1  eth0 ──┐                 ┌── eth0  server2 …      front: 10.1.0.0/24, router .1
                  front ── router ── north ── controller         10.9.0.9 takes TCP at 8480 and answers DNS
    server1  eth1 ──┘ back            └── eth1  server2 …      back: 10.2.0.0/24, router .1

Servers begin with NICs that are down and bare: what they become is the agent's work.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from agent.host import real
from agent.inventory.network.firewall import loaded_digests
from agent.job.network_record import NetworkRecord
from agent.model.network import NetworkConfig
from tests.loops import command
from tests.network.enter import STATE, inside

T = TypeVar("T")
REPOSITORY = Path(__file__).resolve().parents[2]
PORT = 8480
CONTROLLER = "10.9.0.9"
URL = f"http://{CONTROLLER}:{PORT}"
ENTER = 'mount --bind "$0" /var/lib/bms-agent && exec "$@"'
SEGMENTS = ("front", "back")
SYSCTLS = ("all/rp_filter", *(f"eth{number}/arp_{key}" for number in (0, 1) for key in ("ignore", "announce")))


@dataclass(frozen=True)
class Server:
    """A server: its namespace, and the directory that its agent believes to be /var/lib/bms-agent."""

    number: int
    namespace: str
    directory: Path

    @property
    def macs(self) -> tuple[str, str]:
        """Of eth0 and eth1."""
        return f"02:00:00:00:{self.number:02x}:00", f"02:00:00:00:{self.number:02x}:01"

    def config(self, *links: dict[str, Any], **rest: Any) -> NetworkConfig:
        """Both NICs with these settings, further links, and what else there is."""
        own = [{"kind": "ethernet", "name": f"eth{number}", "mac": mac} for number, mac in enumerate(self.macs)]
        nics = [each | link for each, link in zip(own, links, strict=False)]
        return NetworkConfig.model_validate({"links": [*nics, *links[2:]], "routes": [], "rules": []} | rest)

    def usual(self, back: dict[str, Any] | None = None, **rest: Any) -> NetworkConfig:
        """An address on each NIC, the router as gateway, the controller's name server; `back` is more of eth1."""
        number = 10 + self.number
        routes = [{"destination": "0.0.0.0/0", "link": "eth0", "gateway": "10.1.0.1"}]
        links = ({"addresses": [f"10.1.0.{number}/24"]}, {"addresses": [f"10.2.0.{number}/24"]} | (back or {}))
        return self.config(*links, **({"routes": routes, "dns": {"servers": [CONTROLLER]}} | rest))

    def inside(self, work: Callable[[], T]) -> T:
        """Run `work` there."""
        return inside(self.namespace, self.directory, work)

    def ip(self, *words: str) -> str:
        """ip(8) there: a change that nobody ordered."""
        return command("ip", "-n", self.namespace, *words)

    def agent(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`bms-agent network …` there, as a process of its own."""
        argv = ["nsenter", f"--net=/run/netns/{self.namespace}", "unshare", "--mount", "sh", "-c", ENTER]
        argv += [str(self.directory), sys.executable, "-P", "-m", "agent", "network", *words]
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120, env=environment)

    def apply(self, config: NetworkConfig, *words: str) -> subprocess.CompletedProcess[str]:
        """`bms-agent network apply`, with the controller in sight."""
        file = self.directory / "wanted.json"
        file.write_text(config.model_dump_json())
        return self.agent("apply", str(file), "--no-persist", "--controller", URL, *words)

    @property
    def record(self) -> NetworkRecord:
        """What its agent remembers."""
        return NetworkRecord(real.host().files, str(self.directory))

    def look(self) -> dict[str, Any]:
        """The state of its kernel, without what means nothing: indexes, counters, orders."""
        shown = {
            noun: json.loads(
                command("ip", *words, "-n", self.namespace, "-j", "-d", *noun.split()[:-1], "show", *table)
            )
            for noun, words, table in (
                ("address 4", (), ()),
                ("route 4", ("-4",), ("table", "all")),
                ("route 6", ("-6",), ("table", "all")),
                ("rule 4", ("-4",), ()),
                ("rule 6", ("-6",), ()),
            )
        }
        found = {noun: sorted(json.dumps(plain(one), sort_keys=True) for one in each) for noun, each in shown.items()}
        queues = json.loads(command("tc", "-n", self.namespace, "-j", "qdisc", "show"))
        found["queues"] = sorted(f"{one['dev']} {one['kind']}" for one in queues)
        return found | self.inside(self._settings)

    def tell(self, key: str, value: str) -> None:
        """A setting below /proc/sys/net."""
        self.inside(lambda: Path(f"/proc/sys/net/{key}").write_text(value))

    def _settings(self) -> dict[str, Any]:
        conf = Path("/proc/sys/net/ipv4/conf")
        return {"firewall": loaded_digests(real.host())} | {key: (conf / key).read_text() for key in SYSCTLS}


def plain(one: Any) -> Any:
    """Without what differs each time."""
    if isinstance(one, dict):
        dropped = {"ifindex", "link_index", "link_netnsid", "flags", "operstate", "tentative", "stable-privacy"}
        dropped |= {"txqlen", "min_mtu", "max_mtu", "valid_life_time", "preferred_life_time", "qdisc", "handle"}
        up = {"up": "UP" in one["flags"]} if "flags" in one else {}
        return {key: plain(value) for key, value in one.items() if key not in dropped} | up
    return sorted((plain(each) for each in one), key=str) if isinstance(one, list) else one


class World:
    """It lasts as long as `world`."""

    def __init__(self) -> None:
        self._prefix = f"world{os.getpid()}"
        self._open: list[socket.socket] = []
        self._namespaces: list[str] = []
        self.servers: list[Server] = []

    def build(self, directory: Path, count: int) -> None:
        """All of it."""
        self.router, self.controller = self._namespace("router"), self._namespace("controller")
        for number, segment in enumerate(SEGMENTS, 1):
            self.route("link", "add", segment, "type", "bridge")
            self.route("address", "add", f"10.{number}.0.1/24", "dev", segment)
            self.route("link", "set", segment, "up")
        self.servers = [self._server(number, directory) for number in range(1, count + 1)]
        self._connect_controller()

    def route(self, *words: str) -> str:
        """ip(8) at the router."""
        return command("ip", "-n", self.router, *words)

    def port(self, server: Server, nic: int) -> str:
        """The router's end of a server's cable."""
        return f"s{server.number}n{nic}"

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Nobody reaches the controller."""
        self.route(*self.cutting)
        try:
            yield
        finally:
            self.heal()

    @property
    def cutting(self) -> tuple[str, ...]:
        """What does it at the router."""
        return ("route", "add", "unreachable", f"{CONTROLLER}/32")

    def heal(self) -> None:
        """The controller is within reach again."""
        subprocess.run(
            ["ip", "-n", self.router, "route", "delete", "unreachable", f"{CONTROLLER}/32"],
            check=False,
            capture_output=True,
        )

    def remove(self) -> None:
        """All of it."""
        for each in self._open:
            each.close()
        for name in self._namespaces:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)

    def _namespace(self, name: str) -> str:
        full = f"{self._prefix}-{name}"
        command("ip", "netns", "add", full)
        self._namespaces.append(full)
        command("ip", "-n", full, "link", "set", "lo", "up")
        inside(full, STATE, hasten)
        return full

    def _server(self, number: int, directory: Path) -> Server:
        server = Server(number, self._namespace(f"server{number}"), directory / f"server{number}")
        server.directory.mkdir()
        for nic, (mac, segment) in enumerate(zip(server.macs, SEGMENTS, strict=True)):
            port = self.port(server, nic)
            peer = ("name", f"eth{nic}", "address", mac, "netns", server.namespace)
            self.route("link", "add", port, "type", "veth", "peer", *peer)
            self.route("link", "set", port, "master", segment, "up")
        return server

    def _connect_controller(self) -> None:
        self.route("link", "add", "north", "type", "veth", "peer", "name", "eth0", "netns", self.controller)
        self.route("address", "add", "10.9.0.1/24", "dev", "north")
        self.route("link", "set", "north", "up")
        for words in (("address", "add", f"{CONTROLLER}/24", "dev", "eth0"), ("link", "set", "eth0", "up")):
            command("ip", "-n", self.controller, *words)
        command("ip", "-n", self.controller, "route", "add", "default", "via", "10.9.0.1")
        inside(self.router, STATE, lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
        tcp, udp = inside(self.controller, STATE, sockets)
        self._open += [tcp, udp]
        for each, answer in ((tcp, take), (udp, reply)):
            Thread(target=serve, args=(each, answer), name="controller", daemon=True).start()


def hasten() -> None:
    """IPv6 addresses count at once: nobody else has them here, and seconds are many."""
    for name in ("all", "default"):
        Path(f"/proc/sys/net/ipv6/conf/{name}/accept_dad").write_text("0")


def sockets() -> tuple[socket.socket, socket.socket]:
    """The controller's: TCP, and DNS by UDP."""
    tcp = socket.create_server(("", PORT), backlog=64)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("", 53))
    for each in (tcp, udp):
        each.settimeout(0.2)
    return tcp, udp


def serve(listening: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    """Until the socket is closed."""
    while listening.fileno() >= 0:
        with suppress(TimeoutError, OSError):
            answer(listening)


def take(tcp: socket.socket) -> None:
    """Take a connection."""
    tcp.accept()[0].close()


def reply(udp: socket.socket) -> None:
    """Say that there is no such name, whatever was asked (RFC 1035: the answer's bit)."""
    query, who = udp.recvfrom(512)
    udp.sendto(query[:2] + bytes([query[2] | 0x80]) + query[3:], who)


@contextmanager
def world(directory: Path, count: int) -> Iterator[World]:
    """With so many servers."""
    made = World()
    try:
        made.build(directory, count)
        yield made
    finally:
        made.remove()

# SPDX-License-Identifier: Apache-2.0
"""A guest with the ramdisk's kernel and agent, whose NICs are wired back to back: two are the agent's, and two belong
to a namespace in the same guest that plays the switch. Cables can be pulled.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from agent.model.network import BondPort, LinkState, NetworkState
from tests.machine.guest import HOST, Guest, booted

BOOT_S, ANSWER_S = 600, 300
POLL_S = 0.3
OURS = ("52:54:00:00:00:01", "52:54:00:00:00:02")
THEIRS = ("52:54:00:00:00:11", "52:54:00:00:00:12")
UPLINK = "52:54:00:12:34:56"  # QEMU's first; the guest's way to this machine
KERNEL = "console=ttyS0 quiet bms.shell systemd.unit=bms-shell@ttyS0.service"
"""Without the resident agent and systemd-networkd: there is nobody here who would answer them."""
SPEED = "speed=10000,duplex=full"
SETTLED = "udevadm settle; test $(ls -d /sys/class/net/*/device | wc -l) = 5"
PEER = """
ip netns add peer
ip netns add far
name() { ip -br link | awk -v mac=$1 '$3 == mac { print $1 }'; }
ip link set $(name 52:54:00:00:00:11) down name q1 netns peer
ip link set $(name 52:54:00:00:00:12) down name q2 netns peer
ip -n peer link add bond9 type bond mode 802.3ad miimon 100 lacp_rate fast xmit_hash_policy layer3+4
ip -n peer link set q1 master bond9
ip -n peer link set q2 master bond9
ip -n peer link set bond9 mtu 9000 up
ip -n peer link set lo up
ip -n peer addr add 10.9.0.254/24 dev bond9
ip -n peer addr add fd09::254/64 dev bond9 nodad
ip -n peer link add link bond9 name vlan301 type vlan id 301
ip -n peer link add link bond9 name vlan302 type vlan id 302
ip -n peer link set vlan302 netns far
ip -n peer link set vlan301 up
ip -n far link set vlan302 up
ip -n peer addr add 192.168.7.254/24 dev vlan301
ip -n far addr add 192.168.7.254/24 dev vlan302
"""
"""The switch, with a namespace of its own for the other end of VLAN 302: both have the same address."""
ECHO = """
import socket, sys
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", 7))
while True:
    data, sender = udp.recvfrom(2048)
    udp.sendto(data + b" " + sys.argv[1].encode(), sender)
"""


class Wired:
    """The guest, asked from outside."""

    def __init__(self, talk: socket.socket, lines: TextIO, monitor: Path) -> None:
        self._talk = talk
        self._lines = lines
        self._monitor = monitor

    def ask(self, name: str, *words: Any) -> Any:
        """`inside.Inside` does it. What fails there fails here."""
        self._talk.sendall(json.dumps([name, *words]).encode() + b"\n")
        answer = json.loads(self._lines.readline())
        assert "failed" not in answer, answer["failed"]
        return answer["said"]

    def shell(self, text: str) -> str:
        """Commands; what they said."""
        return cast(str, self.ask("shell", text))

    def command(self, *words: str, status: int = 0) -> str:
        """The operator's command; what it said."""
        ended, said = self.ask("end", self.ask("begin", *words))
        assert ended == status, said
        return cast(str, said)

    def file(self, config: dict[str, Any]) -> str:
        """A desired network as a file; where it is."""
        self.shell(f"cat > /run/network.json <<'END'\n{json.dumps(config)}\nEND")
        return "/run/network.json"

    def apply(self, config: dict[str, Any], *words: str, status: int = 0) -> str:
        """By the operator's command; what it said."""
        return self.command("network", "apply", self.file(config), "--no-persist", *words, status=status)

    def change(self, config: dict[str, Any]) -> list[dict[str, Any]]:
        """There, back, and there again, in one process; the steps."""
        return [json.loads(step) for step in self.ask("change", config)]

    def show(self) -> NetworkState:
        """As `bms-agent network show --json` has it."""
        return NetworkState.model_validate_json(self.command("network", "show", "--json"))

    def link(self, name: str) -> LinkState:
        """One of its links."""
        found = self.show().link(name)
        assert found is not None, f"there is no {name}"
        return found

    def ports(self, name: str) -> tuple[BondPort, ...]:
        """Of a bond."""
        bond = self.link(name).bond
        assert bond is not None, f"{name} is no bond"
        return bond.ports

    def name(self, mac: str) -> str:
        """What the NIC is called now."""
        return next(nic.name for nic in self.show().nics if nic.mac == mac)

    def rename(self, mac: str, name: str) -> None:
        """As an administrator does, or udev."""
        self.shell(f"ip link set {self.name(mac)} name {name}")

    def events(self) -> list[str]:
        """What happened to links since it was asked last."""
        return cast(list[str], self.ask("events"))

    def details(self, name: str) -> dict[str, Any]:
        """What ip(8) tells of a link."""
        found: dict[str, Any] = json.loads(self.shell(f"ip -d -j link show dev {name}"))[0]
        return found

    def cable(self, nic: int, state: str) -> None:
        """Pull one of our cables ("off"), or put it back ("on")."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self._monitor))
            monitor.settimeout(ANSWER_S)
            heard(monitor, b"(qemu) ")
            monitor.sendall(f"set_link ours{nic} {state}\n".encode())
            heard(monitor, b"(qemu) ")

    def within(self, seconds: float, what: str, holds: Callable[[], bool]) -> None:
        """Wait for it."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"not within {seconds} s: {what}"
            time.sleep(POLL_S)


def heard(monitor: socket.socket, text: bytes) -> None:
    """Read up to its prompt."""
    said = b""
    while text not in said:
        piece = monitor.recv(4096)
        assert piece, said
        said += piece


def nics() -> list[str]:
    """QEMU's words for two cables; bonds want to know the speed of their ports."""
    words: list[str] = []
    for cable, ends in enumerate(zip(OURS, THEIRS, strict=True), start=1):
        for side, mac in zip(("ours", "theirs"), ends, strict=True):
            name = f"{side}{cable}"
            words += ["-netdev", f"hubport,id=hub-{name},hubid={cable}"]
            words += [
                "-device",
                f"virtio-net-pci,id={name},netdev=hub-{name},mac={mac},romfile=,speed=10000,duplex=full",
            ]
    return words


@contextmanager
def wired(folder: Path, ramdisk: Path) -> Iterator[Wired]:
    """For as long as the block. The disk holds nothing but our program."""
    program = Path(__file__).with_name("inside.py").read_bytes()
    disk = folder / "disk"
    disk.write_bytes(program.ljust(1 << 20, b"\0"))
    monitor = folder / "guest" / "monitor"
    extra = ["-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(ramdisk / "initrd"), "-append", KERNEL]
    extra += ["-monitor", f"unix:{monitor},server=on,wait=off", *nics()]
    with socket.create_server(("127.0.0.1", 0)) as server, booted(folder / "guest", disk, *extra) as guest:
        port = server.getsockname()[1]
        guest.wait_for("# ", BOOT_S)
        start(guest, len(program), port)
        server.settimeout(ANSWER_S)
        talk, _ = server.accept()
        talk.settimeout(ANSWER_S)
        with talk, talk.makefile("r") as lines:
            machine = Wired(talk, lines, monitor)
            machine.shell(PEER)
            for space in ("peer", "far"):
                machine.shell(f"setsid ip netns exec {space} python3 -I -S -c '{ECHO}' {space} &>/dev/null &")
            yield machine


def start(guest: Guest, size_bytes: int, port: int) -> None:
    """Once its devices are there: the way out, the echo, and our program."""
    guest.do(f"until {SETTLED}; do sleep 0.2; done", BOOT_S)
    guest.do(f"head -c {size_bytes} /dev/vda >/run/inside.py")
    guest.do(f"uplink=$(ip -br link | awk '$3 == \"{UPLINK}\" {{ print $1 }}'); ip link set lo up")
    guest.do("ip link set $uplink up; ip addr add 10.0.2.15/24 dev $uplink")
    guest.do(f"(PYTHONPATH=/usr/lib/bms-agent setsid python3 -P /run/inside.py {HOST} {port} &>/run/inside.log &)")

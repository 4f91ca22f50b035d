# SPDX-License-Identifier: Apache-2.0
"""The door to what is beyond this host: does a neighbour, a peer, a name server, a controller answer?

Each is one attempt with a time limit. An answer is True; silence, a refusal of the kernel and an unreachable network
are False: they all mean "it does not work". It must not decide what follows from that.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from contextlib import suppress
from ipaddress import ip_address

from agent.errors import HostError
from agent.host.rtnetlink.channel import Change, Channel, channel
from agent.host.rtnetlink.message import CREATE, FAMILY, REPLACE, attribute, attributes, message, messages
from agent.host.rtnetlink.route import DELNEIGH, GETNEIGH, NDA_DST, NDMSG, NEWNEIGH
from agent.model.ladder import Ladder
from agent.model.network import IPAddress

POLL_S = 0.02
NTF_USE = 0x01  # linux/neighbour.h: look it up, as if a packet were waiting
NUD_REACHABLE, NUD_NOARP, NUD_PERMANENT = 0x02, 0x40, 0x80
IP_MTU_DISCOVER, IP_PMTUDISC_PROBE = 10, 3  # linux/in.h: never fragment, whatever is known of the path
IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE = 23, 3
ICMP_HEADER = struct.Struct(">BBHHH")  # RFC 792: type, code, checksum, identifier, sequence
IP_HEADER_BYTES = {4: 20, 6: 40}
ECHO = {4: (8, 0), 6: (128, 129)}
"""Type of the request, and of its answer (RFC 792, RFC 4443)."""
DNS_PORT = 53
DNS_QUERY = struct.pack(">HHHHH", 0x0100, 1, 0, 0, 0) + b"\0\0\x02\0\x01"
"""Recursion desired; NS of the root (RFC 1035 section 4.1): any server can say something to that."""


class RealProbe:
    """`doors.Probe` over the kernel's neighbour table and sockets."""

    def neighbour(self, link: str, address: IPAddress, timeout_s: float) -> bool:
        """ARP or neighbour discovery, by the kernel: what it knew is forgotten first; an old answer does not count."""
        try:
            with channel(f"looking for {address} on {link}") as talk:
                return asked(talk, socket.if_nametoindex(link), address, timeout_s)
        except (OSError, HostError):
            return False

    def echo(self, link: str, address: IPAddress, size_bytes: int, timeout_s: float) -> bool:
        """An ICMP echo in one IP packet of that size, not to be fragmented, sent through this link."""
        number = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}[address.version]
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        try:
            with socket.socket(family, socket.SOCK_RAW, number) as raw:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
                if address.version == 4:
                    raw.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
                else:
                    raw.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE)
                request = echo_request(address.version, size_bytes, os.getpid() & 0xFFFF)
                raw.sendto(request, (str(address), 0))
                return heard(raw, address, request, time.monotonic() + timeout_s)
        except OSError:
            return False

    def dns(self, server: IPAddress, timeout_s: float) -> bool:
        """A query by UDP; whatever the server answers, it answers."""
        family = socket.AF_INET if server.version == 4 else socket.AF_INET6
        query = os.urandom(2) + DNS_QUERY
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as udp:
                udp.settimeout(timeout_s)
                udp.connect((str(server), DNS_PORT))
                udp.send(query)
                answer = udp.recv(4096)
        except OSError:
            return False
        return answer[:2] == query[:2] and len(answer) > 3 and bool(answer[2] & 0x80)

    def connects(self, host: str, port: int, timeout_s: float) -> bool:
        """A TCP connection, by whatever way the routes say."""
        try:
            socket.create_connection((host, port), timeout_s).close()
        except (OSError, UnicodeError):  # the latter of what cannot be a name: "a..b"
            return False
        return True

    def addresses(self, host: str) -> tuple[IPAddress, ...]:
        """By the system's resolver."""
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return ()
        return tuple(dict.fromkeys(ip_address(str(one[4][0])) for one in found))

    def source(self, host: str, port: int) -> IPAddress | None:
        """By connecting a datagram socket. Link-local addresses are of no use to who is asked to call back."""
        for address in self.addresses(host):
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6
            with socket.socket(family, socket.SOCK_DGRAM) as asked, suppress(OSError):
                asked.connect((str(address), port or 1))
                found = ip_address(asked.getsockname()[0])
                if not found.is_link_local:
                    return found
        return None

    def climb(self, url: str, timeout_s: float, *, insecure: bool = False, ca_pem: str | None = None) -> Ladder:
        """Rung by rung."""
        from agent.host.ladder import climb  # it brings HTTP and TLS, which nobody else here needs

        return climb(url, timeout_s, insecure=insecure, ca_pem=ca_pem)


def asked(talk: Channel, index: int, address: IPAddress, timeout_s: float) -> bool:
    """Forget it, ask, and wait until the kernel knows."""
    if state_of(talk, index, address) & (NUD_PERMANENT | NUD_NOARP):
        return True
    where = attribute(NDA_DST, address.packed)
    family = FAMILY[address.version]
    with suppress(HostError):  # it was not known
        talk.change(
            [Change(message(DELNEIGH, 0, NDMSG.pack(family, index, 0, 0, 0) + where), "forgetting a neighbour")]
        )
    use = NDMSG.pack(family, index, 0, NTF_USE, 0) + where
    talk.change([Change(message(NEWNEIGH, CREATE | REPLACE, use), "asking for a neighbour")])
    end_s = time.monotonic() + timeout_s
    while not state_of(talk, index, address) & NUD_REACHABLE:
        if time.monotonic() > end_s:
            return False
        time.sleep(POLL_S)
    return True


def state_of(talk: Channel, index: int, address: IPAddress) -> int:
    """What the kernel knows of a neighbour: NUD_* bits; 0 for nothing."""
    table = talk.table(GETNEIGH, NDMSG.pack(FAMILY[address.version], 0, 0, 0, 0), "reading the neighbours")
    for kind, _, _, body in messages(table):
        if kind == NEWNEIGH:
            _, where, state, _, _ = NDMSG.unpack_from(body)
            if where == index and attributes(body, NDMSG.size).get(NDA_DST) == address.packed:
                return int(state)
    return 0


def echo_request(version: int, size_bytes: int, identifier: int) -> bytes:
    """An echo request that makes an IP packet of that size. For ICMPv6 the kernel puts the checksum in."""
    payload = os.urandom(max(8, size_bytes - IP_HEADER_BYTES[version] - ICMP_HEADER.size))
    kind = ECHO[version][0]
    check = checksum(ICMP_HEADER.pack(kind, 0, 0, identifier, 1) + payload) if version == 4 else 0
    return ICMP_HEADER.pack(kind, 0, check, identifier, 1) + payload


def heard(raw: socket.socket, address: IPAddress, request: bytes, end_s: float) -> bool:
    """Whether the answer comes in time: the same payload back. A raw socket hears other people's answers, too."""
    while (left_s := end_s - time.monotonic()) > 0:
        raw.settimeout(left_s)
        try:
            packet, _ = raw.recvfrom(1 << 16)
        except TimeoutError:
            return False
        answer = packet[(packet[0] & 0xF) * 4 :] if address.version == 4 else packet
        same = answer[ICMP_HEADER.size :] == request[ICMP_HEADER.size :]
        if answer and answer[0] == ECHO[address.version][1] and same:
            return True
    return False


def checksum(data: bytes) -> int:
    """RFC 1071."""
    words = struct.unpack(f">{len(data) // 2}H", data[: len(data) & ~1])
    total: int = sum(words) + (data[-1] << 8 if len(data) & 1 else 0)
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF

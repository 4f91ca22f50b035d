# SPDX-License-Identifier: Apache-2.0
"""The door to questions in one datagram each: to one host, or to everybody on the links.

It must not look into what it carries. Silence, a refusal, an unreachable network and a name that cannot be one (the
resolver says UnicodeError of that) are no answer.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress

from agent.model.network import IPAddress

LARGEST_BYTES = 9000
"""Of multicast DNS (RFC 6762, section 17)."""


class RealDatagrams:
    """`doors.Datagrams` over UDP."""

    def ask(self, host: str, port: int, question: bytes, timeout_s: float) -> bytes | None:
        """The first answer of that host itself: a connected socket hears nobody else."""
        with suppress(OSError, UnicodeError):
            for family, kind, number, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM):
                with socket.socket(family, kind, number) as udp, suppress(OSError):
                    udp.settimeout(timeout_s)
                    udp.connect(address)
                    udp.send(question)
                    return udp.recv(LARGEST_BYTES)
        return None

    def ask_around(
        self, links: Sequence[str], groups: Sequence[IPAddress], port: int, question: bytes, timeout_s: float
    ) -> Iterator[bytes]:
        """Answers as they come. A link that takes no question is passed over."""
        end_s = time.monotonic() + timeout_s
        with ExitStack() as stack:
            asked = []
            for link in links:
                for group in groups:
                    with suppress(OSError):
                        asked.append(stack.enter_context(sent(link, group, port, question)))
            while asked and (left_s := end_s - time.monotonic()) > 0:
                for ready in select.select(asked, [], [], left_s)[0]:
                    with suppress(OSError):
                        yield ready.recv(LARGEST_BYTES)


def sent(link: str, group: IPAddress, port: int, question: bytes) -> socket.socket:
    """A socket on which answers come, from this link alone. Raises `OSError`."""
    udp = socket.socket(socket.AF_INET if group.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
        scope = () if group.version == 4 else (0, socket.if_nametoindex(link))
        udp.sendto(question, (str(group), port, *scope))
    except OSError:
        udp.close()
        raise
    return udp

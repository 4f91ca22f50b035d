# SPDX-License-Identifier: Apache-2.0
"""The door to what switches say on the cables by LLDP: packet(7) sockets, one a link, listened to side by side.

It needs no promiscuous mode: each link joins the three groups that LLDP is sent to (IEEE 802.1AB-2016, table 7-1).
It says nothing itself, and does not look into what it hears.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress

from agent.errors import HostError

ETHERTYPE = 0x88CC
GROUPS = tuple(bytes.fromhex(f"0180c20000{last}") for last in ("0e", "03", "00"))
LARGEST_BYTES = 9216
SOL_PACKET, ADD_MEMBERSHIP, MR_MULTICAST = 263, 1, 0
MREQ = struct.Struct("=iHH8s")
"""struct packet_mreq: interface, type, length of the address, address."""


class RealLldp:
    """`doors.Lldp` over AF_PACKET. Needs CAP_NET_RAW."""

    def __call__(self, links: Sequence[str], timeout_s: float) -> Mapping[str, bytes]:
        """Until all have spoken, or the time is over. A link that is gone meanwhile has nothing to say."""
        heard: dict[str, bytes] = {}
        end_s = time.monotonic() + timeout_s
        with ExitStack() as stack:
            silent = {stack.enter_context(listening(name)): name for name in links}
            while silent and (left_s := end_s - time.monotonic()) > 0:
                for ready in select.select(list(silent), [], [], left_s)[0]:
                    name = silent.pop(ready)
                    with suppress(OSError):  # ENETDOWN: it is listened to no more
                        heard[name] = ready.recv(LARGEST_BYTES)
        return heard


@contextmanager
def listening(name: str) -> Iterator[socket.socket]:
    """A socket that hears LLDP on this link, and nothing else: not what we send either, for it is bound to a protocol
    (net/core/dev.c, dev_queue_xmit_nit). SOCK_DGRAM leaves the Ethernet header out.
    """
    try:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    except OSError as error:
        raise HostError(f"listening to LLDP on {name}", error.strerror or str(error)) from error
    with opened:
        try:
            opened.bind((name, ETHERTYPE))
            for group in GROUPS:
                mreq = MREQ.pack(socket.if_nametoindex(name), MR_MULTICAST, len(group), group)
                with suppress(OSError):  # a driver without such a filter hears all of them, or has no more room
                    opened.setsockopt(SOL_PACKET, ADD_MEMBERSHIP, mreq)
        except OSError as error:
            raise HostError(f"listening to LLDP on {name}", error.strerror or str(error)) from error
        yield opened

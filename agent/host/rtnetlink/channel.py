# SPDX-License-Identifier: Apache-2.0
"""A netlink socket for one conversation: whole tables out of the kernel, batches of changes into it.

A batch goes out in one datagram, and every message of it is acknowledged apart. Netlink has no transactions: what
stands behind a message that failed is done all the same.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from agent.errors import HostError
from agent.host.rtnetlink.message import (
    ACK,
    DONE,
    DUMP,
    DUMP_INTERRUPTED,
    ERROR,
    S32,
    U32,
    attributes,
    message,
    messages,
    string,
)

SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP, NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 1, 10, 11, 12
SO_RCVBUFFORCE = 33
RECEIVE_BYTES = 8 << 20
DATAGRAM_BYTES = 1 << 18
BATCH_BYTES = 48 << 10
TIMEOUT_S = 30.0
DUMP_ATTEMPTS = 8
DUMP_PAUSE_S = 0.02
ACK_TLVS = 0x200  # NLM_F_ACK_TLVS
ERROR_TEXT = 1  # NLMSGERR_ATTR_MSG


@dataclass(frozen=True)
class Change:
    """A request, what it does in words (a gerund), and the errors that say "it is so already"."""

    request: bytes
    doing: str = field(compare=False)
    fine: tuple[int, ...] = ()


class Channel:
    """One socket."""

    def __init__(self, netlink: socket.socket) -> None:
        self._socket = netlink
        self._sequence = 0

    def table(self, kind: int, body: bytes, doing: str) -> bytes:
        """Every message of a dump, one behind the other. The kernel says if the table changed meanwhile: then anew."""
        for attempt in range(DUMP_ATTEMPTS):
            if attempt:  # a sleep of no time, too, gives the processor away
                time.sleep(attempt * DUMP_PAUSE_S)
            self._send([message(kind, DUMP, body)])
            datagrams, interrupted, going_on = [], False, True
            while going_on:
                data = self._receive(doing)
                for heard, flags, _, said in messages(data):
                    interrupted |= bool(flags & DUMP_INTERRUPTED)
                    going_on = heard not in (DONE, ERROR)
                    if not going_on and len(said) >= S32.size and (code := -S32.unpack_from(said)[0]) > 0:
                        raise HostError(doing, os.strerror(code))
                datagrams.append(data)
            if not interrupted:
                return b"".join(datagrams)
        raise HostError(doing, f"it changes all the time: {DUMP_ATTEMPTS} looks at it were interrupted")

    def change(self, changes: Sequence[Change]) -> None:
        """Do them in order. Raises `HostError` for the first that the kernel refused, when all were tried that went
        with it in one datagram.
        """
        batch: list[Change] = []
        size = 0
        for change in changes:
            if batch and size + len(change.request) > BATCH_BYTES:
                self._exchange(batch)
                batch, size = [], 0
            batch.append(change)
            size += len(change.request)
        if batch:
            self._exchange(batch)

    def _exchange(self, batch: Sequence[Change]) -> None:
        first = self._send([change.request for change in batch], ACK)
        refused: HostError | None = None
        left = len(batch)
        while left:
            for kind, flags, sequence, body in messages(self._receive(batch[0].doing)):
                place = sequence - first
                if kind != ERROR or not 0 <= place < len(batch):
                    continue
                left -= 1
                code = -S32.unpack_from(body)[0]
                if code and code not in batch[place].fine and refused is None:
                    refused = HostError(batch[place].doing, refusal(code, flags, body))
        if refused is not None:
            raise refused

    def _send(self, requests: Sequence[bytes], flags: int = 0) -> int:
        """With sequence numbers; that of the first."""
        first = self._sequence + 1
        self._sequence += len(requests)
        data = bytearray(b"".join(requests))
        at = 0
        for sequence, request in enumerate(requests, start=first):
            U32.pack_into(data, at + 8, sequence)
            data[at + 6] |= flags
            at += len(request)
        self._socket.sendall(data)
        return first

    def _receive(self, doing: str) -> bytes:
        try:
            return self._socket.recv(DATAGRAM_BYTES)
        except OSError as error:
            raise HostError(doing, error.strerror or f"no answer within {TIMEOUT_S:.0f} s") from error


@contextmanager
def channel(doing: str) -> Iterator[Channel]:
    """A channel for as long as the block. Raises `HostError`."""
    try:
        netlink = opened()
    except OSError as error:
        raise HostError(doing, error.strerror or str(error)) from error
    try:
        netlink.settimeout(TIMEOUT_S)
        yield Channel(netlink)
    finally:
        netlink.close()


def opened(groups: Sequence[int] = (), family: int = socket.NETLINK_ROUTE) -> socket.socket:
    """A socket that hears these multicast groups, with room for the answers to a large batch."""
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
    try:
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
            netlink.setsockopt(SOL_NETLINK, option, 1)
        try:
            netlink.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
        except PermissionError:  # an operator without root, who only reads
            netlink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        netlink.bind((0, 0))
        for group in groups:
            netlink.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
    except OSError:
        netlink.close()
        raise
    return netlink


def refusal(code: int, flags: int, body: bytes) -> str:
    """What the kernel said: its own words where it has some (extended acks), and the error's name."""
    said = attributes(body, 20).get(ERROR_TEXT) if flags & ACK_TLVS else None
    return f"{os.strerror(code)}: {string(said)}" if said else os.strerror(code)

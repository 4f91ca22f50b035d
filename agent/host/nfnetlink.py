# SPDX-License-Identifier: Apache-2.0
"""Netlink messages to nf_tables: what is asked for often, or changed by the element, without reading a ruleset first.

libnftables reads every set of every table before it takes one element away (20 ms where there are 20,000); these
messages do it in 0.1 ms. Numbers are of linux/netfilter/nf_tables.h and nfnetlink.h. It must not decide.

Each thread keeps its socket: the kernel lets nobody close one before it has freed what was deleted through it, which
takes 10 ms (nft_rcv_nl_event() in net/netfilter/nf_tables_api.c). A thread must not change its network namespace.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from struct import Struct

from agent.errors import HostError
from agent.host.rtnetlink.channel import Channel
from agent.host.rtnetlink.message import (
    ACK,
    CREATE,
    ERROR,
    S32,
    U32,
    attribute,
    attributes,
    message,
    messages,
    string,
    text,
)

NETLINK_NETFILTER = 12
GENERAL = Struct(">BBH")  # struct nfgenmsg: family, version, resource
SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
BATCH_BEGIN, BATCH_END = 0x10, 0x11
NEW_CHAIN, GET_CHAIN, DELETE_CHAIN, GET_SET, DELETE_SET, NEW_ELEMENT, DELETE_ELEMENT = 3, 4, 5, 10, 11, 12, 14
FAMILIES = {"inet": 1, "ip": 2}
CHAIN_TABLE, CHAIN_NAME, CHAIN_USE = 1, 3, 6
SET_TABLE, SET_NAME = 1, 2
ELEMENTS_TABLE, ELEMENTS_SET, ELEMENTS = 1, 2, 3
ELEMENT, KEY, VALUE = 1, 1, 1
NESTED = 0x8000
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33  # asm-generic/socket.h
BUFFER_BYTES = 8 << 20
PIECE = 1000
"""Elements in one message: an attribute's length is of 16 bits."""
TIMEOUT_S = 10.0


def chains(table: str) -> dict[str, int]:
    """Name → how many rules it has, and how many jumps lead to it."""
    return {
        string(found[CHAIN_NAME]): int.from_bytes(found[CHAIN_USE], "big")
        for found in dump(GET_CHAIN, table)
        if string(found[CHAIN_TABLE]) == bare(table)
    }


def sets(table: str) -> tuple[str, ...]:
    """Names of the sets and maps that have one."""
    found = [string(each[SET_NAME]) for each in dump(GET_SET, table) if string(each[SET_TABLE]) == bare(table)]
    return tuple(name for name in found if not name.startswith("__"))


def add_elements(table: str, name: str, keys: Sequence[bytes]) -> Iterator[bytes]:
    """To a set; those that are there already stay."""
    return elements(NEW_ELEMENT, CREATE, table, name, keys)


def delete_elements(table: str, name: str, keys: Sequence[bytes]) -> Iterator[bytes]:
    """From a set, whether they are there or not: what is missing would end the whole transaction, so all are added."""
    yield from elements(NEW_ELEMENT, CREATE, table, name, keys)
    yield from elements(DELETE_ELEMENT, 0, table, name, keys)


def elements(kind: int, flags: int, table: str, name: str, keys: Sequence[bytes]) -> Iterator[bytes]:
    """Some messages, none too large."""
    for start in range(0, len(keys), PIECE):
        some = [
            attribute(ELEMENT | NESTED, attribute(KEY | NESTED, attribute(VALUE, key)))
            for key in keys[start : start + PIECE]
        ]
        where = text(ELEMENTS_TABLE, bare(table)) + text(ELEMENTS_SET, name)
        yield request(kind, flags, table, where + attribute(ELEMENTS | NESTED, b"".join(some)))


def add_chain(table: str, name: str) -> bytes:
    """An empty one that hooks nowhere."""
    return request(NEW_CHAIN, CREATE, table, text(CHAIN_TABLE, bare(table)) + text(CHAIN_NAME, name))


def delete_chain(table: str, name: str) -> bytes:
    """One without rules."""
    return request(DELETE_CHAIN, 0, table, text(CHAIN_TABLE, bare(table)) + text(CHAIN_NAME, name))


def delete_set(table: str, name: str) -> bytes:
    """One that no rule names, or a map."""
    return request(DELETE_SET, 0, table, text(SET_TABLE, bare(table)) + text(SET_NAME, name))


def transact(doing: str, requests: Sequence[bytes]) -> None:
    """All of it or nothing; of nothing, nothing. Raises `HostError`."""
    if not requests:
        return
    border = GENERAL.pack(0, 0, SUBSYSTEM)
    whole = [message(BATCH_BEGIN, 0, border), *requests, message(BATCH_END, 0, border)]
    data = bytearray().join(whole)
    at = 0
    for number, one in enumerate(whole, 1):
        U32.pack_into(data, at + 8, number)
        if number == len(requests) + 1:
            data[at + 6] |= ACK  # of the last: what is refused is told of any
        at += len(one)
    try:
        with talking() as kernel:
            kernel.send(data)
            is_done = False
            while not is_done:
                for kind, _, number, body in messages(kernel.recv(BUFFER_BYTES)):
                    if kind == ERROR and (code := -S32.unpack_from(body)[0]):
                        raise HostError(doing, os.strerror(code))
                    is_done |= number == len(requests) + 1
    except OSError as error:
        raise HostError(doing, error.strerror or str(error)) from error


def dump(kind: int, table: str) -> Iterator[dict[int, bytes]]:
    """Everything of a kind, in a table's family."""
    doing = f"reading table {table}"
    try:
        with talking() as kernel:
            asked = SUBSYSTEM << 8 | kind, GENERAL.pack(FAMILIES[family(table)], 0, 0)
            data = Channel(kernel).table(*asked, doing)
    except OSError as error:
        raise HostError(doing, error.strerror or str(error)) from error
    return (attributes(body, GENERAL.size) for told, _, _, body in messages(data) if told >> 8 == SUBSYSTEM)


class Kernel(socket.socket):
    """A socket that its thread leaves behind when it ends."""

    def __del__(self) -> None:
        self.close()


class Kept(threading.local):
    """What a thread has."""

    kernel: Kernel | None = None


KEPT = Kept()


@contextmanager
def talking() -> Iterator[Kernel]:
    """The socket, for one request. After an error there is a new one: answers may still come to the old."""
    kernel = KEPT.kernel or connected()
    KEPT.kernel = None
    try:
        yield kernel
    except BaseException:
        kernel.close()
        raise
    KEPT.kernel = kernel


def connected() -> Kernel:
    """A new socket."""
    made = Kernel(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
    made.settimeout(TIMEOUT_S)
    try:
        for option in (SO_SNDBUFFORCE, SO_RCVBUFFORCE):
            made.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        made.bind((0, 0))
    except OSError:
        made.close()
        raise
    return made


def request(kind: int, flags: int, table: str, body: bytes) -> bytes:
    """To nf_tables, about something of a table."""
    return message(SUBSYSTEM << 8 | kind, flags, GENERAL.pack(FAMILIES[family(table)], 0, 0) + body)


def family(table: str) -> str:
    """The first word of a table's name."""
    return table.partition(" ")[0]


def bare(table: str) -> str:
    """The second."""
    return table.partition(" ")[2]

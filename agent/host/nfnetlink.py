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
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from agent.errors import HostError

NETLINK_NETFILTER = 12
SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
BATCH_BEGIN, BATCH_END = 0x10, 0x11
NEW_CHAIN, GET_CHAIN, DELETE_CHAIN, GET_SET, NEW_ELEMENT, DELETE_ELEMENT = 3, 4, 5, 10, 12, 14
REQUEST, ACK, DUMP, CREATE = 0x1, 0x4, 0x300, 0x400
ERROR, DONE = 2, 3
FAMILIES = {"inet": 1, "ip": 2}
CHAIN_TABLE, CHAIN_NAME, CHAIN_USE = 1, 3, 6
SET_TABLE, SET_NAME = 1, 2
ELEMENTS_TABLE, ELEMENTS_SET, ELEMENTS = 1, 2, 3
ELEMENT, KEY, VALUE = 1, 1, 1
NESTED = 0x8000
SO_SNDBUFFORCE = 32  # asm-generic/socket.h
BUFFER_BYTES = 8 << 20
PIECE = 1000
"""Elements in one message: an attribute's length is of 16 bits."""
TIMEOUT_S = 10.0


def chains(table: str) -> dict[str, int]:
    """Name → how many rules it has, and how many jumps lead to it."""
    return {
        text(found[CHAIN_NAME]): int.from_bytes(found[CHAIN_USE], "big")
        for found in dump(GET_CHAIN, table)
        if text(found[CHAIN_TABLE]) == bare(table)
    }


def sets(table: str) -> tuple[str, ...]:
    """Names of the sets and maps that have one."""
    found = [text(each[SET_NAME]) for each in dump(GET_SET, table) if text(each[SET_TABLE]) == bare(table)]
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
        where = named(ELEMENTS_TABLE, bare(table)) + named(ELEMENTS_SET, name)
        yield message(kind, flags, table, where + attribute(ELEMENTS | NESTED, b"".join(some)))


def add_chain(table: str, name: str) -> bytes:
    """An empty one that hooks nowhere."""
    return message(NEW_CHAIN, CREATE, table, named(CHAIN_TABLE, bare(table)) + named(CHAIN_NAME, name))


def delete_chain(table: str, name: str) -> bytes:
    """One without rules."""
    return message(DELETE_CHAIN, 0, table, named(CHAIN_TABLE, bare(table)) + named(CHAIN_NAME, name))


def transact(doing: str, messages: Sequence[bytes]) -> None:
    """All of it or nothing. Raises `HostError`."""
    numbered = [header(1, BATCH_BEGIN, 0) + general(0, SUBSYSTEM)]
    numbered += [
        struct.pack("=IHHII", len(one), *struct.unpack_from("=HH", one, 4), number, 0) + one[16:]
        for number, one in enumerate(messages, 2)
    ]
    numbered.append(header(len(messages) + 2, BATCH_END, 0) + general(0, SUBSYSTEM))
    try:
        with talking() as kernel:
            kernel.send(b"".join(numbered))
            waiting = set(range(2, len(messages) + 2))
            while waiting:
                for kind, number, body in packets(kernel.recv(BUFFER_BYTES)):
                    if kind == ERROR and (code := -struct.unpack_from("=i", body)[0]):
                        raise HostError(doing, os.strerror(code))
                    waiting.discard(number)
    except OSError as error:
        raise HostError(doing, error.strerror or str(error)) from error


def dump(kind: int, table: str) -> Iterator[dict[int, bytes]]:
    """Everything of a kind, in a family. Asked again where it changed meanwhile (NLM_F_DUMP_INTR, 0x10)."""
    while True:
        found, is_whole = one_dump(kind, table)
        if is_whole:
            return iter(found)


def one_dump(kind: int, table: str) -> tuple[list[dict[int, bytes]], bool]:
    """What there is, and whether it is all of one moment."""
    found: list[dict[int, bytes]] = []
    is_whole = True
    doing = f"reading table {table}"
    try:
        with talking() as kernel:
            request = header(1, SUBSYSTEM << 8 | kind, DUMP) + general(FAMILIES[family(table)], 0)
            kernel.send(struct.pack("=I", len(request)) + request[4:])
            while True:
                data = kernel.recv(BUFFER_BYTES)
                for code, _, body in packets(data):
                    if code == DONE:
                        return found, is_whole
                    if code == ERROR:
                        raise HostError(doing, os.strerror(-struct.unpack_from("=i", body)[0]))
                    found.append(attributes(body[4:]))
                is_whole = is_whole and not struct.unpack_from("=H", data, 6)[0] & 0x10
    except OSError as error:
        raise HostError(doing, error.strerror or str(error)) from error


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
        made.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_BYTES)
        made.bind((0, 0))
    except OSError:
        made.close()
        raise
    return made


def header(number: int, kind: int, flags: int) -> bytes:
    """`struct nlmsghdr` of a message that has nothing but its general part."""
    return struct.pack("=IHHII", 20, kind, REQUEST | flags, number, 0)


def general(family: int, resource: int) -> bytes:
    """`struct nfgenmsg`."""
    return struct.pack("=BB", family, 0) + struct.pack(">H", resource)


def message(kind: int, flags: int, table: str, body: bytes) -> bytes:
    """One to nf_tables, to be numbered."""
    whole = header(0, SUBSYSTEM << 8 | kind, ACK | flags) + general(FAMILIES[family(table)], 0) + body
    return struct.pack("=I", len(whole)) + whole[4:]


def attribute(kind: int, value: bytes) -> bytes:
    """`struct nlattr`, padded to four bytes."""
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def family(table: str) -> str:
    """The first word of a table's name."""
    return table.partition(" ")[0]


def bare(table: str) -> str:
    """The second."""
    return table.partition(" ")[2]


def named(kind: int, name: str) -> bytes:
    """A string."""
    return attribute(kind, name.encode() + b"\0")


def text(value: bytes) -> str:
    """Back."""
    return value.rstrip(b"\0").decode()


def packets(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(kind, number, body) of each message."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind, _, number = struct.unpack_from("=IHHI", data, offset)
        yield kind, number, data[offset + 16 : offset + length]
        offset += max(length + 3 & ~3, 16)


def attributes(data: bytes) -> dict[int, bytes]:
    """Kind → value."""
    found, offset = {}, 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]
        offset += max(length + 3 & ~3, 4)
    return found

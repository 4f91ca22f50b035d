# SPDX-License-Identifier: Apache-2.0
"""A server of network block devices over a Unix socket, by which QEMU has a `CachedDisk`.

It speaks the fixed newstyle handshake and simple replies (NetworkBlockDevice/nbd, doc/proto.md): READ, WRITE, FLUSH,
FUA, TRIM, WRITE_ZEROES. Requests are taken one after the other. It can be told to fail some of them, to be slow, and
to fall silent at one of them, as a disk whose power went.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path
from threading import Event, Thread

from agent.host.fake.disk import SparseBytes
from tests.vm.cache import CachedDisk, Write

OPTION, REPLY = struct.Struct(">QII"), struct.Struct(">QIII")
REQUEST, ANSWER = struct.Struct(">IHHQQI"), struct.Struct(">IIQ")
INFO = struct.Struct(">HQH")
HELLO, OPTION_MAGIC, REPLY_MAGIC = b"NBDMAGICIHAVEOPT", 0x49484156454F5054, 0x3E889045565A9
REQUEST_MAGIC, ANSWER_MAGIC = 0x25609513, 0x67446698
EXPORT_NAME, ABORT, GO = 1, 2, 7
ACK, INFO_REPLY, UNSUPPORTED = 1, 3, 0x80000001
FUA = 1
LONGEST_S = 300
CAN = 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6  # flags are told; FLUSH, FUA, TRIM, WRITE_ZEROES


class Command(IntEnum):
    """What a client asks for."""

    READ = 0
    WRITE = 1
    DISCONNECT = 2
    FLUSH = 3
    TRIM = 4
    WRITE_ZEROES = 6


Look = Callable[[Command, int, int], bool]
"""At what is asked: command, offset, length."""


def never(command: Command, offset: int, length: int) -> bool:
    """Not at this one."""
    return False


class DiskServer:
    """One disk, for whoever connects."""

    def __init__(self, disk: CachedDisk, path: Path) -> None:
        self.disk = disk
        self.path = path
        self.fails: Look = never
        self.error = 5  # EIO, as the protocol numbers it
        self.goes_silent: Look = never
        self.silent = Event()
        self.halts: Look = never
        self.halted, self.go_on = Event(), Event()
        self.written = 0
        self._over = Event()
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._lines: list[socket.socket] = []
        self._threads = [Thread(target=self._accept, name="nbd", daemon=True)]
        self._threads[0].start()

    def words(self, name: str, device: str) -> list[str]:
        """QEMU's, for a disk with a write cache, behind this device."""
        drive = f"if=none,id={name},format=raw,cache=writeback,discard=unmap,file.driver=nbd,file.server.type=unix"
        return ["-drive", f"{drive},file.server.path={self.path}", "-device", f"{device},drive={name},serial={name}"]

    def halt_at(self, look: Look) -> None:
        """At the next such request it takes its time, until `go_on`; `halted` says that it does."""
        self.halted.clear()
        self.go_on.clear()
        self.halts = look

    def power_back(self) -> None:
        """It answers again, whoever comes next."""
        self.goes_silent = never
        self.silent.clear()

    def close(self) -> None:
        """End all threads."""
        self._over.set()
        for line in (self._server, *self._lines):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                line, _ = self._server.accept()
            except OSError:
                return
            self._lines.append(line)
            thread = Thread(target=self._serve, args=(line,), name="nbd-line", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, line: socket.socket) -> None:
        with suppress(OSError, EOFError), line:
            if self._greet(line):
                while self._answer(line):
                    pass

    def _greet(self, line: socket.socket) -> bool:
        line.sendall(HELLO + struct.pack(">H", 3))  # fixed newstyle, without zeroes
        heard(line, 4)
        while True:
            magic, option, length = OPTION.unpack(heard(line, OPTION.size))
            assert magic == OPTION_MAGIC
            heard(line, length)
            if option == EXPORT_NAME:
                line.sendall(struct.pack(">QH", self.disk.size_bytes, CAN))
                return True
            if option == GO:
                body = INFO.pack(0, self.disk.size_bytes, CAN)
                line.sendall(REPLY.pack(REPLY_MAGIC, option, INFO_REPLY, len(body)) + body)
            line.sendall(REPLY.pack(REPLY_MAGIC, option, ACK if option in (ABORT, GO) else UNSUPPORTED, 0))
            if option in (ABORT, GO):
                return bool(option == GO)

    def _answer(self, line: socket.socket) -> bool:
        magic, flags, number, cookie, offset, length = REQUEST.unpack(heard(line, REQUEST.size))
        assert magic == REQUEST_MAGIC
        command = Command(number)
        data = heard(line, length) if command is Command.WRITE else None
        if command is Command.DISCONNECT:
            return False
        if self.silent.is_set() or self.goes_silent(command, offset, length):
            self.silent.set()
            while line.recv(1 << 16):  # until whoever waits for an answer is gone
                pass
            return False
        if self.halts(command, offset, length):
            self.halts = never
            self.halted.set()
            self.go_on.wait(LONGEST_S)
        if self.fails(command, offset, length):
            line.sendall(ANSWER.pack(ANSWER_MAGIC, self.error, cookie))
            return True
        answer = ANSWER.pack(ANSWER_MAGIC, 0, cookie)
        line.sendall(answer + self._done(command, offset, length, data, is_urgent=bool(flags & FUA)))
        return True

    def _done(self, command: Command, offset: int, length: int, data: bytes | None, *, is_urgent: bool) -> bytes:
        if command is Command.READ:
            return self.disk.read(offset, length)
        if command is not Command.FLUSH:
            self.disk.write(Write(offset, length, data))
            self.written += length
        if command is Command.FLUSH or is_urgent:
            self.disk.flush()
        return b""


def heard(line: socket.socket, length: int) -> bytes:
    """So many bytes. Raises `EOFError`."""
    buffer, at = bytearray(length), 0
    while at < length:
        got = line.recv_into(memoryview(buffer)[at:])
        if not got:
            raise EOFError
        at += got
    return bytes(buffer)


@contextmanager
def serving_disk(size_bytes: int, path: Path, medium: SparseBytes | None = None) -> Iterator[DiskServer]:
    """For as long as the block."""
    server = DiskServer(CachedDisk(size_bytes, medium), path)
    try:
        yield server
    finally:
        server.close()

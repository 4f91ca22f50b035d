# SPDX-License-Identifier: Apache-2.0
"""A BMC for a guest: QEMU's `ipmi-bmc-extern` calls it over TCP (hw/ipmi/ipmi_bmc_extern.c has the protocol).

A message is a number, IPMI's request and a checksum, ended by 0xa0; QEMU's own commands end with 0xa1 and need no
answer. What is none of these two but means it is escaped.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Thread

from tests.link.equipped import configured

END, COMMAND_END, ESCAPE = 0xA0, 0xA1, 0xAA
DEVICE_ID = bytes([0x06, 0x01])
WHO = bytes([0, 0x20, 0x81, 1, 0, 2, 0x9F, 0, 0, 0, 0, 0])  # good; the device, its firmware, IPMI 2.0 (section 20.1)
INVALID_COMMAND = b"\xc1"


def escaped(message: bytes) -> bytes:
    """As it goes over the wire, with its end."""
    spoken = bytearray()
    for byte in message:
        spoken += bytes([ESCAPE, byte | 0x10]) if byte in (END, COMMAND_END, ESCAPE) else bytes([byte])
    return bytes(spoken) + bytes([END])


def messages(talk: socket.socket) -> Iterator[bytes]:
    """What QEMU says, without its own commands."""
    message, is_escaped = bytearray(), False
    while heard := talk.recv(4096):
        for byte in heard:
            if byte == ESCAPE:
                is_escaped = True
            elif byte in (END, COMMAND_END):
                if byte == END:
                    yield bytes(message)
                message.clear()
            else:
                message.append(byte & ~0x10 if is_escaped else byte)
                is_escaped = False


def answer(message: bytes, answers: Mapping[bytes, bytes]) -> bytes:
    """The same number, the function's answer (IPMI 2.0, section 5.1: it is odd), what it says, and a checksum."""
    number, function, command, data = message[0], message[1], message[2], message[3:-1]
    said = answers.get(bytes([function >> 2, command]) + data, INVALID_COMMAND)
    spoken = bytes([number, function | 4, command]) + said
    return spoken + bytes([-sum(spoken) & 0xFF])


@contextmanager
def bmc(v4: str, mac: str, more: Mapping[bytes, bytes]) -> Iterator[list[str]]:
    """It answers as long as the block; what QEMU is told, to have it on the bus. `reconnect` makes QEMU 7.2 connect
    after it has made its devices: it looks for the bus in that moment.
    """
    answers = {DEVICE_ID: WHO} | configured(1, v4, mac, more)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):  # the server was shut
                talk, _ = server.accept()
                with talk:
                    for message in messages(talk):
                        talk.sendall(escaped(answer(message, answers)))

        thread = Thread(target=serve, name="bmc", daemon=True)
        thread.start()
        port = server.getsockname()[1]
        try:
            yield [
                "-chardev", f"socket,id=bmc,host=127.0.0.1,port={port},reconnect=1",
                "-device", "ipmi-bmc-extern,id=bmc0,chardev=bmc", "-device", "isa-ipmi-kcs,bmc=bmc0",
            ]  # fmt: skip
        finally:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            thread.join(10)

# SPDX-License-Identifier: Apache-2.0
"""The door to the BMC: ioctls on /dev/ipmi0 (linux/ipmi.h; Documentation/driver-api/ipmi.rst).

In: a command and its data. Out: the answer's completion code and data. What they mean, inventory says.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from agent.errors import DeviceError

DEVICES = ("/dev/ipmi0", "/dev/ipmi/0", "/dev/ipmidev/0")
ANSWER_TIMEOUT_S = 5.0  # IPMI 2.0, table 4: a BMC answers within 5 s
LARGEST_BYTES = 272  # IPMI_MAX_MSG_LENGTH
SYSTEM_INTERFACE, BMC_CHANNEL = 0x0C, 0x0F
RESPONSE = 1  # IPMI_RESPONSE_RECV_TYPE


class Address(ctypes.Structure):
    """struct ipmi_system_interface_addr, in the room of struct ipmi_addr."""

    _fields_ = (("kind", ctypes.c_int), ("channel", ctypes.c_short), ("rest", ctypes.c_ubyte * 32))


class Message(ctypes.Structure):
    """struct ipmi_msg."""

    _fields_ = (
        ("netfn", ctypes.c_ubyte),
        ("command", ctypes.c_ubyte),
        ("length", ctypes.c_ushort),
        ("data", ctypes.c_void_p),
    )


class Request(ctypes.Structure):
    """struct ipmi_req."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("address_length", ctypes.c_uint),
        ("number", ctypes.c_long),
        ("message", Message),
    )


class Received(ctypes.Structure):
    """struct ipmi_recv."""

    _fields_ = (
        ("kind", ctypes.c_int),
        ("address", ctypes.c_void_p),
        ("address_length", ctypes.c_uint),
        ("number", ctypes.c_long),
        ("message", Message),
    )


def ioctl_number(direction: int, number: int, argument: type[ctypes.Structure]) -> int:
    """asm-generic/ioctl.h; 2 reads, 3 writes and reads."""
    return direction << 30 | ctypes.sizeof(argument) << 16 | ord("i") << 8 | number


SEND = ioctl_number(2, 13, Request)
RECEIVE = ioctl_number(3, 11, Received)


class RealIpmi:
    """`doors.Ipmi` over the kernel's IPMI message handler."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def is_there(self) -> bool:
        """Whether there is a device."""
        return any(Path(path).is_char_device() for path in DEVICES)

    def ask(self, netfn: int, command: int, data: bytes) -> bytes:
        """One command, and the answer that has its number."""
        doing = f"asking the BMC (netfn {netfn:#x}, command {command:#x}, data {data.hex() or 'none'})"
        with opened(doing) as fd:
            try:
                number = next(self._numbers)
                send(fd, number, netfn, command, data)
                return receive(fd, number)
            except TimeoutError as error:
                raise DeviceError(doing, f"no answer within {ANSWER_TIMEOUT_S:g} s") from error
            except OSError as error:
                raise DeviceError(doing, error.strerror or str(error)) from error


@contextmanager
def opened(doing: str) -> Iterator[int]:
    """The first BMC's device."""
    path = next((path for path in DEVICES if Path(path).is_char_device()), DEVICES[0])
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise DeviceError(doing, f"{path}: {error.strerror}") from error
    try:
        yield fd
    finally:
        os.close(fd)


def send(fd: int, number: int, netfn: int, command: int, data: bytes) -> None:
    """To the BMC itself, over the system interface."""
    address = Address(SYSTEM_INTERFACE, BMC_CHANNEL)
    sent = ctypes.create_string_buffer(data, len(data)) if data else None
    message = Message(netfn, command, len(data), ctypes.addressof(sent) if sent else None)
    fcntl.ioctl(fd, SEND, Request(ctypes.addressof(address), 8, number, message))


def receive(fd: int, number: int) -> bytes:
    """The answer with this number; late answers to others, and events, are dropped."""
    end_s = time.monotonic() + ANSWER_TIMEOUT_S
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while (left_s := end_s - time.monotonic()) > 0 and poll.poll(left_s * 1000):
        address, data = Address(), ctypes.create_string_buffer(LARGEST_BYTES)
        message = Message(0, 0, LARGEST_BYTES, ctypes.addressof(data))
        received = Received(0, ctypes.addressof(address), ctypes.sizeof(address), 0, message)
        fcntl.ioctl(fd, RECEIVE, received, True)
        if (received.kind, received.number) == (RESPONSE, number):
            return data.raw[: received.message.length]
    raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))

# SPDX-License-Identifier: Apache-2.0
"""The door to a NIC's driver: ethtool's ioctl, for commands that read (linux/ethtool.h)."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct

from agent.errors import DeviceError

SIOCETHTOOL = 0x8946
NAME_BYTES = 16
IFREQ = struct.Struct(f"{NAME_BYTES}sP16x")
DRIVER_INFO, MODULE_INFO, MODULE_EEPROM, LINK_SETTINGS = 0x03, 0x42, 0x43, 0x4C
QUESTIONS = frozenset({DRIVER_INFO, MODULE_INFO, MODULE_EEPROM, LINK_SETTINGS})
NOT_SUPPORTED = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENODEV, errno.EIO})
"""Drivers say one of these for a module that is not plugged in, or has no EEPROM."""


class RealEthtool:
    """`doors.Ethtool`."""

    def __call__(self, link: str, request: bytes) -> bytes | None:
        """One question."""
        command = int.from_bytes(request[:4], "little")
        doing = f"asking the driver of {link} (ethtool {command:#04x})"
        if command not in QUESTIONS:
            raise DeviceError(doing, "this is no question, but would change something")
        room = ctypes.create_string_buffer(request, len(request))
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as talk:
                fcntl.ioctl(talk, SIOCETHTOOL, IFREQ.pack(os.fsencode(link), ctypes.addressof(room)))
        except OSError as error:
            if error.errno in NOT_SUPPORTED and os.path.exists(f"/sys/class/net/{link}"):  # noqa: PTH110
                return None
            raise DeviceError(doing, error.strerror or str(error)) from error
        return room.raw

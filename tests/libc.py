# SPDX-License-Identifier: Apache-2.0
"""Calls that Python 3.11 has no name for: namespaces (namespaces(7)) are of the thread that asks."""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000  # linux/sched.h


def call(name: str, *arguments: bytes | int | None) -> None:
    """A function of libc that gives 0. Raises `OSError`."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")

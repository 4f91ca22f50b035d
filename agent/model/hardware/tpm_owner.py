# SPDX-License-Identifier: Apache-2.0
"""Whether somebody owns a TPM 2.0, and the command that ends it, bytes ↔ values (TPM 2.0 Library, part 3). Pure.

TPM2_Clear removes an owner's passwords, keys and indices, and makes a new storage hierarchy. It needs the lockout's
password, which is empty unless an owner has set it, or the platform's, which firmware throws away before an OS runs.
"""

from __future__ import annotations

import struct

from agent.errors import DecodeError
from agent.model.hardware.tpm import (
    GET_CAPABILITY,
    HEADER,
    PASSWORD_SESSION,
    PLAIN,
    PROPERTIES,
    WITH_SESSIONS,
    ask_handles,
    handles,
    properties,
)
from agent.model.hardware.tpm import code as response_code

CLEAR = 0x126
LOCKOUT, PLATFORM = 0x4000000A, 0x4000000C
PERMANENT = 0x200
PASSWORDS = {"owner": 1 << 0, "endorsement": 1 << 1, "lockout": 1 << 2}
"""Of TPMA_PERMANENT (part 2, section 8.6): whose password is set."""
DISABLE_CLEAR = 1 << 8
PERSISTENT, OF_PLATFORM, NV_FIRST, MOST = 0x81000000, 0x81800000, 0x01000000, 64
"""First handles of an owner's keys, of the platform's, and of indices (part 2, section 7.5); so many are asked for."""
PLATFORM_CREATED = 1 << 30
"""Of TPMA_NV (part 2, section 13.4): the firmware's, which TPM2_Clear leaves, and no OS can make."""


def ask_permanent() -> bytes:
    """For TPM_PT_PERMANENT alone."""
    body = struct.pack(">III", PROPERTIES, PERMANENT, 1)
    return HEADER.pack(PLAIN, HEADER.size + len(body), GET_CAPABILITY) + body


def owned_by(response: bytes) -> tuple[str, ...]:
    """Whose passwords are set: none on a TPM that nobody owns. Raises `DecodeError`."""
    told = properties(response)
    if PERMANENT not in told:
        raise DecodeError("reading who owns the TPM", "it does not say")
    return tuple(name for name, bit in PASSWORDS.items() if told[PERMANENT] & bit)


def ask_keys() -> bytes:
    """For persistent keys."""
    return ask_handles(PERSISTENT, MOST)


def ask_indices() -> bytes:
    """For what is kept in its memory."""
    return ask_handles(NV_FIRST, MOST)


def owners_keys(response: bytes) -> tuple[str, ...]:
    """Keys that an owner may have left, also one without a password: not the platform's. Raises `DecodeError`."""
    return tuple(f"key {one:#010x}" for one in handles(response) if PERSISTENT <= one < OF_PLATFORM)


def clear(authority: int) -> bytes:
    """By an empty password."""
    session = struct.pack(">IHBH", PASSWORD_SESSION, 0, 0, 0)
    body = struct.pack(">II", authority, len(session)) + session
    return HEADER.pack(WITH_SESSIONS, HEADER.size + len(body), CLEAR) + body


def refusal(response: bytes) -> int:
    """The response's code; 0 is done. Raises `DecodeError`."""
    return response_code(response, "clearing the TPM")

# SPDX-License-Identifier: Apache-2.0
"""Sealing a secret to a TPM 2.0, and having it back: the commands of both, in turn, bytes ↔ values (TPM 2.0 Library,
part 3). Pure.

The parent is the storage primary of TCG's template (ECC P-256), made anew each time of the seed that the TPM has: so
nothing is kept in it, and what was sealed is worth nothing once it is cleared, or without it. No PCR is part of it: an
update of firmware or boot loader would lose the key, and who boots another system on the machine is root there anyway.
What a TPM answers crosses its bus in the clear: this is against copies of a disk, not against probes on the mainboard.
"""

from __future__ import annotations

import struct
from collections.abc import Generator

from agent.errors import DecodeError, SealRefused
from agent.model.hardware.tpm import HEADER, OWNER, PASSWORD_SESSION, PLAIN, WITH_SESSIONS, code

CREATE_PRIMARY, CREATE, LOAD, UNSEAL, FLUSH_CONTEXT = 0x131, 0x153, 0x157, 0x15E, 0x165
LARGEST_SECRET_BYTES = 128
"""MAX_SYM_DATA: of what is sealed, on every TPM."""
ECC, KEYED_HASH, SHA256, AES, CFB, NULL, P256 = 0x0023, 0x0008, 0x000B, 0x0006, 0x0043, 0x0010, 0x0003
BOUND, NO_DICTIONARY = 0x0002 | 0x0010 | 0x0040, 0x0400
"""fixedTPM, fixedParent, userWithAuth; noDA: a lockout by somebody's wrong guesses is none for us."""
STORES = 0x0020 | 0x10000 | 0x20000
"""sensitiveDataOrigin, restricted, decrypt."""
FORMAT_ONE = 0x80
"""Of a response's code: it is about what was sent (part 2, section 6.6)."""
DOING = "sealing a key to the TPM"
UNSEALING = "unsealing a key by the TPM"

Dialogue = Generator[bytes, bytes, bytes]
"""Yields commands, is sent the responses, returns what came of it. Raises `DecodeError`, `SealRefused`."""


def sealing(secret: bytes) -> Dialogue:
    """Returns what only this TPM makes the secret of again."""
    if len(secret) > LARGEST_SECRET_BYTES:
        raise DecodeError(DOING, f"a secret of {len(secret)} bytes is too long")
    parent = handle((yield primary()), DOING)
    public = struct.pack(">HHIHHH", KEYED_HASH, SHA256, BOUND | NO_DICTIONARY, 0, NULL, 0)
    body = parameters((yield command(CREATE, parent, sensitive(secret) + sized(public) + NOTHING_ELSE)), DOING)
    private, rest = taken(body, DOING)
    shown, _ = taken(rest, DOING)
    if not private or not shown:
        raise DecodeError(DOING, "the TPM has made nothing")
    yield flush(parent)
    return sized(private) + sized(shown)


def unsealing(sealed: bytes) -> Dialogue:
    """Returns the secret."""
    private, rest = taken(sealed, UNSEALING)
    shown, behind = taken(rest, UNSEALING)
    if behind:
        raise DecodeError(UNSEALING, f"{len(behind)} bytes are too many")
    parent = handle((yield primary()), UNSEALING)
    item = handle((yield command(LOAD, parent, sized(private) + sized(shown))), UNSEALING)
    secret, _ = taken(parameters((yield command(UNSEAL, item)), UNSEALING), UNSEALING)
    yield flush(item)
    yield flush(parent)
    return secret


def primary() -> bytes:
    """For the storage primary, by the owner's empty password."""
    public = struct.pack(">HHIH", ECC, SHA256, BOUND | NO_DICTIONARY | STORES, 0)
    public += struct.pack(">HHHHHH", AES, 128, CFB, NULL, P256, NULL) + sized(b"") + sized(b"")
    return command(CREATE_PRIMARY, OWNER, sensitive(b"") + sized(public) + NOTHING_ELSE)


def command(number: int, of: int, body: bytes = b"") -> bytes:
    """To this handle, with an empty password."""
    session = struct.pack(">IHBH", PASSWORD_SESSION, 0, 0, 0)
    whole = struct.pack(">II", of, len(session)) + session + body
    return HEADER.pack(WITH_SESSIONS, HEADER.size + len(whole), number) + whole


def flush(of: int) -> bytes:
    """What was loaded is not needed any more."""
    return HEADER.pack(PLAIN, HEADER.size + 4, FLUSH_CONTEXT) + struct.pack(">I", of)


def sized(content: bytes) -> bytes:
    """A TPM2B."""
    return struct.pack(">H", len(content)) + content


def sensitive(data: bytes) -> bytes:
    """TPM2B_SENSITIVE_CREATE: no password, and what is to be kept."""
    return sized(sized(b"") + sized(data))


def taken(body: bytes, doing: str) -> tuple[bytes, bytes]:
    """The TPM2B at the beginning, and what is behind it. Raises `DecodeError`."""
    size = int.from_bytes(body[:2])
    if len(body) < 2 + size or len(body) < 2:
        raise DecodeError(doing, f"it ends after {len(body)} of {2 + size} bytes")
    return body[2 : 2 + size], body[2 + size :]


def handle(response: bytes, doing: str) -> int:
    """Of what was made or loaded. Raises `DecodeError`, `SealRefused`."""
    return int.from_bytes(answered(response, doing)[:4])


def parameters(response: bytes, doing: str) -> bytes:
    """Of an answer without a handle. Raises `DecodeError`, `SealRefused`."""
    return answered(response, doing)[4:]


def answered(response: bytes, doing: str) -> bytes:
    """What is behind the header. Raises `SealRefused` if the TPM says that it is not for it, `DecodeError` else."""
    failed = code(response, doing)
    if failed & FORMAT_ONE:
        raise SealRefused(doing, f"the TPM answered {failed:#x}")
    if failed or len(response) < HEADER.size + 4:
        raise DecodeError(doing, f"the TPM answered {failed:#x} with {len(response)} bytes")
    return response[HEADER.size :]


NOTHING_ELSE = struct.pack(">HI", 0, 0)
"""No outside info, no PCRs of creation."""

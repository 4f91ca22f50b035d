# SPDX-License-Identifier: Apache-2.0
"""Questions to a TPM 2.0 and its answers, bytes ↔ values (TCG TPM 2.0 Library, part 3). Pure.

Whatever the bytes are, the answer is a value or `DecodeError`. Nothing here needs an owner's password: certificates are
read by the index's own empty one, as their makers define them (TCG EK Credential Profile 2.5, section 2.2.1.4).
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import NamedTuple

from pydantic import Field

from agent.errors import DecodeError
from agent.model.frozen import Frozen

PLAIN, WITH_SESSIONS = 0x8001, 0x8002
NV_READ, NV_READ_PUBLIC, GET_CAPABILITY = 0x14E, 0x169, 0x17A
HANDLES, PROPERTIES = 1, 6
MANUFACTURER, VENDOR_TEXT, FIRMWARE_HIGH, FIRMWARE_LOW = 0x105, range(0x106, 0x10A), 0x10B, 0x10C
PASSWORD_SESSION, OWNER = 0x40000009, 0x40000001
OWNER_READS, INDEX_READS, IS_WRITTEN = 1 << 17, 1 << 18, 1 << 29
CERTIFICATES = {
    "rsa2048": 0x01C00002,
    "ecc_p256": 0x01C0000A,
    "ecc_p384": 0x01C00016,
    "rsa3072": 0x01C0001C,
}
"""EK Credential Profile 2.5, section 2.2.1.4 and 2.2.1.5."""
HEADER = struct.Struct(">HII")
PIECE_BYTES = 512  # TPM_PT_NV_BUFFER_MAX is at least this on all that are sold
LARGEST_CERTIFICATE_BYTES = 16384
DER_SEQUENCE, DER_LONG = 0x30, 0x82


class EkCertificate(Frozen):
    """The maker's certificate for the endorsement key: what a machine is attested by."""

    key: str = Field(description="rsa2048, ecc_p256 …")
    sha256: str = Field(description="of the certificate in DER, in hexadecimal")
    size_bytes: int

    def __str__(self) -> str:
        return f"{self.key} {self.sha256[:16]}…"


class Tpm(Frozen):
    """A TPM."""

    version: str = Field(description="2.0, 1.2")
    manufacturer: str | None = None
    vendor: str | None = None
    firmware: str | None = None
    certificates: tuple[EkCertificate, ...] = ()


class Public(NamedTuple):
    """What is known of an NV index: how long it is, and by whom it may be read."""

    attributes: int
    size: int

    @property
    def reader(self) -> int | None:
        """Whose authorisation to use: 0 is the index's own."""
        if not self.attributes & IS_WRITTEN:
            return None
        return 0 if self.attributes & INDEX_READS else OWNER if self.attributes & OWNER_READS else None


def ask_properties() -> bytes:
    """The fixed ones, from the manufacturer on."""
    body = struct.pack(">III", PROPERTIES, MANUFACTURER, 8)
    return HEADER.pack(PLAIN, HEADER.size + len(body), GET_CAPABILITY) + body


def ask_public(index: int) -> bytes:
    """What is known of an index."""
    return HEADER.pack(PLAIN, HEADER.size + 4, NV_READ_PUBLIC) + struct.pack(">I", index)


def ask_piece(index: int, reader: int, offset: int, size: int) -> bytes:
    """A piece of what is kept there, with an empty password."""
    session = struct.pack(">IHBH", PASSWORD_SESSION, 0, 0, 0)
    body = struct.pack(">III", reader or index, index, len(session)) + session + struct.pack(">HH", size, offset)
    return HEADER.pack(WITH_SESSIONS, HEADER.size + len(body), NV_READ) + body


def properties(response: bytes) -> dict[int, int]:
    """By property. Raises `DecodeError`."""
    doing = "reading the TPM's properties"
    body = answered(response, doing)
    count = int.from_bytes(body[5:9])
    if len(body) < 9 + 8 * count or int.from_bytes(body[1:5]) != PROPERTIES:
        raise DecodeError(doing, f"{count} of them do not fit into {len(body)} bytes")
    pairs = (struct.unpack_from(">II", body, 9 + 8 * at) for at in range(count))
    return dict(pairs)


def ask_handles(first: int, count: int) -> bytes:
    """Which there are, from the first on (TPM_CAP_HANDLES)."""
    body = struct.pack(">III", HANDLES, first, count)
    return HEADER.pack(PLAIN, HEADER.size + len(body), GET_CAPABILITY) + body


def handles(response: bytes) -> tuple[int, ...]:
    """Those that it listed. Raises `DecodeError`."""
    doing = "reading what the TPM keeps"
    body = answered(response, doing)
    count = int.from_bytes(body[5:9])
    if len(body) < 9 + 4 * count or int.from_bytes(body[1:5]) != HANDLES:
        raise DecodeError(doing, f"{count} handles do not fit into {len(body)} bytes")
    return tuple(int.from_bytes(body[at : at + 4]) for at in range(9, 9 + 4 * count, 4))


def public(response: bytes) -> Public | None:
    """`None` for an index that there is not. Raises `DecodeError`."""
    doing = "reading what the TPM says of a certificate"
    if code(response, doing):
        return None
    body = answered(response, doing)
    if len(body) < 14:
        raise DecodeError(doing, f"{len(body)} bytes are too few")
    policy = int.from_bytes(body[12:14])
    size = body[14 + policy : 16 + policy]
    if len(size) < 2:
        raise DecodeError(doing, "it ends within its policy")
    return Public(attributes=int.from_bytes(body[8:12]), size=int.from_bytes(size))


def piece(response: bytes) -> bytes:
    """What was kept there. Raises `DecodeError`."""
    doing = "reading a certificate from the TPM"
    if failed := code(response, doing):
        raise DecodeError(doing, f"the TPM answered {failed:#x}")
    body = answered(response, doing)[4:]  # the size of the parameters
    length = int.from_bytes(body[:2])
    if len(body) < 2 + length or len(body) < 2:
        raise DecodeError(doing, f"it says that it has {length} bytes, and has {max(0, len(body) - 2)}")
    return body[2 : 2 + length]


def certificate(key: str, raw: bytes) -> EkCertificate:
    """Without the padding behind it. Raises `DecodeError`."""
    if len(raw) < 4 or raw[0] != DER_SEQUENCE or raw[1] != DER_LONG or 4 + int.from_bytes(raw[2:4]) > len(raw):
        raise DecodeError("reading the TPM's certificate", f"it begins with {raw[:4].hex() or 'nothing'}")
    whole = raw[: 4 + int.from_bytes(raw[2:4])]
    return EkCertificate(key=key, sha256=sha256(whole).hexdigest(), size_bytes=len(whole))


def described(told: dict[int, int]) -> Tpm:
    """Who made it, and its firmware."""
    high, low = told.get(FIRMWARE_HIGH), told.get(FIRMWARE_LOW)
    words = b"".join(told.get(number, 0).to_bytes(4) for number in VENDOR_TEXT)
    return Tpm(
        version="2.0",
        manufacturer=letters(told.get(MANUFACTURER, 0).to_bytes(4)),
        vendor=letters(words),
        firmware=None if high is None else f"{high >> 16}.{high & 0xFFFF}.{(low or 0) >> 16}.{(low or 0) & 0xFFFF}",
    )


def letters(raw: bytes) -> str | None:
    """Without padding; what is none is shown as a replacement character."""
    return raw.rstrip(b"\0 ").decode("ascii", errors="replace").replace("\0", " ").strip() or None


def code(response: bytes, doing: str) -> int:
    """0 is good. Raises `DecodeError`."""
    if len(response) < HEADER.size:
        raise DecodeError(doing, f"{len(response)} bytes are no response")
    return int(HEADER.unpack_from(response)[2])


def answered(response: bytes, doing: str) -> bytes:
    """What is behind the header. Raises `DecodeError`."""
    failed = code(response, doing)
    size = HEADER.unpack_from(response)[1]
    if failed or size > len(response) or size < HEADER.size:
        raise DecodeError(doing, f"the TPM answered {failed:#x} with {len(response)} bytes of {size}")
    return response[HEADER.size : size]

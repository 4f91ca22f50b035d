# SPDX-License-Identifier: Apache-2.0
"""Signatures of images, whoever's tool made them: whether a key has signed a manifest. Pure.

Three forms, all of them Ed25519: 64 bytes over the manifest itself; what `ssh-keygen -Y sign -n bms-image` writes
(PROTOCOL.sshsig of OpenSSH); what `minisign -S` writes, legacy or prehashed (its manual, "Signature format"). A key is
trusted, never the one that a signature brings along. One of another namespace was made for something else.
"""

from __future__ import annotations

import hashlib
import struct
from base64 import b64decode, b64encode

from agent.errors import ConfigError, DecodeError
from agent.model.ed25519 import is_signed

RAW_BYTES = 64
LARGEST_BYTES = 4096
NAMESPACE = "bms-image"
SSH_BEGIN, SSH_END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"
SSH_MAGIC, SSH_VERSION, SSH_KIND = b"SSHSIG", 1, b"ssh-ed25519"
SSH_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
MINISIGN_BEGIN, TRUSTED = b"untrusted comment:", b"trusted comment: "
MINISIGN_LEGACY, MINISIGN_HASHED = b"Ed", b"ED"
KEY_BYTES = 32
READING = "reading an image's signature"


def raw_key(text: str) -> str:
    """A public key as OpenSSH or minisign has it, or as we do: the raw 32 bytes in base64. Raises `ConfigError`."""
    words = text.split()
    try:
        data = b64decode(words[1] if words[:1] == [SSH_KIND.decode()] else text.strip(), validate=True)
        if len(data) == 2 + 8 + KEY_BYTES and data.startswith(MINISIGN_LEGACY):
            data = data[-KEY_BYTES:]
        elif data.startswith(field(SSH_KIND)):
            data = key_of_ssh(data)
    except (ValueError, IndexError, DecodeError) as error:
        raise ConfigError("reading a trusted key", "it is no Ed25519 key in base64") from error
    if len(data) != KEY_BYTES:
        raise ConfigError("reading a trusted key", "it is not 32 bytes in base64")
    return b64encode(data).decode()


def is_form(signature: bytes) -> bool:
    """Whether it begins as one of them does, and is no longer than any."""
    is_text = len(signature) <= LARGEST_BYTES and signature.startswith((SSH_BEGIN, MINISIGN_BEGIN))
    return len(signature) == RAW_BYTES or is_text


def is_signed_by(payload: bytes, signature: bytes, key: str) -> bool:
    """Whether that key (raw, base64) made it, of whichever form. What is none, signs nothing."""
    try:
        if len(signature) == RAW_BYTES:
            return is_signed(payload, signature, key)
        if signature.startswith(SSH_BEGIN):
            return by_ssh(payload, signature, key)
        return by_minisign(payload, signature, key)
    except (DecodeError, ValueError):
        return False


def by_ssh(payload: bytes, armored: bytes, key: str) -> bool:
    """Raises `DecodeError`, `ValueError`."""
    begin, _, rest = armored.strip().partition(b"\n")
    inside, mark, after = rest.rpartition(SSH_END)
    if begin.strip() != SSH_BEGIN or not mark or after:
        raise DecodeError(READING, "its armor is broken")
    blob = b64decode(b"".join(inside.split()), validate=True)
    version = struct.pack(">I", SSH_VERSION)
    if not blob.startswith(SSH_MAGIC + version):
        raise DecodeError(READING, "it is of another version")
    its_key, namespace, reserved, hash_name, signed = fields(blob[len(SSH_MAGIC) + len(version) :], 5)
    kind, made = fields(signed, 2)
    if namespace != NAMESPACE.encode() or hash_name not in SSH_HASHES or kind != SSH_KIND:
        return False
    if b64encode(key_of_ssh(its_key)).decode() != key or len(made) != RAW_BYTES:
        return False
    hashed = SSH_HASHES[hash_name](payload).digest()
    return is_signed(SSH_MAGIC + b"".join(map(field, (namespace, reserved, hash_name, hashed))), made, key)


def key_of_ssh(blob: bytes) -> bytes:
    """The raw one. Raises `DecodeError`."""
    kind, raw = fields(blob, 2)
    if kind != SSH_KIND or len(raw) != KEY_BYTES:
        raise DecodeError(READING, "its key is not one of Ed25519")
    return raw


def field(data: bytes) -> bytes:
    """As SSH writes a string (RFC 4251, section 5)."""
    return struct.pack(">I", len(data)) + data


def fields(data: bytes, count: int) -> list[bytes]:
    """So many strings, and nothing else. Raises `DecodeError`."""
    found, at = [], 0
    for _ in range(count):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 4 + length
        if at + 4 > len(data) or end > len(data):
            raise DecodeError(READING, "it is cut short")
        found.append(data[at + 4 : end])
        at = end
    if at != len(data):
        raise DecodeError(READING, "something follows it")
    return found


def by_minisign(payload: bytes, text: bytes, key: str) -> bool:
    """Both of its signatures: that of the manifest, and that of the first with the trusted comment. Raises
    `DecodeError`, `ValueError`."""
    lines = text.replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n")
    if len(lines) != 4 or not lines[0].startswith(MINISIGN_BEGIN) or not lines[2].startswith(TRUSTED):
        raise DecodeError(READING, "it is none of minisign's")
    data, both = b64decode(lines[1], validate=True), b64decode(lines[3], validate=True)
    kind, made = data[:2], data[10:]
    if len(made) != RAW_BYTES or len(both) != RAW_BYTES or kind not in (MINISIGN_LEGACY, MINISIGN_HASHED):
        raise DecodeError(READING, "it is none of Ed25519")
    message = hashlib.blake2b(payload).digest() if kind == MINISIGN_HASHED else payload
    return is_signed(message, made, key) and is_signed(made + lines[2].removeprefix(TRUSTED), both, key)

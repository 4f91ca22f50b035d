# SPDX-License-Identifier: Apache-2.0
"""Signatures of Ed25519, and public keys as 44 characters of base64, so that one fits on a kernel command line."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from agent.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def public_key(key: Ed25519PrivateKey) -> str:
    """Its public half: the raw 32 bytes in base64."""
    return b64encode(key.public_key().public_bytes_raw()).decode()


def trusted_key(text: str) -> Ed25519PublicKey:
    """The raw 32 bytes, in base64. Raises `ConfigError`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        return Ed25519PublicKey.from_public_bytes(b64decode(text, validate=True))
    except ValueError as error:
        raise ConfigError("reading a trusted key", "it is not 32 bytes in base64") from error


def is_signed(payload: bytes, signature: bytes, key: str) -> bool:
    """Whether the key made this signature."""
    from cryptography.exceptions import InvalidSignature

    try:
        trusted_key(key).verify(signature, payload)
    except InvalidSignature:
        return False
    return True

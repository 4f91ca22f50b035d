# SPDX-License-Identifier: Apache-2.0
"""Signatures of manifests: Ed25519 over the payload. The private key is PEM; a public one is 44 characters of base64,
so that it fits on a kernel command line.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.errors import ConfigError, SignatureMissing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MAKE_KEY = "openssl genpkey -algorithm ed25519 -out KEY.pem makes one."


def signing_key(pem: bytes) -> Ed25519PrivateKey:
    """A private key, without a passphrase. Raises `ConfigError`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:  # TypeError: it has a passphrase
        raise ConfigError(
            "reading the signing key", "it is no private key in PEM without a passphrase", hint=MAKE_KEY
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError("reading the signing key", "it is not one of Ed25519", hint=MAKE_KEY)
    return key


def public_key(key: Ed25519PrivateKey) -> str:
    """Its public half, as `image_keys` takes it: the raw 32 bytes in base64."""
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


def must_be_signed(payload: bytes, signature: bytes | None, trusted: Sequence[str], doing: str) -> None:
    """Raises `SignatureMissing` unless one of these keys signed it; without any key, all is well."""
    if not trusted:
        return
    if signature is None:
        raise SignatureMissing(doing, "the image has no signature")
    if not any(is_signed(payload, signature, key) for key in trusted):
        raise SignatureMissing(doing, f"none of the {len(trusted)} trusted keys made its signature")

# SPDX-License-Identifier: Apache-2.0
"""Signatures of manifests: Ed25519 over the payload, keys as PEM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.errors import ConfigError, SignatureMissing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def signing_key(pem: bytes) -> Ed25519PrivateKey:
    """A private key, without a passphrase. Raises `ConfigError`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:  # TypeError: it has a passphrase
        raise ConfigError("reading the signing key", "it is no private key in PEM without a passphrase") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError("reading the signing key", "it is not one of Ed25519")
    return key


def trusted_key(pem: str) -> Ed25519PublicKey:
    """A public key. Raises `ConfigError`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError("reading a trusted key", "it is no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError("reading a trusted key", "it is not one of Ed25519")
    return key


def is_signed(payload: bytes, signature: bytes, pem: str) -> bool:
    """Whether the key made this signature."""
    from cryptography.exceptions import InvalidSignature

    try:
        trusted_key(pem).verify(signature, payload)
    except InvalidSignature:
        return False
    return True


def must_be_signed(payload: bytes, signature: bytes | None, trusted: Sequence[str], doing: str) -> None:
    """Raises `SignatureMissing` unless one of these keys signed it; without any key, all is well."""
    if not trusted:
        return
    if signature is None:
        raise SignatureMissing(doing, "the image has no signature")
    if not any(is_signed(payload, signature, pem) for pem in trusted):
        raise SignatureMissing(doing, f"none of the {len(trusted)} trusted keys made its signature")

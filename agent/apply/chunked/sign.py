# SPDX-License-Identifier: Apache-2.0
"""Signatures of manifests: made by an Ed25519 key in PEM or of OpenSSH's, and looked at in any form that is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.errors import ConfigError, SignatureMissing
from agent.model.image_signature import is_signed_by

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

OPENSSH = b"BEGIN OPENSSH PRIVATE KEY"
MAKE_KEY = "openssl genpkey -algorithm ed25519 -out KEY.pem makes one."


def signing_key(pem: bytes) -> Ed25519PrivateKey:
    """A private key, without a passphrase. Raises `ConfigError`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    try:
        key = (load_ssh_private_key if OPENSSH in pem else load_pem_private_key)(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it has a passphrase
        raise ConfigError(
            "reading the signing key", "it is no private key in PEM without a passphrase", hint=MAKE_KEY
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError("reading the signing key", "it is not one of Ed25519", hint=MAKE_KEY)
    return key


def must_be_signed(payload: bytes, signature: bytes | None, trusted: Sequence[str], doing: str) -> None:
    """Raises `SignatureMissing` unless one of these keys signed it; without any key, all is well."""
    if not trusted:
        return
    if signature is None:
        raise SignatureMissing(doing, "the image has no signature")
    if not any(is_signed_by(payload, signature, key) for key in trusted):
        raise SignatureMissing(doing, f"none of the {len(trusted)} trusted keys made its signature")

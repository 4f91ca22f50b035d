# SPDX-License-Identifier: Apache-2.0
"""Secrets: a key file from which every credential and nonce is derived, so that the database holds none of them.

The same purpose and subject give the same secret again: an answer that was lost can be repeated. What holds a secret
and has to be kept as it was said is sealed. Whoever reads the database alone can impersonate nobody.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from agent.controller.durable import settle

KEY_BYTES = 32


class Keys:
    """Derives secrets from one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def derive(self, purpose: str, *subject: str) -> str:
        """A secret of 256 bits for this purpose and subject; URL-safe text."""
        message = "\0".join((purpose, *subject)).encode()
        return base64.urlsafe_b64encode(hmac.digest(self._key, message, "sha256")).decode().rstrip("=")

    def sealed(self, text: str, purpose: str, *subject: str) -> str:
        """That text, to be read by this key alone."""
        return self._box(purpose, *subject).encrypt(text.encode()).decode()

    def opened(self, sealed: str, purpose: str, *subject: str) -> str | None:
        """What was sealed for this purpose and subject; None if it was not, or by another key."""
        try:
            return self._box(purpose, *subject).decrypt(sealed.encode()).decode()
        except InvalidToken:
            return None

    def _box(self, purpose: str, *subject: str) -> Fernet:
        return Fernet(f"{self.derive(purpose, *subject)}=")


def digest(secret: str) -> str:
    """What is kept of a secret. It has 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def load_key(path: Path) -> Keys:
    """The key in this file, made on first use."""
    return Keys(kept(path, lambda: secrets.token_bytes(KEY_BYTES)))


def load_token(path: Path) -> str:
    """The administrator's token in this file, made on first use."""
    return kept(path, lambda: secrets.token_urlsafe(KEY_BYTES).encode() + b"\n").decode().strip()


def kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """The file's content, made on first use: readable by its owner alone, and whole or not there at all; once it is
    used, it is there after a power cut, too.
    """
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process on the same directory was faster: its key is ours
            path.hardlink_to(draft)
        draft.unlink()
        settle(path.parent)
    return path.read_bytes()

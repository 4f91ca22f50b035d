# SPDX-License-Identifier: Apache-2.0
"""The node's own key: made on this machine, kept on it, never sent; and calls that are signed with it."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from email.utils import parsedate_to_datetime

from agent.errors import HostError
from agent.host.doors import Files
from agent.model import signature
from agent.model.fault import Fault
from agent.model.signature import signed_text

FILE = "node-key"
KEY_BYTES = 32


class NodeKey:
    """An Ed25519 key."""

    def __init__(self, private: bytes) -> None:
        """The 32 bytes of it."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # Ironic's ramdisk needs none

        self.secret = private
        self.fault: Fault | None = None
        """What is wrong with how it is kept."""
        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self.public = base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    @property
    def fingerprint(self) -> str:
        """By which people know it."""
        return signature.fingerprint(self.public)

    def sign(self, text: bytes) -> str:
        """Base64 of the signature."""
        return base64.b64encode(self._key.sign(text)).decode()


def node_key(files: Files, directory: str, name: str = FILE) -> NodeKey:
    """The one in this directory, made on first use; of the ramdisk it lives as long as the boot. Raises `HostError`."""
    path = f"{directory}/{name}"
    if not files.exists(path):
        files.write(path, secrets.token_bytes(KEY_BYTES), mode=0o600)
    private = files.read_bytes(path)
    if len(private) != KEY_BYTES:
        raise HostError(
            f"reading {path}",
            "it is no key",
            hint="Remove the file, and start the agent: bmsctl node approve binds the new key.",
        )
    return NodeKey(private)


class Signing:
    """Signs every call of a client."""

    def __init__(self, key: NodeKey, credential: str, session_id: str) -> None:
        self._key = key
        self._credential = credential
        self._session_id = session_id
        self._ahead_s = 0.0
        """Of the controller's clock, before this machine's."""

    def headers(self, method: str, target: str, body: bytes) -> dict[str, str]:
        """Of a call to this path and query, as the controller sees them: a proxy may be before it."""
        headers = {
            signature.KEY: self._key.public,
            signature.TIME: str(int(self.now_s())),
            signature.NONCE: secrets.token_hex(16),
            signature.SESSION: self._session_id,
            signature.DIGEST: hashlib.sha256(body).hexdigest(),
        }
        text = signed_text(method, target, headers, self._credential)
        return headers | {signature.SIGNATURE: self._key.sign(text)}

    def now_s(self) -> float:
        """By the controller's clock, as far as it is known."""
        return time.time() + self._ahead_s

    def learn(self, told: str | None) -> bool:
        """What time it is, from the header Date of a refusal; whether it was told. A machine's own clock may be years
        off."""
        try:
            now_s = parsedate_to_datetime(told).timestamp() if told else None
        except (ValueError, OverflowError):
            return False
        if now_s is None:
            return False
        self._ahead_s = now_s - time.time()
        return True

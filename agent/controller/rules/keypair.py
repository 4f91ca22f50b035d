# SPDX-License-Identifier: Apache-2.0
"""Public keys: whether a text is one, and its fingerprint."""

from __future__ import annotations

import base64
import hashlib

from agent.controller.refusal import BadKey

KINDS = frozenset(
    {
        "ssh-rsa",
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)


def fingerprint(public_key: str) -> str:
    """OpenSSH's SHA-256 fingerprint of a line of authorized_keys without options. Raises `BadKey`."""
    doing = "reading the public key"
    words = public_key.split()
    if len(public_key.strip().splitlines()) != 1 or len(words) < 2:
        raise BadKey(doing, "it is not one line: TYPE BASE64 [COMMENT]")
    kind, text = words[:2]
    if kind not in KINDS:
        raise BadKey(doing, "it is not a type of public key that OpenSSH knows")
    try:
        blob = base64.b64decode(text, validate=True)
    except ValueError:  # binascii's, and that for what is not even ASCII
        raise BadKey(doing, "its second word is not base64") from None
    name = kind.encode()
    if blob[: 4 + len(name)] != len(name).to_bytes(4, "big") + name:  # RFC 4253, section 6.6
        raise BadKey(doing, f"what it holds is not of type {kind}")
    return f"SHA256:{base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip('=')}"

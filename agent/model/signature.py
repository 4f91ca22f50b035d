# SPDX-License-Identifier: Apache-2.0
"""How an agent's calls are signed with its node's own key, so that what is read on the wire or copied off a config
drive speaks for nobody.

Whatever certificate a connection is opened with besides, the signature decides: a certificate ends at whatever ends the
TLS (a proxy, a load balancer), and is judged by a clock that a machine without a battery does not have. This one
reaches the controller itself by any way, over HTTP and HTTPS alike, and is over the moment that the controller
forgets the key. It is Ed25519 (RFC 8032) over the lines of `signed_text`; the idea is that of DPoP (RFC 9449).
"""

from __future__ import annotations

import base64
import hashlib

KEY = "BMS-Key"
"""The node's public key, base64."""
TIME = "BMS-Time"
"""Seconds since 1970 by the controller's clock, as far as the agent knows it."""
NONCE = "BMS-Nonce"
"""Of this one call."""
SESSION = "BMS-Session"
"""Which run of the agent calls."""
DIGEST = "BMS-Digest"
"""SHA-256 of the body, in hexadecimal."""
SIGNATURE = "BMS-Signature"
"""Base64 of 64 bytes."""
HEADERS = (KEY, TIME, NONCE, SESSION, DIGEST)
"""All of them are signed."""
CREDENTIAL = "Authorization"
CLOCK_CODE = "AGENT.CLOCK"
"""Of the refusal that tells an agent what time it is, in the header Date."""
TOLERATED_S = 300


def signed_text(method: str, target: str, headers: dict[str, str], credential: str) -> bytes:
    """What is signed: the whole call. `target` is the path with its query; the credential is in it by its digest."""
    told = [f"{name.lower()}: {headers[name]}" for name in HEADERS]
    bearer = hashlib.sha256(credential.encode()).hexdigest()
    return "\n".join(("bms-agent call 1", f"{method.upper()} {target}", *told, f"credential: {bearer}")).encode()


def fingerprint(public_key: str) -> str:
    """Of a key in base64: short enough to be read aloud, 60 bits long. Two people compare it on two screens."""
    text = base64.b32encode(hashlib.sha256(base64.b64decode(public_key)).digest()).decode()[:12]
    return "-".join(text[at : at + 4] for at in range(0, 12, 4))

# SPDX-License-Identifier: Apache-2.0
"""Which node calls: by the credential that it was given, and by the key that it made itself, which signs every call.

A credential is bound to the key that it is first used with, and from then on is worth nothing without it. One that is
not bound yet may come unsigned: agents of earlier releases have no key.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.controller.context import Controller
from agent.controller.flow import rekey
from agent.controller.flow.certify import Purpose, must_show
from agent.controller.keys import digest
from agent.controller.records.node import Credential
from agent.controller.refusal import AgentUnauthorized, ClockOff
from agent.model.signature import DIGEST, HEADERS, KEY, NONCE, SESSION, SIGNATURE, TIME, TOLERATED_S, signed_text

DOING = "authenticating an agent"
NONCE_FORM = re.compile(r"[0-9a-f]{32}")
TIME_FORM = re.compile(r"[0-9]{1,12}")
LOST = "If its OS has lost its key, an operator binds the one that it has now: bmsctl node approve NODE FINGERPRINT."


@dataclass(frozen=True, repr=False)
class Call:
    """What came, as far as it matters for who called. `body` is None where it is not read as a whole: its digest, which
    is signed, is then compared with nothing."""

    method: str
    target: str
    headers: Mapping[str, str]
    credential: str
    body_sha256: str | None
    certificate: bytes | None = None
    """By which its connection was opened, DER."""
    secured: bool = False
    """It came over TLS."""


def known_agent(controller: Controller, call: Call, what: Purpose = "calling") -> Credential:
    """Whose it is. Raises `AgentUnauthorized`, `ClockOff`, `CertificateRefused`."""
    with controller.read() as tx:
        credential = tx.credentials.get(digest(call.credential))
        node = tx.nodes.get(credential.node_id) if credential else None
    if credential is None or node is None:
        raise AgentUnauthorized(DOING, "its credential is not known")
    if node.revoked:
        raise AgentUnauthorized(DOING, f"{node.name} is revoked", hint="An operator lets it in: bmsctl node approve.")
    key = signed_by(controller, call)
    if credential.public_key is not None and key != credential.public_key:
        if key is not None and credential.mode == "service":  # a ramdisk has another one each boot, and enrols with it
            rekey.remember(controller, credential, key)
        raise AgentUnauthorized(DOING, "the call is not signed with the node's key", hint=LOST)
    used = credential.model_copy(update={"signed_by": key, "session_id": call.headers.get(SESSION) if key else None})
    must_show(controller, node, used, call.certificate, what, secured=call.secured)
    return used


def signed_by(controller: Controller, call: Call) -> str | None:
    """The public key of whoever signed the call; None for one without a signature. Raises `AgentUnauthorized`,
    `ClockOff`."""
    if SIGNATURE not in call.headers:
        return None
    headers = {name: call.headers.get(name, "") for name in HEADERS}
    if not TIME_FORM.fullmatch(headers[TIME]) or not NONCE_FORM.fullmatch(headers[NONCE]):
        raise AgentUnauthorized(DOING, "its signature has no time or no nonce")
    if call.body_sha256 not in (None, headers[DIGEST]):
        raise AgentUnauthorized(DOING, "the body is not the one that was signed")
    text = signed_text(call.method, call.target, headers, call.credential)
    if not is_signed(text, call.headers[SIGNATURE], headers[KEY]):
        raise AgentUnauthorized(DOING, "its signature is wrong")
    now_s = controller.clock.now().timestamp()
    if abs(now_s - int(headers[TIME])) > TOLERATED_S:
        raise ClockOff(DOING, f"its clock is {int(headers[TIME]) - now_s:+.0f} s off ours")
    began = controller.clock.jumped_at or controller.started_at
    if int(headers[TIME]) < int(began.timestamp()):  # whether it was made before, nobody here remembers
        raise ClockOff(DOING, "it was signed before this controller began")
    if not controller.nonces.is_new(headers[KEY] + headers[NONCE], now_s, 2 * TOLERATED_S):
        raise AgentUnauthorized(DOING, "the same call was made before")
    return headers[KEY]


def is_signed(text: bytes, signature: str, public_key: str) -> bool:
    """Whether this key signed it; what is no key or no signature signs nothing."""
    try:
        key = base64.b64decode(public_key, validate=True)
        if base64.b64encode(key).decode() != public_key:
            return False  # one key, one form: it is compared as text
        Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(signature, validate=True), text)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True

# SPDX-License-Identifier: Apache-2.0
"""The node's certificate, by which connections to the controller are opened over TLS: fetched when a process of the
agent first calls, and renewed in time.

It is of a key that is made for it, in this process's memory, and dies with it: so the node's own key stays with who
signs, whoever does TLS, and no disk has either of them. That it is the node's says the call by which it is fetched,
which is signed with the node's key: `agent.link.client` makes it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from agent.errors import AgentError, CertificateNotRenewed, DecodeError
from agent.model.fault import Fault
from agent.program.log import Logger

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

RENEWED_AT = 2 / 3
"""Of its life."""
RETRY_S = 300.0

log = Logger("link")


@dataclass(frozen=True, repr=False)
class Shown:
    """A certificate, and its dates in seconds since 1970. `pem` has its key, too."""

    pem: str
    begins_s: float
    ends_s: float


class NodeCertificates:
    """The one that is good now. All clients of a process may have this in common."""

    def __init__(self) -> None:
        self.lock = Lock()
        """Of whoever fetches a new one."""
        self.shown: Shown | None = None
        self.fault: Fault | None = None
        self._not_before_s = 0.0

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # Ironic's ramdisk needs none

        return Ed25519PrivateKey.generate()

    @property
    def public(self) -> str:
        """The key that is to be certified, base64."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def is_due(self, now_s: float, monotonic_s: float) -> bool:
        """Whether one is to be fetched, with time to spare; what failed is tried again in minutes."""
        if monotonic_s < self._not_before_s:
            return False
        shown = self.shown
        return shown is None or now_s >= shown.begins_s + (shown.ends_s - shown.begins_s) * RENEWED_AT

    def failed(self, error: AgentError, monotonic_s: float) -> None:
        """One was due, and not given. While there is none at all, the controller knows why."""
        self._not_before_s = monotonic_s + RETRY_S
        log.warning("no new certificate", error=str(error))
        if self.shown is not None:
            ends = datetime.fromtimestamp(self.shown.ends_s, UTC)
            told = f"it ends at {ends:%Y-%m-%d %H:%M:%S} UTC, and no new one was given: {error}"
            self.fault = Fault.of(CertificateNotRenewed("renewing this node's certificate", told))

    def take(self, pem: str) -> None:
        """This is the newest. Raises `DecodeError` for one that is not of our key."""
        self.shown, self.fault, self._not_before_s = read(pem, self._key), None, 0.0
        log.info("node certificate", ends=datetime.fromtimestamp(self.shown.ends_s, UTC).isoformat())


def read(pem: str, key: Ed25519PrivateKey) -> Shown:
    """With its key. Raises `DecodeError` if it is none, or none of this key."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    doing = "reading this node's certificate"
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        is_ours = certificate.public_key() == key.public_key()
    except (ValueError, TypeError) as error:
        raise DecodeError(doing, "it is none") from error
    if not is_ours:
        raise DecodeError(doing, "it is another key's")
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    return Shown(
        text.decode(), certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    )

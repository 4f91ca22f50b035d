# SPDX-License-Identifier: Apache-2.0
"""The certificate of an erasure: what came of each disk of a machine, signed by the agent that saw it.

The text is kept as it was signed: whoever has it and the key can check it without us (Ed25519 over its bytes).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from agent.errors import CertificateForged, ConfigError, DecodeError
from agent.model.ed25519 import is_signed, public_key
from agent.model.erasing import Erasure
from agent.model.frozen import Frozen, decode

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

IN_RESULT = "certificate"
"""Under which name a job's result has it."""
DOING = "reading a certificate of erasure"


class Certificate(Frozen):
    """What was signed."""

    version: Literal[1] = 1
    node_id: str
    request_id: str
    boot_id: str
    agent_version: str
    machine_serial: str | None = None
    issued_at: datetime
    disks: tuple[Erasure, ...]
    quarantined: tuple[str, ...] = Field(default=(), description="serials, or WWNs, of disks that may hold data still")
    firmware: dict[str, str] = Field(default_factory=dict, description="versions at that time, by what they run on")

    @property
    def is_clean(self) -> bool:
        """Every disk of it is erased, and proven so."""
        return bool(self.disks) and all(one.is_proven for one in self.disks)


class SignedCertificate(Frozen):
    """With its signature; `key` is of the boot that made it."""

    certificate: str = Field(description="JSON, byte for byte as it was signed")
    key: str
    signature: str

    def opened(self) -> Certificate:
        """What it says. Raises `CertificateForged` where the signature is not of that key and that text, `DecodeError`
        where it cannot be read.
        """
        try:
            good = is_signed(self.certificate.encode(), b64decode(self.signature, validate=True), self.key)
        except (ValueError, ConfigError) as error:
            raise DecodeError(DOING, f"its key or its signature cannot be read: {error}") from error
        if not good:
            raise CertificateForged(DOING, "it is not what was signed")
        return decode(Certificate, self.certificate, DOING)


def signed(certificate: Certificate, key: Ed25519PrivateKey) -> SignedCertificate:
    """By that key."""
    text = certificate.model_dump_json()
    return SignedCertificate(
        certificate=text, key=public_key(key), signature=b64encode(key.sign(text.encode())).decode()
    )

# SPDX-License-Identifier: Apache-2.0
"""Certifying what was erased: by the node's own key, with which its agent signs its calls to a controller, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import __version__
from agent.errors import ConfigError
from agent.host.doors import Files, Host
from agent.host.identity import boot_id
from agent.model.erasing import Erasure
from agent.model.erasing.certificate import Certificate, SignedCertificate, signed
from agent.model.plan import EraseDisks

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

RUNTIME = "/run/bms-agent"
KEY = "node-key"
"""The ramdisk's, of this boot (`agent.link.key`); by hand, or where nobody has made one yet, it is made here."""
KEY_BYTES = 32


def certificate(
    host: Host, step: EraseDisks, disks: tuple[Erasure, ...], quarantined: tuple[str, ...], directory: str
) -> SignedCertificate:
    """Of what came of these disks, by the key that is in that directory. Raises `HostError`, `ConfigError`."""
    text = Certificate(
        node_id=step.node_id,
        request_id=step.request_id,
        boot_id=boot_id(host.files),
        agent_version=__version__,
        machine_serial=step.machine_serial,
        issued_at=host.clock.now(),
        disks=disks,
        quarantined=quarantined,
        firmware=step.firmware,
    )
    return signed(text, node_key(host.files, f"{directory}/{KEY}"))


def node_key(files: Files, path: str) -> Ed25519PrivateKey:
    """As it is kept. Raises `HostError`, `ConfigError`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not files.exists(path):
        made = Ed25519PrivateKey.generate()
        files.write(path, made.private_bytes_raw(), mode=0o600)
        return made
    raw = files.read_bytes(path)
    if len(raw) != KEY_BYTES:
        raise ConfigError(f"reading {path}", f"it has {len(raw)} bytes, a key has {KEY_BYTES}")
    return Ed25519PrivateKey.from_private_bytes(raw)

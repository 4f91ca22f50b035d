# SPDX-License-Identifier: Apache-2.0
"""The node's key in an installed OS: sealed to the machine's TPM, where it has one, so that a copy of the disk has
none.

One that lies on the disk, as an earlier release left it, is sealed at the next start. (The blocks where it lay may hold
it until they are written again.) Where the TPM does not seal, the key is kept as on a machine without one, and that is
told. Where it does not unseal what it has sealed (it was cleared, it is broken or gone, the disk is in another machine)
the key is lost: there is a new one, which an operator binds as any other that a node was not known by.
"""

from __future__ import annotations

import secrets
from threading import Event

import structlog

from agent.errors import DecodeError, DeviceError, HostError, KeyLost, KeyNotSealed, SealRefused
from agent.host.doors import Host
from agent.link.key import FILE, KEY_BYTES, NodeKey, node_key
from agent.model.fault import Fault

SEALED = "node-key.sealed"
LOST = "node-key.lost"
TRIES, PAUSE_S = 4, 3.0
"""A driver may come late, and a TPM be busy with a test of itself."""

log = structlog.get_logger("link")


def service_key(host: Host, directory: str, stop: Event) -> NodeKey:
    """The one in this directory, made on first use. Its `fault` says what is wrong with how it is kept. Raises
    `HostError`."""
    if not host.files.exists(f"{directory}/{SEALED}"):
        return sealed(host, directory)
    try:
        key = unsealed(host, directory, stop)
    except (DeviceError, DecodeError) as error:
        log.error("the key is lost", error=str(error))
        host.files.rename(f"{directory}/{SEALED}", f"{directory}/{LOST}")
        was_there_too = host.files.exists(f"{directory}/{FILE}")  # this process died before it was removed
        key = sealed(host, directory)
        if not was_there_too:
            told = f"{error.evidence}: there is a new one, {key.fingerprint}"
            key.fault = Fault.of(KeyLost("unsealing this node's key", told))
        return key
    host.files.remove(f"{directory}/{FILE}")
    return key


def known_key(host: Host, directory: str) -> NodeKey | None:
    """The one in this directory, if there is one; none is made. Raises `HostError`, `DecodeError`."""
    if host.files.exists(f"{directory}/{SEALED}"):
        return unsealed(host, directory, Event(), tries=1)
    return node_key(host.files, directory) if host.files.exists(f"{directory}/{FILE}") else None


def sealed(host: Host, directory: str) -> NodeKey:
    """The one that is on the disk, or a new one, sealed if there is a TPM that does it. Raises `HostError`."""
    path = f"{directory}/{FILE}"
    try:
        if not host.tpm.is_there():
            return node_key(host.files, directory)
        secret = node_key(host.files, directory).secret if host.files.exists(path) else secrets.token_bytes(KEY_BYTES)
        blob = host.tpm.seal(secret)
        if host.tpm.unseal(blob) != secret:
            raise DeviceError("sealing this node's key", "the TPM gives back another one")
        host.files.write(f"{directory}/{SEALED}", blob, mode=0o600)
        host.files.remove(path)
    except (DeviceError, DecodeError) as error:
        log.warning("the key is not sealed", error=str(error))
        key = node_key(host.files, directory)
        key.fault = Fault.of(KeyNotSealed("sealing this node's key to the TPM", error.evidence))
        return key
    log.info("the key is sealed to the TPM")
    return NodeKey(secret)


def unsealed(host: Host, directory: str, stop: Event, tries: int = TRIES) -> NodeKey:
    """By the TPM. Raises `DeviceError`, `DecodeError`, `HostError`."""
    blob = host.files.read_bytes(f"{directory}/{SEALED}")
    for left in reversed(range(tries)):
        try:
            return NodeKey(whole(host.tpm.unseal(blob)))
        except SealRefused:
            raise
        except (DeviceError, DecodeError):
            if not left or host.clock.wait(stop, PAUSE_S):
                raise
    raise HostError("unsealing this node's key", "it was never tried")


def whole(secret: bytes) -> bytes:
    """Raises `DecodeError`."""
    if len(secret) != KEY_BYTES:
        raise DecodeError("unsealing this node's key", f"it has {len(secret)} bytes")
    return secret

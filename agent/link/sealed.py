# SPDX-License-Identifier: Apache-2.0
"""The node's key in an installed OS: sealed to the machine's TPM, where it has one, so that a copy of the disk has
none.

One that lies on the disk, as an earlier release left it, is sealed at the next start. (The blocks where it lay may hold
it until they are written again.) Where the TPM does not seal, the key is kept as on a machine without one, and that is
told.

Where it does not unseal what it has sealed, there is a spare key, by which the node calls from then on, and which an
operator may bind as any other that a node was not known by: at once where the TPM refuses (it was cleared, or the disk
is in another machine), after some patience where it fails, is busy, or not there. What was sealed is kept all the same
and tried again, and is the node's key until its controller has taken the spare one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event

from agent.errors import DecodeError, DeviceError, KeyLost, KeyNotSealed, KeyWaits, SealRefused
from agent.host.doors import Host
from agent.life.watch import Alive, unwatched
from agent.link.key import FILE, KEY_BYTES, NodeKey, node_key
from agent.model.fault import Fault
from agent.program.log import Logger

SEALED = "node-key.sealed"
SPARE = "node-key-spare"
LOST = "node-key.lost"
"""What was sealed, once the controller has taken another."""
OF_KEYS = (FILE, SEALED, SPARE, f"{SPARE}.sealed", LOST)
PAUSES_S = (3.0, 3.0, 3.0, 10.0, 20.0, 40.0)
"""A driver may come late, and a TPM be busy with a test of itself."""
PAUSE_S, PATIENCE_S = 60.0, 600.0
ABSENT_S = 30.0
"""Where there is none at all: it may be another machine, whose controller is to be asked before long."""
UNSEALING = "unsealing this node's key"

log = Logger("link")


@dataclass(frozen=True)
class Place:
    """Of a key: sealed, or as it is."""

    directory: str
    name: str = FILE

    @property
    def plain(self) -> str:
        """Where it lies as it is."""
        return f"{self.directory}/{self.name}"

    @property
    def sealed(self) -> str:
        """Where it lies sealed."""
        return f"{self.directory}/{self.name}.sealed"


class ServiceKeys:
    """By which this node may be known: its own, and while that cannot be had, a spare one."""

    def __init__(self, host: Host, directory: str) -> None:
        """Raises `HostError`."""
        self._host = host
        self._directory = directory
        self._own, self._spare = Place(directory), Place(directory, SPARE)
        self._other: NodeKey | None = None
        self.key: NodeKey | None = None
        """The node's own, once it was had. Its `fault`, and the spare one's, say what is wrong with how it is kept."""
        if not self._is_there(self._own) and self._is_there(self._spare):
            self._adopt()  # the process before this one died of it

    def open(self, stop: Event, alive: Alive = unwatched, tell: Callable[[Fault], None] = lambda _: None) -> NodeKey:
        """The first to call with. What the TPM may yet do is waited for, and told. Raises `HostError`."""
        began_s, pauses = self._host.clock.monotonic_s(), iter(PAUSES_S)
        while True:
            alive()
            try:
                return self._had()
            except SealRefused as error:
                return self._instead(Fault.of(KeyLost(UNSEALING, error.evidence)))
            except (DeviceError, DecodeError) as error:
                waits = Fault.of(KeyWaits(UNSEALING, error.evidence))
            tell(waits)
            waited_s = self._host.clock.monotonic_s() - began_s
            if waited_s >= self._patience_s() or self._host.clock.wait(stop, next(pauses, PAUSE_S)):
                return self._instead(waits)

    def all(self) -> Iterator[NodeKey]:
        """In the order in which the controller is to be asked whether it knows them. Raises `HostError`."""
        fault = Fault.of(KeyLost(UNSEALING, "the controller does not take it"))
        try:
            yield self._had()
        except (DeviceError, DecodeError) as error:
            kind = KeyLost if isinstance(error, SealRefused) else KeyWaits
            fault = Fault.of(kind(UNSEALING, error.evidence))
        if self.key is None or self._is_there(self._spare):
            yield self._instead(fault)

    def take(self, key: NodeKey) -> None:
        """The controller knows the node by this one; the other is nobody's any more. Raises `HostError`."""
        if self.key is not None and key.public == self.key.public:
            for path in (self._spare.sealed, self._spare.plain):
                self._host.files.remove(path)
        elif self._is_there(self._spare):
            self._adopt()

    def _patience_s(self) -> float:
        try:
            return PATIENCE_S if self._host.tpm.is_there() else ABSENT_S
        except DeviceError:
            return PATIENCE_S

    def _had(self) -> NodeKey:
        """The node's own, made on first use. Raises `DeviceError`, `DecodeError`, `HostError`."""
        if self.key is None:
            self.key = own(self._host, self._own)
        return self.key

    def _instead(self, fault: Fault) -> NodeKey:
        """The spare one, made on first use."""
        key = self._other = self._other or self._spared()
        told = f"{fault.message}: until it is, there is another one, {key.fingerprint}"
        if key.fault is None or key.fault.message != told:
            log.error("the node's key cannot be had", error=fault.message, spare=key.fingerprint)
        key.fault = fault.model_copy(update={"message": told})
        return key

    def _spared(self) -> NodeKey:
        try:
            key = unsealed(self._host, self._spare) if self._host.files.exists(self._spare.sealed) else None
        except SealRefused as error:  # whether it was bound, or not: it is gone
            log.warning("the spare key is lost, too", error=str(error))
            self._host.files.remove(self._spare.sealed)
            key = None
        return key or sealed(self._host, self._spare)

    def _adopt(self) -> None:
        """What was sealed goes first: where it is, it counts."""
        files = self._host.files
        if files.exists(self._own.sealed):
            files.rename(self._own.sealed, f"{self._directory}/{LOST}")
        files.remove(self._own.plain)
        if files.exists(self._spare.sealed):
            files.remove(self._spare.plain)
            files.rename(self._spare.sealed, self._own.sealed)
        else:
            files.rename(self._spare.plain, self._own.plain)

    def _is_there(self, place: Place) -> bool:
        return self._host.files.exists(place.sealed) or self._host.files.exists(place.plain)


def own(host: Host, place: Place) -> NodeKey:
    """Raises `DeviceError`, `DecodeError`, where what is sealed cannot be had; `HostError`."""
    if not host.files.exists(place.sealed):
        return sealed(host, place)
    try:
        key = unsealed(host, place)
    except (DeviceError, DecodeError):
        if not host.files.exists(place.plain):
            raise
        return node_key(host.files, place.directory, place.name)  # a process died before it was removed: it is the same
    host.files.remove(place.plain)
    return key


def known_key(host: Host, directory: str) -> NodeKey | None:
    """The one in this directory, if there is one; none is made. Raises `HostError`, `DecodeError`."""
    place = Place(directory)
    if host.files.exists(place.sealed):
        return unsealed(host, place)
    return node_key(host.files, directory) if host.files.exists(place.plain) else None


def sealed(host: Host, place: Place) -> NodeKey:
    """The one that is on the disk, or a new one, sealed if there is a TPM that does it. Raises `HostError`."""

    def plain() -> NodeKey:
        return node_key(host.files, place.directory, place.name)

    try:
        if not host.tpm.is_there():
            return plain()
        secret = plain().secret if host.files.exists(place.plain) else secrets.token_bytes(KEY_BYTES)
        blob = host.tpm.seal(secret)
        if host.tpm.unseal(blob) != secret:
            raise DeviceError("sealing this node's key", "the TPM gives back another one")
        host.files.write(place.sealed, blob, mode=0o600)
        host.files.remove(place.plain)
    except (DeviceError, DecodeError) as error:
        log.warning("the key is not sealed", error=str(error))
        key = plain()
        key.fault = Fault.of(KeyNotSealed("sealing this node's key to the TPM", error.evidence))
        return key
    log.info("the key is sealed to the TPM")
    return NodeKey(secret)


def unsealed(host: Host, place: Place) -> NodeKey:
    """By the TPM. Raises `DeviceError`, `DecodeError`, `HostError`."""
    return NodeKey(whole(host.tpm.unseal(host.files.read_bytes(place.sealed))))


def whole(secret: bytes) -> bytes:
    """Raises `DecodeError`."""
    if len(secret) != KEY_BYTES:
        raise DecodeError(UNSEALING, f"it has {len(secret)} bytes")
    return secret

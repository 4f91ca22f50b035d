# SPDX-License-Identifier: Apache-2.0
"""The node's key and a TPM in software (swtpm) that fails, comes back, is cleared, or is another machine's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from agent.errors import ControllerRefused, DeviceError
from agent.host.doors import Host
from agent.host.fake import FakeHost
from agent.link.client import Client
from agent.link.key import NodeKey
from agent.link.sealed import PATIENCE_S, ServiceKeys
from agent.model.frozen import Frozen, Model
from agent.model.hardware.tpm_owner import LOCKOUT, clear, refusal
from agent.model.protocol import Booted
from agent.service import Either
from tests.host.test_tpm_seal import SoftTpm, soft_tpm

DIRECTORY = "/var/lib/bms-agent"
pytestmark = pytest.mark.commands


@dataclass
class Door:
    """`doors.Tpm` to a TPM in software, or to one that has failed."""

    tpm: SoftTpm | None

    def is_there(self) -> bool:
        """Its driver is."""
        return True

    def _there(self) -> SoftTpm:
        if self.tpm is None:
            raise DeviceError("asking the TPM", "no answer within 20 s")
        return self.tpm

    def ask(self, command: bytes) -> bytes:
        """A question."""
        return self._there().tell(command)

    def clear(self, command: bytes) -> bytes:
        """By its command."""
        return self._there().tell(command)

    def seal(self, secret: bytes) -> bytes:
        """By its commands."""
        return self._there().seal(secret)

    def unseal(self, sealed: bytes) -> bytes:
        """By its commands."""
        return self._there().unseal(sealed)


def process(machine: FakeHost, door: Door) -> Host:
    """The next one on this machine."""
    return replace(machine.restarted(), tpm=door)


def begun(machine: FakeHost, door: Door) -> tuple[ServiceKeys, NodeKey]:
    """A service that begins to call."""
    keys = ServiceKeys(process(machine, door), DIRECTORY)
    return keys, keys.open(Event())


def asked(keys: ServiceKeys, knows: NodeKey) -> NodeKey | None:
    """A try to be heard by a controller that knows one key."""
    for key in keys.all():
        if key.public == knows.public:
            keys.take(key)
            return key
    return None


def test_one_that_fails_for_an_hour_costs_nobody_the_key(tmp_path: Path) -> None:
    """And over restarts of the agent meanwhile: it comes back, and the key is had and taken; nothing is approved."""
    machine, door = FakeHost.with_files({}), Door(None)
    with soft_tpm(tmp_path / "one") as door.tpm:
        _, known = begun(machine, door)
    door.tpm = None
    spares = set()
    for _ in range(3):
        began_s = machine.clock.monotonic_s()
        keys, spare = begun(machine, door)
        assert PATIENCE_S <= machine.clock.monotonic_s() - began_s < 1.2 * PATIENCE_S
        assert spare.fault is not None and spare.fault.code == "KEY.WAITS"
        assert asked(keys, known) is None
        spares.add(spare.public)
    assert len(spares) == 1 and known.public not in spares
    with soft_tpm(tmp_path / "one") as door.tpm:
        again = asked(keys, known)
        assert again is not None and again.fault is None
        _, later = begun(machine, door)
        assert later.public == known.public and later.fault is None


def test_one_that_is_cleared_is_told_at_once(tmp_path: Path) -> None:
    """And so is another machine's: nobody waits, a new approval is asked for; given, the new key is sealed to it."""
    machine, door = FakeHost.with_files({}), Door(None)
    with soft_tpm(tmp_path / "one") as door.tpm, soft_tpm(tmp_path / "other") as other:
        _, known = begun(machine, door)
        copy = FakeHost.of(machine.machine)
        began_s = machine.clock.monotonic_s()
        _, elsewhere = begun(copy, Door(other))
        assert elsewhere.fault is not None and elsewhere.fault.code == "KEY.LOST"
        assert begun(machine, door)[1].public == known.public
        assert refusal(door.tpm.tell(clear(LOCKOUT))) == 0
        keys, new = begun(machine, door)
        assert new.fault is not None and new.fault.code == "KEY.LOST" and new.public != known.public
        assert machine.clock.monotonic_s() - began_s < 1
        assert asked(keys, new) is not None
        _, later = begun(machine, door)
        assert later.public == new.public and later.fault is None
        assert not machine.files.exists(f"{DIRECTORY}/node-key")


class Knowing(Client):
    """Of a controller that knows the node by one key, or refuses it for something else."""

    def __init__(self, key: NodeKey, known: str, refusal: str) -> None:
        super().__init__("http://controller")
        self.is_known, self.refusal = key.public == known, refusal

    def post(self, path: str, message: Frozen, answer: type[Model]) -> Model:
        """As it is."""
        if self.is_known:
            return answer.model_validate({"server_id": "server-1"})
        raise ControllerRefused("calling", self.refusal, refusal=self.refusal)


def test_the_service_asks_by_either_key(tmp_path: Path) -> None:
    """By its own first; by the spare one where that is not known, or not had; that which is known is the one. What the
    controller has against the machine itself is told at once."""
    machine, door = FakeHost.with_files({}), Door(None)
    with soft_tpm(tmp_path / "one") as door.tpm:
        _, known = begun(machine, door)
    door.tpm = None
    keys, spare = begun(machine, door)
    for why in ("AGENT.UNAUTHORIZED", "BOOT.CLONE"):
        nobody = Either(keys, partial(Knowing, known="", refusal=why))
        with pytest.raises(ControllerRefused, match=why):
            nobody.post("/v1/agent/boot", BootedAs(), Booted)
        assert nobody.key is None
    with soft_tpm(tmp_path / "one") as door.tpm:
        either = Either(keys, lambda key: Knowing(key, spare.public, "AGENT.UNAUTHORIZED"))
        either.post("/v1/agent/boot", BootedAs(), Booted)
        assert either.key is not None and either.key.public == spare.public
        assert begun(machine, door)[1].public == spare.public
    assert known.public != spare.public


class BootedAs(Frozen):
    """Any message."""

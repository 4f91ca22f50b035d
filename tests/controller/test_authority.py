# SPDX-License-Identifier: Apache-2.0
"""A controller that has lost its authority says so, instead of locking its servers out; and there are two ways back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.config import load
from agent.controller.backup.archive import write_backup
from agent.controller.backup.restore import restore
from agent.controller.tls import CA_FILE, PIN_FILE, load_authority
from agent.errors import ConfigError, LinkError
from agent.link.client import Client
from agent.link.key import NodeKey
from agent.model.protocol import ReportsAnswer
from tests.controller.machine import Machine, a_key
from tests.controller.test_backup import NOW
from tests.controller.test_mutual_tls import BATCH, REPORTS, Served, served
from tests.controller.world import World


@dataclass(frozen=True)
class Deployed:
    """What a node's agent has: its key, its credential, and the digest that it was told."""

    key: NodeKey
    credential: str
    session_id: str
    pin: str

    def call(self, at: Served, pin: str | None = None) -> int:
        """A call to its controller, wherever that listens now."""
        client = Client(at.url, SecretStr(self.credential), self.key, self.session_id, pin or self.pin)
        return client.post(REPORTS, BATCH, ReportsAnswer).acknowledged


def deployed(data: Path) -> Deployed:
    """By a controller that was heard; it has ended since."""
    with served(data) as one:
        machine = Machine(one.world, 2, key=a_key()).power_on()  # the first enrols anew each time
        assert machine.key is not None and machine.session is not None and one.world.controller.authority is not None
        pin = one.world.controller.authority.pin
        found = Deployed(machine.key, machine.credential, machine.session.session_id, pin)
        assert found.call(one) == 0
    return found


def test_it_is_not_made_anew(copy: Path) -> None:
    """Gone, or another one: the controller does not start, and says by which one its servers go, and what to do."""
    agent = deployed(copy)
    lost = (copy / CA_FILE).read_bytes()
    (copy / CA_FILE).unlink()
    with pytest.raises(ConfigError, match=agent.pin) as gone:
        World(copy, listen_tls="127.0.0.1:1")
    assert "backup" in gone.value.hint and "agent.toml" in gone.value.hint
    assert not (copy / CA_FILE).exists()
    (copy / "elsewhere").mkdir()
    load_authority(copy / "elsewhere")
    (copy / CA_FILE).write_bytes((copy / "elsewhere" / CA_FILE).read_bytes())
    with pytest.raises(ConfigError, match=f"deployed servers go by {agent.pin}"):
        load_authority(copy)
    (copy / CA_FILE).write_bytes(lost)

    assert load_authority(copy).pin == agent.pin


def test_the_way_back_by_a_backup(copy: Path, tmp_path: Path) -> None:
    """It has the authority: restored from it, the same agents are heard as before."""
    agent = deployed(copy)
    world = World(copy)
    write_backup(world.options, tmp_path / "backup.tar", NOW, with_images=False)
    world.close()
    restore(tmp_path / "backup.tar", tmp_path / "restored")

    assert load_authority(tmp_path / "restored").pin == agent.pin
    (copy / CA_FILE).unlink()
    (copy / CA_FILE).write_bytes((tmp_path / "restored" / CA_FILE).read_bytes())
    with served(copy) as again:
        assert agent.call(again) == 0


def test_the_way_back_without_one(copy: Path) -> None:
    """Who means it removes both files: no agent believes the new authority, and the error says what to do; those whose
    settings name it are heard, as the nodes that they are.
    """
    agent = deployed(copy)
    (copy / CA_FILE).unlink()
    (copy / PIN_FILE).unlink()
    with served(copy) as again:
        assert again.world.controller.authority is not None
        pin = again.world.controller.authority.pin
        with pytest.raises(LinkError, match=f"its authority is {pin}, and not {agent.pin}") as refused:
            agent.call(again)
        assert "agent.toml" in refused.value.hint
        told = load(f'controller = "{again.url}"\nca = "{pin}"\n')
        assert told.controller == again.url and agent.call(again, told.ca) == 0

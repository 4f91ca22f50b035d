# SPDX-License-Identifier: Apache-2.0
"""README's commands for a cloud, typed as they stand, from a controller that has nothing to a server with its NICs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.controller.options import Options
from agent.controller.records.node import NodeState
from tests.bmsctl.keyboard import Keyboard
from tests.controller.chunks import packed
from tests.controller.machine import Machine, a_key
from tests.controller.world import KEY, World

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[World]:
    """A controller that was started with what has no default, and no more."""
    world = World(tmp_path / "data", enrolment=Options.model_fields["enrolment"].default)
    yield world
    world.close()


def typed(start: str, words: dict[str, str]) -> list[list[str]]:
    """The commands of the block that holds a line which begins so, each as its words; nobody waits here."""
    [block] = [one for one in re.findall(r"```sh\n(.*?)```", README, re.S) if f"\n{start}" in f"\n{one}"]
    lines = [shlex.split(line, comments=True) for line in block.splitlines() if line.startswith("bmsctl ")]
    return [[words.get(word, word) for word in line[1:] if word != "--wait"] for line in lines]


def test_what_readme_types_works(empty: World, tmp_path: Path) -> None:
    """A machine appears, is approved by what its own screen shows, becomes a server, and gets a second NIC and an EIP:
    no command of it is refused, and what follows from them is there."""
    (tmp_path / "debian.bmi").write_bytes(packed())
    (tmp_path / "key.pub").write_text(KEY)
    bmsctl, machine = Keyboard(empty), Machine(empty, key=a_key())
    answer = machine.script()
    machine.token = answer.partition("bms.token=")[2].split()[0]
    machine.enrol()
    [node] = empty.user("GET", "/v1/nodes")
    words = {
        "NODE": node["id"],
        "FINGERPRINT": node["fingerprint"],
        "debian.bmi": str(tmp_path / "debian.bmi"),
        "~/.ssh/id_ed25519.pub": str(tmp_path / "key.pub"),
    }
    assert node["state"] == NodeState.ENROLL

    first = typed("bmsctl node list", words)
    for line in first:
        ended = bmsctl(*line)
        assert ended.status == 0, (line, ended.error)
    machine.serve()
    assert empty.server("web1")["status"] == "ACTIVE"
    for line in typed("bmsctl vpc create back", words):
        ended = bmsctl(*line)
        assert ended.status == 0 or line in first, (line, ended.error)

    machine.beat(applied_generation=machine.desired().generation)
    nics = empty.server("web1")["addresses"]
    assert [nic["address"] for nic in nics][1:] == ["10.2.0.77"]
    assert empty.user("GET", "/v1/eips/203.0.113.7")["server_id"] == empty.server("web1")["id"]

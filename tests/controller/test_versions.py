# SPDX-License-Identifier: Apache-2.0
"""Agents of another release than their controller: a newer one is understood, an older one is told what it knows.

What agents of earlier releases have sent is beside `tests/formats`, which this reads, too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from httpx2 import Response

from agent.model.protocol import Heartbeat, ReportBatch
from tests.controller.machine import Machine
from tests.controller.world import World

PLACE = Path(__file__).parent.parent / "formats" / "files" / "messages"
LATER = "what_came_later"


def with_more(said: Any) -> Any:
    """In every object of it there is something that no release knows."""
    match said:
        case dict():
            return {name: with_more(one) for name, one in said.items()} | {LATER: "x"}
        case list():
            return [with_more(one) for one in said]
        case _:
            return said


@dataclass
class Said:
    """What is posted in place of a message."""

    content: bytes

    def model_dump_json(self) -> str:
        """As a message gives it."""
        return self.content.decode()


@dataclass
class Newer(Machine):
    """Its agent says more than this controller knows."""

    def send(self, path: str, message: Any) -> Response:
        """All that there is, and more."""
        told = with_more(json.loads(message.model_dump_json()))
        return super().send(path, Said(json.dumps(told).encode()))


def test_a_newer_agent(world: World) -> None:
    """It is taken in, deployed, proven, heard, and erased: the whole life of a server."""
    machine = Newer(world).power_on()
    world.order()
    machine.serve().beat()
    assert (world.server()["status"], world.node()["host_status"]) == ("ACTIVE", "UP")
    assert LATER not in json.dumps(world.node()["inventory"])

    world.user("DELETE", "/v1/servers/web", status=202)
    machine.serve().serve()
    assert (world.node()["state"], world.node()["clean"]) == ("available", True)


def test_what_is_wrong_besides(world: World, machine: Machine) -> None:
    """A field that is missing or has a wrong value is refused as ever, and named without what it holds."""
    for wrong in ({"sequence": "s3cret"}, {"at": "s3cret", LATER: 1}):
        told = json.loads(machine.heartbeat(7).model_dump_json()) | wrong
        answer = machine.send("/v1/agent/heartbeat", Said(json.dumps(told).encode()))
        assert answer.status_code == 422 and "s3cret" not in answer.text and next(iter(wrong)) in answer.text


def test_older_agents(world: World, machine: Machine) -> None:
    """What agents have sent, release by release, is taken: each enrols, beats, and reports, and is known by it."""
    files = sorted(PLACE.iterdir())
    assert len(files) > 4
    for number, path in enumerate(files, 1):
        enrolment, _, beat, batch, *_ = path.read_bytes().splitlines()
        assert machine.send("/v1/agent/enroll", Said(fresh(enrolment, machine.enrolment))).status_code == 200, path.name
        told = Heartbeat.model_validate_json(fresh(beat, lambda: machine.heartbeat(1)))
        assert machine.send("/v1/agent/heartbeat", told).status_code == 200, path.name
        reports = json.loads(batch) | {"stream_id": f"stream-{number}"}
        answer = machine.send("/v1/agent/reports", Said(json.dumps(reports).encode()))
        assert answer.json()["acknowledged"] == len(ReportBatch.model_validate_json(batch).reports), path.name


def fresh(message: bytes, ours: Any) -> bytes:
    """As it was sent, but for who sends it: this machine, in the session that it opens now."""
    told, mine = json.loads(message), json.loads(ours().model_dump_json())
    kept = {"session", "token", "boot_mac"} & mine.keys()
    found = told | {name: mine[name] for name in kept}
    if "inventory" in found:
        found["inventory"]["nics"] = mine["inventory"]["nics"]
        found["inventory"]["system"]["uuid"] = mine["inventory"]["system"]["uuid"]
    return json.dumps(found).encode()


def test_orders_say_no_more_than_they_must(world: World, machine: Machine) -> None:
    """An agent that is older than a field hears nothing of it, where it is not used."""
    world.order()
    target = "/v1/agent/desired?generation=0&wait_s=0"
    answer = world.http.get(target, headers=machine.authorization | machine.signature("GET", target)).json()
    assert answer["request"].keys() == {"request_id", "node_id", "verb", "image", "root_device", "config_drive"}
    assert answer["request"]["image"].keys() == {"url", "format", "sha256"}
    machine.serve()
    assert "ca" not in json.loads((machine.drive or {})["bms-agent/service.json"])

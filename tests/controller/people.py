# SPDX-License-Identifier: Apache-2.0
"""People who call the controller, each with a token of their own; and a project that has one of everything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from httpx2 import Response

from agent.controller.records.approval import Approval, Destructive
from tests.controller.machine import Machine
from tests.controller.world import KEY, SHA256, World


@dataclass(frozen=True)
class Person:
    """Somebody with a token; `project` is what they say they act in."""

    world: World
    token: str
    project: str | None = None

    def call(self, method: str, path: str, body: Any = None) -> Response:
        """Any call."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if self.project is not None:
            headers["X-BMS-Project"] = self.project
        return self.world.http.request(method, path, json=body, headers=headers)

    def does(self, method: str, path: str, body: Any = None) -> Any:
        """A call that must succeed; its answer."""
        answer = self.call(method, path, body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def code(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """A call that must be refused: status and code."""
        answer = self.call(method, path, body)
        assert not answer.is_success, answer.text
        return answer.status_code, answer.json()["fault"]["code"]


def administrator(world: World, project: str | None = None) -> Person:
    """Whoever has the file admin-token."""
    return Person(world, world.controller.user_token, project)


def nobody(world: World) -> Person:
    """Without a token."""
    return Person(world, "")


def person(
    world: World, name: str, role: str, project: str | None = None, token: dict[str, Any] | None = None
) -> Person:
    """A new user with a token, of which more may be said."""
    admin = administrator(world)
    admin.does("POST", "/v1/users", {"name": name, "role": role, "project": project})
    return Person(world, admin.does("POST", "/v1/tokens", {"user": name} | (token or {}))["token"])


@dataclass(frozen=True)
class Belongings:
    """What a project has: for each word in a route's path, what it is called and what its id is."""

    names: dict[str, str]
    ids: dict[str, str]
    machine: Machine


def furnish(world: World, owner: Person) -> Belongings:
    """One of everything, for the project of this operator; the server is ACTIVE."""
    machine = Machine(world).power_on()
    vpc = owner.does("POST", "/v1/vpcs", {"name": "their-vpc", "segment": "vxlan"})
    subnet = owner.does("POST", "/v1/subnets", {"name": "their-net", "vpc": "their-vpc", "cidr": "10.9.0.0/24"})
    owner.does("POST", "/v1/keypairs", {"name": "their-key", "public_key": KEY})
    group = owner.does("POST", "/v1/security-groups", {"name": "their-group"})
    image = owner.does(
        "POST",
        "/v1/images",
        {"name": "their-image", "format": "raw.zst", "url": "http://i/a", "sha256": SHA256, "agent": True},
    )
    order = {
        "name": "their-server",
        "flavor": "small",
        "image": "their-image",
        "nics": [{"subnet": "net"}, {"subnet": "their-net"}],
        "key_name": "their-key",
        "security_groups": ["their-group"],
    }
    ordered = owner.does("POST", "/v1/servers", order)
    machine.serve()
    server = owner.does("GET", "/v1/servers/their-server")
    project = owner.does("GET", "/v1/whoami")["project"]
    eip = administrator(world, project).does("POST", "/v1/eips", {"address": "203.0.113.5"})
    _wanted_by_another(world, server["id"], project)
    ids = {
        "approvals": "their-approval",
        "servers": server["id"],
        "nics": server["addresses"][1]["port_id"],
        "jobs": ordered["job_id"],
        "vpcs": vpc["id"],
        "subnets": subnet["id"],
        "security-groups": group["id"],
        "rules": group["rules"][0]["id"],
        "images": image["id"],
        "keypairs": "their-key",
        "eips": eip["id"],
        "nodes": machine.node_id,
        "flavors": "small",
    }
    names = {
        "servers": "their-server",
        "nics": server["addresses"][1]["mac"],
        "vpcs": "their-vpc",
        "subnets": "their-net",
        "security-groups": "their-group",
        "images": "their-image",
        "eips": "203.0.113.5",
        "nodes": f"node-{machine.mac.replace(':', '')}",
    }
    return Belongings(names=ids | names, ids=ids, machine=machine)


def _wanted_by_another(world: World, server_id: str, project: str) -> None:
    """An order that waits for their approval."""
    now = world.clock.now()
    with world.controller.write() as tx:
        tx.approvals.add(
            Approval(
                id="their-approval",
                order=Destructive.REINSTALL,
                subject_id=server_id,
                name="their-server",
                project=project,
                asked_by="another",
                asked_at=now,
                expires_at=now + timedelta(hours=1),
            )
        )

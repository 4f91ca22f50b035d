# SPDX-License-Identifier: Apache-2.0
"""Every route of the controller, from its OpenAPI; and for each that takes one, a body that it understands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.controller.world import KEY, SHA256, World

OPEN = {
    ("GET", "/healthz"),
    ("GET", "/boot/ipxe"),
    ("GET", "/boot/ramdisk/{name}"),
    ("GET", "/boot/ca.pem"),
    ("GET", "/images/{image_id}/content"),
    ("GET", "/images/sha256/{digest}"),
    ("POST", "/v1/agent/enroll"),
    ("POST", "/v1/agent/phone-home/{nonce}"),
}
"""Whoever boots has no secret yet; the last two carry theirs in themselves."""
CLOUD = re.compile(r"/v1/(nodes|enrolment-tokens)\b")
ADMINS = re.compile(r"/v1/(users|tokens|audit)\b")
OF_CLOUD = {
    ("POST", "/v1/flavors"),
    ("DELETE", "/v1/flavors/{key}"),
    ("POST", "/v1/eips"),
    ("PATCH", "/v1/eips/{key}"),
    ("DELETE", "/v1/eips/{key}"),
}
EVERYBODYS = re.compile(r"/v1/(flavors|whoami)\b")
"""They belong to no project."""
BODIES: dict[tuple[str, str], Any] = {
    ("PATCH", "/v1/nodes/{key}"): {"maintenance": True},
    ("POST", "/v1/nodes/{key}/approve"): {"fingerprint": "AAAA-BBBB-CCCC"},
    ("POST", "/v1/nodes/{key}/quarantine"): {"disk": "SN-sda", "accepted": True},
    ("POST", "/v1/nodes/{key}/validations"): {"profile": "quick"},
    ("POST", "/v1/enrolment-tokens"): {"machines": 2},
    ("POST", "/v1/flavors"): {"name": "made"},
    ("POST", "/v1/keypairs"): {"name": "made", "public_key": KEY},
    ("POST", "/v1/vpcs"): {"name": "made", "segment": "vxlan"},
    ("POST", "/v1/subnets"): {"name": "made", "vpc": "their-vpc", "cidr": "10.10.0.0/24"},
    ("PATCH", "/v1/subnets/{key}"): {"dns": ["10.9.0.9"]},
    ("POST", "/v1/security-groups"): {"name": "made"},
    ("POST", "/v1/security-groups/{key}/rules"): {"direction": "in", "version": 4, "protocol": "tcp"},
    ("POST", "/v1/eips"): {"address": "203.0.113.9"},
    ("PATCH", "/v1/eips/{key}"): {"bandwidth_mbps": 9},
    ("POST", "/v1/eips/{key}/bind"): {"server": "their-server"},
    ("POST", "/v1/images"): {"name": "made", "format": "raw", "url": "http://i/b", "sha256": SHA256},
    ("POST", "/v1/images/import"): {"name": "made-2", "url": "http://i/c"},
    ("POST", "/v1/servers"): {
        "name": "made",
        "flavor": "small",
        "image": "debian",
        "nics": [{"subnet": "net"}, {"subnet": "their-net"}],
    },
    ("PATCH", "/v1/servers/{key}"): {"drift": "report"},
    ("POST", "/v1/servers/{key}/stop"): {"type": "SOFT"},
    ("POST", "/v1/servers/{key}/reboot"): {"type": "SOFT"},
    ("POST", "/v1/servers/{key}/reinstall"): {},
    ("POST", "/v1/servers/{key}/nics"): {"subnet": "their-net"},
    ("PATCH", "/v1/servers/{key}/nics/{port}"): {"security_groups": ["their-group"]},
    ("POST", "/v1/users"): {"name": "made"},
    ("POST", "/v1/tokens"): {"user": "blue"},
}


@dataclass(frozen=True)
class Route:
    """One operation."""

    method: str
    path: str
    takes_body: bool

    @property
    def key(self) -> tuple[str, str]:
        """By which the tables name it."""
        return self.method, self.path

    @property
    def is_agents(self) -> bool:
        """An agent's."""
        return self.path.startswith("/v1/agent/")

    @property
    def reads(self) -> bool:
        """It changes nothing."""
        return self.method == "GET"

    @property
    def body(self) -> Any:
        """One that it understands."""
        return BODIES[self.key] if self.takes_body else None

    def filled(self, belongings: dict[str, str]) -> str:
        """The path with names in place of its words: those of the noun before each."""
        return re.sub(r"([^/]+)/\{(\w+)\}", lambda found: f"{found[1]}/{belongings.get(found[1], 'none')}", self.path)


@cache
def routes() -> tuple[Route, ...]:
    """All of them; what deletes comes last."""
    with TemporaryDirectory() as directory:
        world = World(Path(directory))
        paths = world.http.get("/openapi.json").json()["paths"]
        world.close()
    found = [
        Route(method.upper(), path, "requestBody" in operation)
        for path, operations in paths.items()
        for method, operation in operations.items()
    ]
    return tuple(sorted(found, key=lambda route: (route.method == "DELETE", -route.path.count("/"))))


def users_routes() -> tuple[Route, ...]:
    """Those that a token of a user opens."""
    return tuple(route for route in routes() if route.key not in OPEN and not route.is_agents)

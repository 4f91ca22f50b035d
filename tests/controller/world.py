# SPDX-License-Identifier: Apache-2.0
"""A controller in a box: its own clock, its own BMCs, its HTTP faces without a socket, and a user at the keyboard."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from starlette.types import Receive, Scope, Send

from agent.controller.app import create_app
from agent.controller.bmc import BmcError
from agent.controller.context import Controller, open_controller
from agent.controller.flow.power import serve_power
from agent.controller.flow.tick import tick
from agent.controller.images import Announced, Kept
from agent.controller.imports.convert import Order
from agent.controller.imports.download import Networks, Tell
from agent.controller.log import configure
from agent.controller.measure.chunked import Chunked
from agent.controller.options import Options
from agent.controller.peer import PEER
from agent.controller.records.job import Reset
from agent.controller.records.node import Bmc, Power
from agent.errors import ToolMissing
from agent.model.image import Access, ImageFormat
from agent.program.log import SETTINGS

URL = "http://controller.example:8480"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f someone@example"
SHA256 = "ab" * 32


@dataclass
class FakeClock:
    """Stands still until it is moved."""

    time: datetime = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
    jumped_at: datetime | None = None

    def now(self) -> datetime:
        """The time."""
        return self.time

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.time += timedelta(seconds=seconds)

    def jump(self, seconds: float) -> None:
        """It is set, and no time passes."""
        self.move(seconds)
        self.jumped_at = self.time


@dataclass
class FakePower:
    """Every BMC there is: what it was told, and whether its machine is on."""

    told: list[Reset] = field(default_factory=list)
    power: Power = Power.ON
    broken: bool = False
    hangs: bool = False
    """it does not go off"""
    stubborn: bool = False
    """it takes no word on what to boot"""
    from_network: int = 0

    def state(self, bmc: Bmc) -> Power:
        """On or off."""
        if self.broken:
            raise BmcError(f"reading the power state at {bmc.address}", "it is broken")
        return self.power

    def reset(self, bmc: Bmc, reset: Reset) -> None:
        """Done at once."""
        self.state(bmc)
        self.told.append(reset)
        self.power = Power.OFF if reset is Reset.FORCE_OFF else Power.ON

    def switch_off(self, bmc: Bmc) -> Power:
        """At once, unless it hangs."""
        if self.state(bmc) is not Power.OFF:
            self.reset(bmc, Reset.FORCE_OFF)
        if self.hangs:
            self.power = Power.ON
        return self.power

    def boot_from_network(self, bmc: Bmc) -> None:
        """If it can be told that."""
        if self.stubborn:
            raise BmcError("choosing the boot device", "the BMC answered 400")
        self.from_network += 1


@dataclass
class FakeImporter:
    """A workshop whose tools are always there. `makes` is what comes of every file, or the error that ends it;
    `steps` are told on the way."""

    makes: bytes | Exception = b""
    missing: str | None = None
    steps: tuple[tuple[str, int, int | None], ...] = ()
    during: Callable[[], object] = lambda: None
    fetched: list[tuple[str, Access, Announced]] = field(default_factory=list)
    inward: list[Networks | None] = field(default_factory=list)
    """from which private networks each might come"""
    converted: list[Order] = field(default_factory=list)

    def must_be_equipped(self) -> None:
        """Unless it is said what is missing."""
        if self.missing:
            raise ToolMissing("importing an image", f"{self.missing} is not installed", hint=f"Install {self.missing}.")

    def fetch(
        self, url: str, access: Access, announced: Announced, path: Path, tell: Tell, *, inside: Networks | None
    ) -> None:
        """A file of a few bytes."""
        self.inward.append(inside)
        self.fetched.append((url, access, announced))
        self._work(tell)
        path.write_bytes(b"fetched")

    def convert(self, order: Order, target: Path, tell: Tell) -> Kept:
        """Checked as it is in life."""
        assert order.source.is_file()
        self.converted.append(order)
        self._work(tell)
        assert isinstance(self.makes, bytes)
        target.write_bytes(self.makes)
        with target.open("rb") as file:
            unpacked = Chunked(10**9).finish(file)
        assert unpacked.sha256 is not None
        return Kept(ImageFormat.CHUNKED, unpacked.sha256, len(self.makes), unpacked)

    def _work(self, tell: Tell) -> None:
        for step in self.steps:
            self.during()
            tell(*step)
        if isinstance(self.makes, Exception):
            raise self.makes


class World:
    """A controller on a directory, and everything around it."""

    def __init__(self, data: Path, **options: Any) -> None:
        self.clock = FakeClock()
        self.power = FakePower()
        self.importer = FakeImporter()
        self.options = Options(**{"data": data, "url": URL, "enrolment": "auto"} | options)
        self.log = io.StringIO()
        self.peer: bytes | None = None
        """The certificate by which every connection is opened from now on, DER."""
        self.controller: Controller
        self.http: TestClient
        self.start()

    def start(self) -> None:
        """A new process on the same data."""
        configure("debug", "text", self.log)
        self.controller = open_controller(self.options, self.clock, self.power, self.importer)
        application = create_app(self.controller)

        async def over_tls(scope: Scope, receive: Receive, send: Send) -> None:
            scope[PEER] = self.peer
            await application(scope, receive, send)

        self.http = TestClient(over_tls, base_url=URL, raise_server_exceptions=False)
        self.http.__enter__()  # one event loop for all requests, as in a real process

    def close(self) -> None:
        """The process ends."""
        self.http.__exit__()
        self.controller.store.close()
        SETTINGS.forgotten()

    def restart(self) -> None:
        """The old process ends, a new one begins."""
        self.close()
        self.start()

    def look(self, passed_s: float = 0.0) -> None:
        """Time passes, and the background threads look around."""
        self.clock.move(passed_s)
        tick(self.controller)
        serve_power(self.controller)
        tick(self.controller)

    def user(self, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        """A user calls; the answer's body."""
        headers = {"Authorization": f"Bearer {self.controller.user_token}"}
        answer = self.http.request(method, path, json=body, headers=headers)
        expected = status or {"GET": 200, "PATCH": 200}.get(method, answer.status_code if answer.is_success else 0)
        assert answer.status_code == expected, answer.text
        return answer.json() if answer.content else None

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str, str]:
        """A user calls and is refused: status, code and message."""
        headers = {"Authorization": f"Bearer {self.controller.user_token}"}
        answer = self.http.request(method, path, json=body, headers=headers)
        fault = answer.json()["fault"]
        return answer.status_code, fault["code"], fault["message"]

    def stock(self) -> None:
        """What a server is made of: flavor small, image debian, subnet net in VPC cloud, key me."""
        self.user("POST", "/v1/flavors", {"name": "small", "cores": 2, "ram_mb": 1024, "disk_gb": 10})
        self.user(
            "POST",
            "/v1/images",
            {"name": "debian", "format": "raw.zst", "url": f"{URL}/d", "sha256": SHA256, "agent": True},
        )
        self.user("POST", "/v1/vpcs", {"name": "cloud", "cidr": "10.0.0.0/8"})
        self.user("POST", "/v1/subnets", {"name": "net", "vpc": "cloud", "cidr": "10.1.0.0/24", "dns": ["10.1.0.254"]})
        self.user("POST", "/v1/keypairs", {"name": "me", "public_key": KEY})

    def order(self, name: str = "web", **more: Any) -> Any:
        """Order a server of that stock."""
        body = {"name": name, "flavor": "small", "image": "debian", "nics": [{"subnet": "net"}], "key_name": "me"}
        return self.user("POST", "/v1/servers", body | more, status=202)

    def server(self, name: str = "web") -> Any:
        """A server as its user sees it."""
        return self.user("GET", f"/v1/servers/{name}")

    def job(self, job_id: str) -> Any:
        """A job as its user sees it."""
        return self.user("GET", f"/v1/jobs/{job_id}")

    def node(self, name: str | None = None) -> Any:
        """A node as the operator sees it; the only one, if none is named."""
        return self.user("GET", f"/v1/nodes/{name or self.user('GET', '/v1/nodes')[0]['id']}")

    def phases(self, job_id: str) -> list[str]:
        """The names of a job's timeline."""
        return [phase["name"] for phase in self.job(job_id)["phases"]]

# SPDX-License-Identifier: Apache-2.0
"""An agent's API on the loopback device, with a fake machine behind it; and a client as Ironic's."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import requests
from pydantic import SecretStr

from agent.api.ironic.certificate import certificate
from agent.api.ironic.commands import Command, Commands
from agent.api.ironic.desk import Answers, Desk
from agent.api.ironic.place import listening
from agent.api.ironic.process import Root, serve
from agent.api.ironic.record import Identity, Record
from agent.api.ironic.relay import Serves, served
from agent.api.ironic.table import table
from agent.api.ironic.work import Site, Work
from agent.host.doors import Host
from agent.host.fake import FakeHost
from agent.life.sd_notify import Notifier
from agent.model.image import ImagePolicy
from agent.model.ironic.asked import Asked, Page, Serving
from agent.model.ironic.wire import Node
from tests.link.beside import listener

TOKEN = "t" * 43
UUID = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"
NODE = Node(uuid=UUID, properties={"root_device": {"serial": "S0"}})
BOOT = "boot-1"
DIRECTORY = "/run/bms-agent/ironic"
LOCAL = "127.0.0.1"
PAIR = certificate(LOCAL)
TIMEOUT_S = 20.0
HOW = Serving(pem=SecretStr("".join(PAIR)), tls_min_version="1.3")


@dataclass
class Agent:
    """One run of the process."""

    host: Host
    place: socket.socket
    url: str = ""
    ca: str = ""
    news: Event = field(default_factory=Event)
    rescued: list[str] = field(default_factory=list)
    over: list[bool] = field(default_factory=list)
    died: list[BaseException] = field(default_factory=list)
    commands: Commands | None = None
    server: Serves | None = None

    def get(self, path: str, token: str | None = TOKEN, **query: str) -> requests.Response:
        """Ask."""
        return self.ask("GET", path, token, query)

    def post(self, name: object, params: object = None, *, wait: bool = False, token: str | None = TOKEN) -> Any:
        """Order; what was answered, with its status."""
        body = {"name": name, "params": {} if params is None else params}
        response = self.ask("POST", "/v1/commands/", token, {"wait": str(wait).lower()}, json=body)
        return response.json() | {"status": response.status_code}

    def ask(
        self, method: str, path: str, token: str | None, query: Mapping[str, str], **more: Any
    ) -> requests.Response:
        """One call."""
        params = {**query, **({"agent_token": token} if token is not None else {})}
        return requests.request(method, self.url + path, params=params, verify=self.ca, timeout=TIMEOUT_S, **more)

    def listed(self) -> list[dict[str, Any]]:
        """The list of commands."""
        found: list[dict[str, Any]] = self.get("/v1/commands/").json()["commands"]
        return found

    def ended(self, command_id: str) -> dict[str, Any]:
        """A command, once it has ended."""
        found: dict[str, Any] = self.get(f"/v1/commands/{command_id}", wait="true").json()
        return found


def identity(url: str = "https://127.0.0.1:9999") -> Identity:
    """Who it is to Ironic."""
    return Identity(
        node_uuid=UUID,
        token=SecretStr(TOKEN),
        callback_url=url,
        certificate_pem=PAIR[0],
        key_pem=SecretStr(PAIR[1]),
        heartbeat_timeout_s=300,
    )


OPEN_TO_ALL = ImagePolicy()


@contextmanager
def serving(
    host: FakeHost | Host,
    folder: Path,
    *,
    boot: str = BOOT,
    logs: Callable[[], bytes] = lambda: b"logs",
    rows: Mapping[str, Command] | None = None,
    images: ImagePolicy = OPEN_TO_ALL,
    beside: str | None = None,
    how: Serving = HOW,
    by: Callable[[Answers], Answers] = lambda desk: desk,
) -> Iterator[Agent]:
    """A process. What it recorded stays on the host; `rows` are further commands. `beside`: where the other process
    listens that serves for it. `by`: who stands between that and the desk.
    """
    place = listening((LOCAL, 0))
    made = Agent(host, place)
    record = Record(host.files, DIRECTORY, boot)
    if record.held is None:
        record.open(identity(), NODE)
    site = Site(host=host, record=record, logs=logs, rescue=made.rescued.append, over=made.over.append)
    work = Work(site, DIRECTORY, boot, images)
    made.commands = commands = Commands({**table(work), **(rows or {})}, record, made.news, made.died.append)
    ca = folder / "ca.pem"
    ca.write_text(PAIR[0])
    made.server = server = served(beside, how, place, by(Desk(commands, TOKEN, lambda: 1.5)))
    commands.resume()
    made.url, made.ca = f"https://{LOCAL}:{place.getsockname()[1]}", str(ca)
    thread = Thread(target=server.serve, args=(lambda: None,), name="api")
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        place.close()
        thread.join()


@contextmanager
def beside(folder: Path, trusts: Collection[int] | None = None, root: Root | None = None) -> Iterator[str]:
    """The other process, in a thread; its socket."""
    stop, path = Event(), folder / "socket"
    with listener(path) as at:
        thread = Thread(target=serve, args=(at, Notifier({}), stop, trusts, root), name="beside")
        thread.start()
        try:
            yield str(path)
        finally:
            stop.set()
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
                caller.connect(str(path))  # it looks up
            thread.join(TIMEOUT_S)
    path.unlink()


@contextmanager
def both(folder: Path, is_apart: bool, **more: Any) -> Iterator[Agent]:
    """The same, served by itself, or by another process."""
    with ExitStack() as stack:
        path = stack.enter_context(beside(folder)) if is_apart else None
        yield stack.enter_context(serving(FakeHost.with_files({}), folder, beside=path, **more))


def until(condition: Callable[[], bool]) -> None:
    """It will be so."""
    end_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def strict(ca: str) -> ssl.SSLContext:
    """As Python 3.13 checks certificates."""
    made = ssl.create_default_context(cafile=ca)
    made.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return made


class Hearing:
    """Writes down what is asked, before it is answered."""

    def __init__(self) -> None:
        self.pages: list[Page] = []

    def before(self, desk: Answers) -> Answers:
        """Stand there."""
        self._desk = desk
        return self

    def answered(self, asked: Asked, body: bytes) -> tuple[int, bytes]:
        """As the desk does."""
        self.pages.append(asked.page)
        return self._desk.answered(asked, body)

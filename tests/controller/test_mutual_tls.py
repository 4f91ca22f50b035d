# SPDX-License-Identifier: Apache-2.0
"""Mutual TLS between the agent's own client and the controller's own server, over loopback: a certificate is fetched,
shown, renewed, and replaced whatever became of it; people need none."""

from __future__ import annotations

import json
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from pathlib import Path
from threading import Thread
from time import monotonic

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr
from typer.testing import CliRunner

from agent.bmsctl import app
from agent.bmsctl.client import Client as Bmsctl
from agent.controller.certificates import issue
from agent.controller.process import Server
from agent.controller.tls import server_context
from agent.errors import DecodeError, LinkError
from agent.link.certificate import RETRY_S, NodeCertificates
from agent.link.client import Client
from agent.link.direct import Direct
from agent.link.key import NodeKey
from agent.model.call import Call
from agent.model.protocol import CERTIFICATE_CODE, CERTIFICATE_PATH, Acknowledged, ReportBatch, ReportsAnswer
from tests.controller.machine import Machine, a_key
from tests.controller.test_certificates import authority_of
from tests.controller.test_identity import DESIRED
from tests.controller.world import World
from tests.link.answers import answering
from tests.link.beside import beside

LOOPBACK = "127.0.0.1"
BATCH = ReportBatch(stream_id="s", reports=())
REPORTS = "/v1/agent/reports"


class Served:
    """A controller that serves, and a machine that it has let in, whose agent is a real client."""

    def __init__(self, world: World, port: int) -> None:
        self.world, self.port = world, port
        self.url = f"https://{LOOPBACK}:{port}"
        self.machine = Machine(world, key=a_key()).power_on()

    @property
    def key(self) -> NodeKey:
        """The node's."""
        assert self.machine.key is not None
        return self.machine.key

    def client(self, kept: NodeCertificates | None = None, link: str | None = None) -> Client:
        """The agent's."""
        assert self.machine.session is not None
        pin, session_id = authority_of(self.world).pin, self.machine.session.session_id
        return Client(self.url, SecretStr(self.machine.credential), self.key, session_id, pin, link, kept)

    def holding(self, begins: timedelta, days: float) -> NodeCertificates:
        """With a certificate already, from then on for so long."""
        kept, at = NodeCertificates(), datetime.now(UTC) + begins
        kept.take(issue(authority_of(self.world), self.machine.node_id, self.key.public, kept.public, at, days))
        return kept

    @property
    def given(self) -> int:
        """How many certificates the controller has made."""
        return self.world.log.getvalue().count("node certified")


@contextmanager
def served(data: Path, **options: object) -> Iterator[Served]:
    """For the length of a test. The controller's clock is the real one: the agent learns the time from its answers."""
    with closing(socket.create_server((LOOPBACK, 0))) as plain, closing(socket.create_server((LOOPBACK, 0))) as secured:
        port = secured.getsockname()[1]
        world = World(data, listen_tls=f"{LOOPBACK}:{port}", **options)
        world.clock.time = datetime.now(UTC)
        server = Server(world.controller)
        thread = Thread(target=lambda: server.run(sockets=[plain, secured]))
        thread.start()
        try:
            yield Served(world, port)
        finally:
            world.controller.wakeups.close()
            server.should_exit = True
            thread.join(20)
            world.close()


@pytest.fixture
def one(copy: Path) -> Iterator[Served]:
    """A controller that asks for certificates."""
    with served(copy) as one:
        yield one


@pytest.mark.parametrize("apart", [False, True])
def test_fetched_once_for_all_clients(one: Served, tmp_path: Path, apart: bool) -> None:
    """The first call of a process makes one; whatever it calls after that, by whichever of its clients, shows it. The
    same where another process does TLS, which has another key than the node's."""
    kept = NodeCertificates()
    with ExitStack() as stack:
        link = stack.enter_context(beside(tmp_path)) if apart else None
        for client in (one.client(kept, link), one.client(kept, link)):
            for _ in range(2):
                assert client.post(REPORTS, BATCH, ReportsAnswer).acknowledged == 0

    assert one.given == 1
    assert kept.shown is not None and kept.public != one.key.public


def test_without_one_nothing_is_told(one: Served) -> None:
    """The credential and the key sign a call, and open no connection: it is refused, before it is looked at."""
    headers = one.machine.authorization | one.machine.signature("GET", DESIRED)
    wire = Direct(one.url, authority_of(one.world).pin)
    told, content = wire.exchange(Call(method="GET", target=DESIRED, headers=headers), b"")

    assert told.status == 403 and CERTIFICATE_CODE in content.decode()
    assert one.given == 0


@pytest.mark.parametrize(
    ("begins", "days"),
    [(timedelta(days=-5), 7), (timedelta(days=-8), 7), (timedelta(days=30), 7), (timedelta(days=-9000), 1)],
    ids=["two thirds", "over", "not begun", "of another age"],
)
def test_replaced_in_time_or_too_late(one: Served, begins: timedelta, days: float) -> None:
    """With a third of its life left, after its end, or before its beginning: the call is made, with a new one."""
    client = one.client(one.holding(begins, days))
    for _ in range(2):
        client.post(REPORTS, BATCH, ReportsAnswer)
        assert one.given == 1


def test_left_alone_before(one: Served) -> None:
    """With more than a third left it is not asked for."""
    one.client(one.holding(timedelta(days=-4), 7)).post(REPORTS, BATCH, ReportsAnswer)
    assert one.given == 0


def test_one_that_is_worth_nothing_any_more(one: Served) -> None:
    """Whatever the controller holds against it: once it says so, there is another."""
    kept, another = NodeCertificates(), Machine(one.world, 2, key=a_key()).power_on()
    assert another.key is not None
    kept.take(issue(authority_of(one.world), another.node_id, another.key.public, kept.public, datetime.now(UTC), 7))
    one.client(kept).post(REPORTS, BATCH, ReportsAnswer)
    assert one.given == 1


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\nAAAA", "another's"])
def test_what_is_no_certificate_is_not_taken(one: Served, text: str) -> None:
    """Nor is one of another key: it would open nothing."""
    with pytest.raises(DecodeError):
        NodeCertificates().take(one.machine.certificate_of_node() if text == "another's" else text)


def test_renewing_may_fail(one: Served, tmp_path: Path) -> None:
    """While the one that there is is good, calls go on; it is told, and tried again in minutes."""
    kept, authority = one.holding(timedelta(days=-6), 7), authority_of(one.world)
    context = server_context(authority, tmp_path, (LOOPBACK,))
    with answering((200, authority.pem), (500, ""), (200, "{}")) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        url = server.url.replace("http:", "https:")
        client = Client(url, SecretStr("c"), one.key, "s", authority.pin, certificates=kept)
        for _ in range(2):
            client.post(REPORTS, BATCH, Acknowledged)

    assert [path for path, _, _ in server.asked] == ["/boot/ca.pem", CERTIFICATE_PATH, REPORTS, REPORTS]
    assert kept.fault is not None and kept.fault.code == "LINK.CERTIFICATE"
    assert not kept.is_due(datetime.now(UTC).timestamp(), monotonic() + RETRY_S - 60)
    assert kept.is_due(datetime.now(UTC).timestamp(), monotonic() + RETRY_S)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_tls(one: Served, version: ssl.TLSVersion) -> None:
    """With the certificate 200, and without, or with that of another node that is let in, 403."""
    another = Machine(one.world, 2, key=a_key()).power_on()
    assert another.key is not None
    assert answered(one, version, with_key(one.machine)) == (200, None)
    assert answered(one, version, with_key(another)) == (403, CERTIFICATE_CODE)
    assert answered(one, version, None) == (403, CERTIFICATE_CODE)


def with_key(machine: Machine) -> str:
    """A certificate of that node, and its key, as PEM."""
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return text + machine.certificate_of_node(NodeKey(key.private_bytes_raw()))


def answered(one: Served, version: ssl.TLSVersion, pem: str | None) -> tuple[int, str | None]:
    """The status and code of a call that is signed with the node's key."""
    context = ssl.create_default_context(cadata=authority_of(one.world).pem)
    context.minimum_version = context.maximum_version = version
    if pem is not None:
        descriptor = os.memfd_create("key")
        os.write(descriptor, pem.encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        os.close(descriptor)
    connection = HTTPSConnection(LOOPBACK, one.port, context=context, timeout=10)
    with closing(connection):
        connection.request("GET", DESIRED, headers=one.machine.authorization | one.machine.signature("GET", DESIRED))
        answer = connection.getresponse()
        told = json.loads(answer.read())
        assert connection.sock.version() == version.name.replace("v1_", "v1.")
        return answer.status, told.get("fault", {}).get("code")


def test_people_need_none(one: Served, tmp_path: Path) -> None:
    """bmsctl calls over the same port with its token."""
    (tmp_path / "ca.pem").write_text(authority_of(one.world).pem)
    told = Bmsctl(one.url, one.world.controller.user_token, ca=tmp_path / "ca.pem").get("/v1/nodes")
    assert isinstance(told, list) and told[0]["id"] == one.machine.node_id

    for words, more in (([f"--ca-file={tmp_path}/ca.pem"], {}), ([], {"BMSCTL_CA": str(tmp_path / "ca.pem")})):
        environment = {"BMSCTL_URL": one.url, "BMSCTL_TOKEN": one.world.controller.user_token, **more}
        typed = CliRunner().invoke(app, [*words, "node", "list", "--json"], env=environment)
        assert json.loads(typed.stdout)[0]["id"] == one.machine.node_id
    assert isinstance(
        CliRunner().invoke(app, ["node", "list"], env=environment | {"BMSCTL_CA": None}).exception, LinkError
    )


def test_a_node_is_no_controller(one: Served, tmp_path: Path) -> None:
    """Its certificate is of the authority that agents trust, and opens connections only: a node that answers as if it
    were the controller is told nothing."""
    authority = authority_of(one.world)
    (tmp_path / "node.pem").write_text(with_key(one.machine))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "node.pem")
    with answering((200, authority.pem), (200, "{}")) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        client = Client(server.url.replace("http:", "https:"), SecretStr("c"), ca=authority.pin)
        with pytest.raises(LinkError, match="SSLError"):
            client.post(REPORTS, BATCH, Acknowledged)
        assert [path for path, _, _ in server.asked] == ["/boot/ca.pem"]

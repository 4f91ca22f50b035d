# SPDX-License-Identifier: Apache-2.0
"""Callers who only want to hold a connection: heads and bodies that never end, one address with very many, bodies that
take long to parse. Over loopback, against the controller's own server.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from agent.controller.api.limits import UPLOAD_PATHS, BodyLimit
from agent.controller.api.pace import PIECE_BYTES
from agent.controller.peer import NETWORK, Doorkeeper
from agent.controller.process import Server
from tests.controller.people import Person, administrator, nobody
from tests.controller.world import World

LOOPBACK = "127.0.0.1"
HEAD_S = 0.5
MOST = 6
PATIENCE_S = 20.0
BEGUN = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


@contextmanager
def serving(data: Path, door: Doorkeeper) -> Iterator[tuple[World, int, int]]:
    """A controller with its ports: in the clear, and by TLS."""
    with closing(socket.create_server((LOOPBACK, 0))) as plain, closing(socket.create_server((LOOPBACK, 0))) as secured:
        world = World(data, listen_tls=f"{LOOPBACK}:{secured.getsockname()[1]}")
        server = Server(world.controller, door=door)
        thread = Thread(target=lambda: server.run(sockets=[plain, secured]))
        thread.start()
        try:
            yield world, plain.getsockname()[1], secured.getsockname()[1]
        finally:
            world.controller.wakeups.close()
            server.should_exit = True
            thread.join(PATIENCE_S)
            world.close()


@contextmanager
def opened(port: int, *, tls: bool = False) -> Iterator[socket.socket]:
    """A connection."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    bare = socket.create_connection((LOOPBACK, port), PATIENCE_S)
    with context.wrap_socket(bare) if tls else bare as connection:
        yield connection


def is_ended(connection: socket.socket) -> bool:
    """Whether the other side ends it in time; what it says before is read."""
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("said", [b"", BEGUN, BEGUN + b"\r\n" + BEGUN], ids=["nothing", "half", "one and a half"])
def test_a_head_has_its_time(copy: Path, said: bytes, *, tls: bool) -> None:
    """Whoever says nothing, or only half of it, is not waited for; be it the second request of a connection."""
    with ExitStack() as stack:
        _, plain, secured = stack.enter_context(serving(copy, Doorkeeper(MOST, HEAD_S, HEAD_S)))
        connection = stack.enter_context(opened(secured if tls else plain, tls=tls))
        connection.sendall(said)
        assert is_ended(connection)


def test_an_address_has_so_many(copy: Path) -> None:
    """Of connections by which nobody has shown a good token; another one is closed at once. What is closed counts no
    more, nor does whoever is known."""
    door = Doorkeeper(MOST, PATIENCE_S)
    with serving(copy, door) as (world, plain, _):
        with ExitStack() as stack:
            known = stack.enter_context(closing(HTTPConnection(LOOPBACK, plain, timeout=PATIENCE_S)))
            for _ in range(MOST):
                stack.enter_context(opened(plain))
            token = {"Authorization": f"Bearer {world.controller.user_token}"}
            with pytest.raises(OSError):
                health(known)
            held = [stack.enter_context(opened(plain)) for _ in range(3)]
            assert all(map(is_ended, held))
        waited(lambda: not len(door))
        with ExitStack() as stack:
            for _ in range(3 * MOST):
                caller = stack.enter_context(closing(HTTPConnection(LOOPBACK, plain, timeout=PATIENCE_S)))
                caller.request("GET", "/v1/whoami", headers=token)
                assert caller.getresponse().read()
            assert not len(door)


def test_an_ipv6_network_has_so_many_too() -> None:
    """As a few addresses have; what is closed counts no more."""
    door = Doorkeeper(MOST)
    hosts = [f"2001:db8::{at:x}" for at in range(MOST * NETWORK)]
    assert all(map(door.enter, hosts))
    assert not door.enter("2001:db8::ffff")
    assert door.enter("2001:db8:0:1::1") and door.enter("192.0.2.1")
    for host in (*hosts, "2001:db8:0:1::1", "192.0.2.1"):
        door.leave(host)

    assert not len(door)


def test_nobody_calls_by_another_address_than_theirs(copy: Path) -> None:
    """What a caller from this very machine, or through it, says of where it comes from and by what is believed by
    nobody: not by the trail."""
    with ExitStack() as stack:
        world, plain, _ = stack.enter_context(serving(copy, Doorkeeper(MOST)))
        caller = stack.enter_context(closing(HTTPConnection(LOOPBACK, plain, timeout=PATIENCE_S)))
        said = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "Forwarded": "for=192.0.2.7"}
        token = {"Authorization": f"Bearer {administrator(world).token}"}
        caller.request("DELETE", "/v1/flavors/none", headers=said | token)
        assert caller.getresponse().read()
        [newest, *_] = administrator(world).does("GET", "/v1/audit")

        assert (newest["path"], newest["address"]) == ("/v1/flavors/none", LOOPBACK)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_has_two_lengths_hides_no_second_call(copy: Path, method: str) -> None:
    """It is refused, and its connection is ended: nothing that came with it is taken for another call."""
    lengths = "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    second = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with ExitStack() as stack:
        _, plain, _ = stack.enter_context(serving(copy, Doorkeeper(MOST)))
        connection = stack.enter_context(opened(plain))
        connection.sendall(f"{method} /healthz HTTP/1.1\r\nHost: x\r\n{lengths}{second}".encode())
        answers = b""
        while part := connection.recv(65536):
            answers += part

    assert answers.startswith(b"HTTP/1.1 400 ")
    assert answers.count(b"HTTP/1.1 ") == 1
    assert b"two lengths" in answers


def health(connection: HTTPConnection) -> int:
    """A call that needs no token; its status."""
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def waited(holds: Callable[[], bool]) -> None:
    """Until it does, or too long."""
    until_s = monotonic() + PATIENCE_S
    while not holds():
        assert monotonic() < until_s
        sleep(0.01)


def test_a_pause_between_two_calls_is_no_end(copy: Path) -> None:
    """A kept connection lives longer than a head may take."""
    with ExitStack() as stack:
        _, plain, _ = stack.enter_context(serving(copy, Doorkeeper(MOST, HEAD_S)))
        connection = stack.enter_context(closing(HTTPConnection(LOOPBACK, plain, timeout=PATIENCE_S)))
        assert health(connection) == 200
        sleep(2 * HEAD_S)
        kept = connection.sock
        assert health(connection) == 200
        assert connection.sock is kept is not None


@pytest.mark.parametrize("path", ["/v1/users", UPLOAD_PATHS[0]])
def test_a_body_has_its_time(path: str) -> None:
    """One that is read as a whole has it for all of it, an upload for each part; then it is 408."""
    parts = iter(range(3))

    async def drip() -> Message:
        if next(parts, None) is None:
            await asyncio.sleep(PATIENCE_S)
        await asyncio.sleep(0.05)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()

    async def answer(message: Message) -> None:
        raise AssertionError(message)

    scope = {"type": "http", "path": path, "method": "POST", "headers": []}
    limit = BodyLimit(reading, body_s=0.3, part_s=0.3)
    with pytest.raises(HTTPException) as refused:
        asyncio.run(asyncio.wait_for(limit(scope, drip, answer), PATIENCE_S / 2))
    assert refused.value.status_code == 408


def test_large_bodies_count_as_many_calls(made: Callable[..., World]) -> None:
    """Of a stranger, and of whoever is known: what they send is parsed. An hour's worth is not sent at once."""
    world = made(strangers_per_s=0.5, calls_per_s=0.5)
    admin = administrator(world)
    admin.does("GET", "/v1/whoami")
    large = {"name": "x" * 20 * PIECE_BYTES}

    assert admin.call("POST", "/v1/users", large).status_code == 429
    assert nobody(world).call("POST", "/v1/users", large).status_code == 429
    assert "retry-after" in nobody(world).call("GET", "/healthz").headers


def test_a_body_of_common_size_is_one_call(made: Callable[..., World]) -> None:
    """Ten small ones are ten calls."""
    world = made(strangers_per_s=0.5)
    strangers = [Person(world, f"wrong{number}") for number in range(9)]

    assert {one.call("POST", "/v1/users", {"name": "x" * 1000}).status_code for one in strangers} == {401}


def test_answers_are_kept_nowhere(world: World) -> None:
    """They may hold a secret; browsers take them for what they are, and frame none. An image is any cache's."""
    for path in ("/docs", "/healthz", "/v1/whoami", "/none", "/boot/ipxe?mac=52:54:00:00:01:01"):
        headers = administrator(world).call("GET", path).headers
        assert headers["cache-control"] == "no-store", path
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "cache-control" not in nobody(world).call("GET", "/images/none/content").headers

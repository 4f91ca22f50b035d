# SPDX-License-Identifier: Apache-2.0
"""How long the API waits for whom, and what it makes but once for several."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from threading import Barrier, Event, Thread
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import load_pem_x509_certificate

from agent.api.ironic.callers import Punctual
from agent.api.ironic.certificate import certificate
from agent.api.ironic.record import Record
from agent.api.ironic.server import context
from agent.api.ironic.together import Together
from agent.api.ironic.work import Site, Work
from agent.errors import HostError
from agent.host.fake import FakeHost
from agent.model.image import ImagePolicy
from agent.model.ironic.asked import Serving
from agent.model.ironic.wire import Node
from tests.api.ironic.served import BOOT, DIRECTORY, HOW, UUID, identity, serving
from tests.apply.disks import machine

PATIENCE_S = 20.0


def test_who_drips_is_not_waited_for() -> None:
    """A byte now and then is no way to hold a connection: the time is that of the whole request."""
    left, right = socket.socketpair()
    over = Event()

    def drip() -> None:
        while not over.wait(0.05):
            left.send(b"x")

    thread = Thread(target=drip, name="drip")
    with left, right:
        thread.start()
        peer, came, began_s = Punctual(right, 0.5), 0, time.monotonic()
        with pytest.raises(TimeoutError):
            while True:
                came += peer.readinto(bytearray(1))
        took_s = time.monotonic() - began_s
        over.set()
        thread.join(PATIENCE_S)

    assert came >= 2
    assert 0.4 < took_s < 5


def test_who_is_known_gets_more_time() -> None:
    """From then on."""
    left, right = socket.socketpair()
    with left, right:
        peer = Punctual(right, 0.0, 0)
        peer.extend(PATIENCE_S, 4)
        left.send(b"late")
        room = bytearray(8)

        assert (peer.readinto(room), bytes(room[:4])) == (4, b"late")


def test_what_several_want_is_made_once() -> None:
    """All who ask while it is made get that one; who asks afterwards gets another."""
    made: list[bytes] = []
    go = Event()

    def make() -> bytes:
        assert go.wait(PATIENCE_S)
        made.append(b"%d" % len(made))
        return made[-1]

    logs, got, ready = Together(make), list[bytes](), Barrier(4)

    def ask() -> None:
        ready.wait(PATIENCE_S)
        got.append(logs())

    threads = [Thread(target=ask, name=f"asks-{number}") for number in range(3)]
    for thread in threads:
        thread.start()
    ready.wait(PATIENCE_S)
    time.sleep(1.0)  # for two calls to get to where they wait, which nobody can see
    go.set()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert got == [b"0"] * 3
    assert logs() == b"1"


def test_what_several_want_cannot_be_made() -> None:
    """Each hears of it, and the next is a new try."""
    tries: list[int] = []

    def make() -> bytes:
        tries.append(1)
        raise HostError("making it")

    logs = Together(make)
    for _ in range(2):
        with pytest.raises(HostError):
            logs()

    assert len(tries) == 2


@pytest.mark.parametrize(("curve", "bits"), [("p256", 256), ("p384", 384), ("p521", 521)])
def test_curves(curve: str, bits: int) -> None:
    """As Ironic's operator wants it (`ipa-tls-certificate-curve`)."""
    key = load_pem_x509_certificate(certificate("192.0.2.1", curve)[0].encode()).public_key()

    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.key_size == bits


def test_ciphers_of_the_api() -> None:
    """Those that were named; of such as nobody has, the library's own are kept, for the API must be served."""

    def named(ciphers: str | None) -> set[str]:
        made = context(Serving(pem=HOW.pem, tls_min_version="1.2", tls_ciphers=ciphers))
        return {one["name"] for one in made.get_ciphers() if one["protocol"] != "TLSv1.3"}

    assert named("ECDHE-ECDSA-AES256-GCM-SHA384") == {"ECDHE-ECDSA-AES256-GCM-SHA384"}
    assert named("NOBODYS") == named(None) == named("TLS_AES_256_GCM_SHA384")


def test_a_connection_that_says_half_a_request(tmp_path: Path) -> None:
    """It costs the others nothing."""
    with serving(FakeHost.with_files({}), tmp_path) as agent:
        parts = urlsplit(agent.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S) as idle:
            idle.send(b"\x16")
            assert agent.get("/", None).status_code == 200


def test_a_root_disk_that_turns_up_late() -> None:
    """It is looked for a few times before a step that writes to it, and no longer than it must."""
    for serial, waits in (("S0", 0), ("none", 3)):
        host = FakeHost.of(machine(5 << 30))
        record = Record(host.files, DIRECTORY, BOOT)
        record.open(identity(), Node(uuid=UUID, properties={"root_device": {"serial": serial}}))
        before = host.machine.uptime_s
        site = Site(
            host=host,
            record=record,
            logs=bytes,
            rescue=lambda _: None,
            over=lambda _: None,
            disk_attempts=4,
            disk_pause_s=10,
        )
        Work(site, DIRECTORY, BOOT, ImagePolicy()).await_root_disk()

        assert host.machine.uptime_s - before == waits * 10

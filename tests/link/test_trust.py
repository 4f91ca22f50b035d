# SPDX-License-Identifier: Apache-2.0
"""TLS with the controller: whoever the pinned authority certifies, by any name and at any time, and nobody else."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.config import load
from agent.controller.tls import Authority, load_authority, server_context
from agent.errors import ConfigError, LinkError
from agent.link.client import Client
from agent.model.protocol import Acknowledged, ReportBatch
from tests.link.answers import Scripted, answering

BATCH = ReportBatch(stream_id="s", reports=())
NAMES = ("controller.example", "192.0.2.1")


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    """The controller's."""
    (tmp_path / "ours").mkdir()
    return load_authority(tmp_path / "ours")


@pytest.fixture
def another(tmp_path: Path) -> Authority:
    """Somebody else's."""
    (tmp_path / "another").mkdir()
    return load_authority(tmp_path / "another")


@contextmanager
def serving(folder: Path, says: Authority, has: Authority, highest: ssl.TLSVersion | None = None) -> Iterator[Scripted]:
    """A server that says which authority it goes by, and has a certificate of one."""
    context = server_context(has, folder, NAMES)
    if highest is not None:
        context.minimum_version, context.maximum_version = highest, highest
        context.set_ciphers("ALL:@SECLEVEL=0")
    with answering((200, says.pem), (200, "{}")) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        yield server


def called(server: Scripted, pin: str) -> None:
    """An agent's call."""
    url = server.url.replace("http:", "https:")
    Client(url, SecretStr("credential"), ca=pin).post("/v1/agent/reports", BATCH, Acknowledged)


def test_the_pinned_authority_is_trusted(tmp_path: Path, ours: Authority) -> None:
    """The server's name is another, and no authority of the system's knows it: it is ours, so it is heard."""
    with serving(tmp_path, ours, ours) as server:
        called(server, ours.pin)

    assert [path for path, _, _ in server.asked] == ["/boot/ca.pem", "/v1/agent/reports"]
    assert [credential for _, credential, _ in server.asked] == [None, "Bearer credential"]


def test_another_authority_is_not(tmp_path: Path, ours: Authority, another: Authority) -> None:
    """It may say that it is ours, or say its own: it gets no credential either way."""
    for says, evidence in ((another, "and not sha256:"), (ours, "SSLError")):
        with serving(tmp_path, says, another) as server, pytest.raises(LinkError, match=evidence):
            called(server, ours.pin)
        assert [credential for _, credential, _ in server.asked if credential] == []


@pytest.mark.parametrize("is_first", [True, False])
def test_another_authority_beside_the_pinned_one(tmp_path: Path, is_first: bool) -> None:
    """What has the digest is trusted, and nothing that was sent with it, before it or after it. (Python's decoder stops
    at the padding of the first, so the digest of both is that of the first alone; not every certificate has padding.)
    """
    made = (load_authority(folder) for folder in folders(tmp_path))
    ours = next(one for one in made if "=\n-----END" in one.pem)
    another = next(made)
    both = (ours.pem + another.pem) if is_first else (another.pem + ours.pem)
    with serving(tmp_path, Authority(both, ours.key), another) as server, pytest.raises(LinkError):
        called(server, ours.pin)
    assert [credential for _, credential, _ in server.asked if credential] == []


def folders(parent: Path) -> Iterator[Path]:
    """As many as are taken."""
    for number in count():
        (parent / str(number)).mkdir()
        yield parent / str(number)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_old_tls_is_refused(tmp_path: Path, ours: Authority) -> None:
    """Below 1.2 nothing is said."""
    with serving(tmp_path, ours, ours, ssl.TLSVersion.TLSv1_1) as server, pytest.raises(LinkError):
        called(server, ours.pin)
    assert server.asked == []
    assert server_context(ours, tmp_path, NAMES).minimum_version is ssl.TLSVersion.TLSv1_2


def test_no_pin_in_the_clear(ours: Authority) -> None:
    """Where an authority is pinned, nothing is ever sent without TLS."""
    with answering((200, "{}")) as server, pytest.raises(ConfigError, match="not https"):
        Client(server.url, SecretStr("c"), ca=ours.pin).post("/v1/agent/reports", BATCH, Acknowledged)
    assert server.asked == []


@pytest.mark.parametrize("sent", ["", "<html>", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "é"])
def test_nonsense_instead_of_an_authority(tmp_path: Path, ours: Authority, sent: str) -> None:
    """Is no fault of ours, and nobody is trusted by it."""
    with serving(tmp_path, Authority(sent, ours.key), ours) as server, pytest.raises(LinkError):
        called(server, ours.pin)
    assert len(server.asked) == 1


def test_an_authority_is_made_once(tmp_path: Path, ours: Authority) -> None:
    """Its file is private; a controller that is started again has the same."""
    path = tmp_path / "ours" / "ca-key.pem"

    assert load_authority(tmp_path / "ours").pin == ours.pin
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(one.name for one in (tmp_path / "ours").iterdir()) == ["ca-key.pem", "ca-pin"]
    assert "PRIVATE" not in ours.pem
    path.write_text("half")
    with pytest.raises(ConfigError, match="no certificate"):
        load_authority(tmp_path / "ours")


def test_no_private_key_stays_behind(tmp_path: Path, ours: Authority) -> None:
    """The server's own is in memory alone."""
    (tmp_path / "run").mkdir()
    server_context(ours, tmp_path / "run", NAMES)

    assert list((tmp_path / "run").iterdir()) == []


def test_the_pin_is_a_setting(ours: Authority) -> None:
    """On the kernel command line; half of one is refused."""
    assert load(None, f"bms.controller=https://c bms.ca={ours.pin}").ca == ours.pin
    with pytest.raises(ConfigError, match="ca:"):
        load(None, f"bms.ca={ours.pin[:-1]}")

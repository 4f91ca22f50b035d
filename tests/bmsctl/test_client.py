# SPDX-License-Identifier: Apache-2.0
"""Whom `bmsctl` trusts, and what it says to them: real TLS on loopback, by the controller's own authority."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.bmsctl.client import Client
from agent.controller.tls import load_authority, server_context
from agent.errors import LinkError
from tests.link.answers import Scripted, answering


@contextmanager
def secured(data: Path) -> Iterator[Scripted]:
    """A controller's TLS."""
    data.mkdir()
    context = server_context(load_authority(data), data, ("127.0.0.1",))
    with answering((200, "{}")) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        yield server


def authority_of(data: Path) -> Path:
    """What its /boot/ca.pem says, in a file."""
    file = data / "ca.pem"
    file.write_text(load_authority(data).pem)
    return file


def test_the_controllers_own_authority_is_trusted_if_it_is_named(tmp_path: Path) -> None:
    """Unnamed it is anybody's, and another controller's authority is another."""
    with secured(tmp_path / "ours") as server, secured(tmp_path / "theirs"):
        url = server.url.replace("http:", "https:")
        assert Client(url, "token", ca=authority_of(tmp_path / "ours")).get("/x") == {}
        for ca in (None, authority_of(tmp_path / "theirs")):
            with pytest.raises(LinkError, match="CERTIFICATE_VERIFY_FAILED"):
                Client(url, "token", ca=ca).get("/x")

    assert [asked[1] for asked in server.asked] == ["Bearer token"]


def test_nothing_else_takes_the_tokens_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a login in ~/.netrc, nor is there a proxy in between that would read it."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ada password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with answering((200, "{}")) as server:
        Client(server.url, "token").get("/x")

    assert [asked[1] for asked in server.asked] == ["Bearer token"]

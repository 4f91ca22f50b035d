# SPDX-License-Identifier: Apache-2.0
"""What `bmsctl` says of a wrong address, a wrong token, and a controller that is not there: in its own words, once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from agent.bmsctl.watch import watch
from agent.errors import LinkError
from tests.link.answers import answering

pytestmark = pytest.mark.commands
LIST = ("node", "list")


def ours(*words: str, **environment: str) -> tuple[int, list[str]]:
    """Status, and the lines on standard error."""
    argv = [sys.executable, "-c", "from agent.bmsctl import main; main()", *words]
    variables = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment}
    done = subprocess.run(argv, env=variables, capture_output=True, check=False, timeout=60)
    return done.returncode, done.stderr.decode(errors="surrogateescape").splitlines()


def test_nobody_listens() -> None:
    """Why, as the system says it, and what of this command to look at; not what libraries call it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    status, said = ours(*LIST, BMSCTL_URL=url)

    assert status == 7 and len(said) == 2, said
    assert said[0] == f"LINK.UNREACHABLE: calling GET {url}/v1/nodes: Connection refused"
    assert "BMSCTL_URL" in said[1] and "agent" not in said[1]


@pytest.mark.parametrize("url", ["nonsense", "127.0.0.1:8480", "http://", "ftp://controller", ""])
def test_no_address(url: str) -> None:
    """It is refused before anybody is called."""
    status, said = ours("--url", url, *LIST)

    assert status == 2 and said[0].endswith("that is no address of one") and "http://HOST:PORT" in said[1]


@pytest.mark.parametrize("token", ["b\udce9d", "two words", "two\nlines", "é"])
def test_no_token(token: str) -> None:
    """What cannot be in a header is none, and is not shown."""
    with answering((200, "[]")) as server:
        status, said = ours(*LIST, BMSCTL_URL=server.url, BMSCTL_TOKEN=token)

    assert (status, server.asked) == (2, [])
    assert said[0] == "CONFIG.INVALID: reading the token: it has characters that no token has"
    assert "bmsctl token create" in said[1] and token not in "\n".join(said)


@pytest.mark.parametrize(("content", "told"), [(None, "No such file or directory"), (b"\xff\xfe", "it holds no text")])
def test_no_token_in_a_file(content: bytes | None, told: str, tmp_path: Path) -> None:
    """Why, once, and not where the agent has its settings."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    status, said = ours("--token-file", str(file), *LIST)

    assert (status, said[0]) == (2, f"CONFIG.INVALID: reading the token in {file}: {told}")
    assert len(said) == 2 and "agent.toml" not in said[1]


class Away:
    """A controller that does not answer while somebody waits."""

    def get(self, path: str, **query: str) -> object:
        """Never."""
        raise LinkError("calling the controller", "it is away")


def test_who_stops_waiting_is_told_what_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    """The order was given: Ctrl-C does not take it back, and the way to see its end is named."""

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch(Away(), "j1", Console(), interrupted)

    assert capsys.readouterr().err == "what was ordered goes on: bmsctl job show j1\n"

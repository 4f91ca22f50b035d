# SPDX-License-Identifier: Apache-2.0
"""`bms-agent diagnose` and `diagnose bundle` as processes: exit statuses, JSON, files, a real PUT to a real server."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread

import pytest

from agent.diagnose.text import told
from agent.model.finding import Diagnosis
from tests.link.answers import answering

pytestmark = pytest.mark.commands
OURS = [sys.executable, "-m", "agent"]
README = Path(__file__).parents[2] / "README.md"
MIB = 1024 * 1024
SECRET = "bearer-that-nobody-prints"


def ours(*words: str) -> subprocess.CompletedProcess[str]:
    """The command, on this machine."""
    return subprocess.run([*OURS, *words], capture_output=True, text=True, check=False, timeout=120)


@contextmanager
def server(status: int) -> Iterator[tuple[str, list[tuple[str, str | None, bytes]]]]:
    """One that answers a PUT so; its URL, and what it was sent: (path, Authorization, body)."""
    sent: list[tuple[str, str | None, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = b""
            while (size := int(self.rfile.readline(), 16)) > 0:
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            sent.append((self.path, self.headers["Authorization"], body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = Thread(target=httpd.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}", sent
        httpd.shutdown()
        thread.join()


def names(archive: bytes) -> set[str]:
    """Of the files in it."""
    with tarfile.open(fileobj=BytesIO(archive), mode="r:gz") as tar:
        return set(tar.getnames())


def test_text_and_exit_status() -> None:
    """The answer comes first; 8 says that something keeps this machine from working, and 0 that nothing does."""
    told, text = ours("diagnose", "--json"), ours("diagnose")
    findings = json.loads(told.stdout)["findings"]

    assert told.returncode == (8 if any(one["severity"] == "error" for one in findings) else 0)
    assert text.returncode in (0, 8) and text.stdout.splitlines()[1].startswith("answer ")


def test_the_readme_shows_a_finding_as_it_is() -> None:
    """A controller that does not listen: rung by rung with its time, folded as on a terminal; only names are others."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"localhost:{taken.getsockname()[1]}"
    variables = {**os.environ, "BMS_AGENT_CONTROLLER": f"http://{where}"}
    done = subprocess.run([*OURS, "diagnose", "--json"], env=variables, capture_output=True, check=False, timeout=120)
    found = Diagnosis.model_validate_json(done.stdout).findings[0]
    why = re.sub(
        r"\d+ ms", "1 ms", found.why.replace("from 127.0.0.1", "from 10.0.0.5").replace("127.0.0.1", "10.0.0.1")
    )
    changes = {"what": found.what.replace(where, "controller.example:8480"), "why": why}

    assert done.returncode == 8 and found.code == "CONTROLLER.NO_CONNECTION"
    assert "\n".join(line.text for line in told(found.model_copy(update=changes), 80)) in README.read_text()


def test_watching_a_pipe() -> None:
    """A line of JSON, and no other before something changes; it ends when it is told to."""
    with subprocess.Popen([*OURS, "diagnose", "--watch", "--json"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        time.sleep(0.2)
        process.terminate()
        process.communicate(timeout=30)

    assert {"answer", "findings", "unknown"} <= first.keys()


def test_bundle_into_a_file(tmp_path: Path) -> None:
    """--plan makes nothing; then the file is there, for its owner only, and as large as it may be at most."""
    to = tmp_path / "bundle.tar.gz"
    planned = ours("diagnose", "bundle", "--to", str(to), "--plan")
    before = to.exists()
    done = ours("diagnose", "bundle", "--to", str(to), "--limit-mib", "1", "--json")

    assert (planned.returncode, before) == (0, False) and "would go to" in planned.stdout
    listed = {one["name"] for one in json.loads(done.stdout)["files"]}
    assert names(to.read_bytes()) == listed | {"manifest.json"}
    assert {"findings.json", "inventory.json", "network.json", "journal"} <= listed
    assert to.stat().st_size <= MIB and to.stat().st_mode & 0o777 == 0o600


def test_bundle_to_a_server(tmp_path: Path) -> None:
    """By PUT, with the credentials that were given, which are not printed; nor is a signature in the URL."""
    bearer = tmp_path / "bearer"
    bearer.write_text(f"{SECRET}\n")
    with server(201) as (url, sent):
        done = ours("diagnose", "bundle", "--to", f"{url}/b.tar.gz?sig={SECRET}", "--bearer-file", str(bearer))
    ((path, authorization, body),) = sent

    assert done.returncode == 0, done.stderr
    assert (path, authorization) == (f"/b.tar.gz?sig={SECRET}", f"Bearer {SECRET}")
    assert "findings.txt" in names(body) and SECRET not in done.stdout + done.stderr


def test_a_server_that_does_not_take_it() -> None:
    """It is an error, with a code, and no success is claimed."""
    with server(403) as (url, _):
        done = ours("diagnose", "bundle", "--to", f"{url}/b.tar.gz")

    assert done.returncode == 5 and done.stdout == "" and "IMAGE.ACCESS_DENIED" in done.stderr


def test_to_the_controller(tmp_path: Path) -> None:
    """As the node that this machine is, and it says what the controller calls it; with --plan nothing is sent."""
    with answering((200, '{"name": "x.tar.gz", "size_bytes": 7}')) as controller:
        told = {"controller_url": controller.url, "node_id": "n1", "credential": SECRET}
        (tmp_path / "identity.json").write_text(json.dumps(told))
        environment = {**os.environ, "BMS_AGENT_STATE_DIR": str(tmp_path)}
        words = [*OURS, "diagnose", "bundle", "--upload", "--limit-mib", "1"]
        planned, done = (
            subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120, env=environment)
            for argv in ([*words, "--plan"], words)
        )

    ((path, authorization, body),) = controller.asked
    assert (path, authorization, body[:2]) == ("/v1/agent/bundles", f"Bearer {SECRET}", b"\x1f\x8b")
    assert "would go" in planned.stdout and f"{controller.url}/v1/nodes/n1/bundles/x.tar.gz" in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_to_two() -> None:
    """A file and the controller are two."""
    assert ours("diagnose", "bundle", "--upload", "--to", "/tmp/x").returncode == 2

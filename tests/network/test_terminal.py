# SPDX-License-Identifier: Apache-2.0
"""`bms-agent network apply` at a terminal, in a namespace: it shows that it works, and Ctrl-C leaves no half of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.root
OURS = [sys.executable, "-m", "agent"]
NIC, MAC = "nic0", "02:00:00:00:77:01"
DESIRED = {
    "links": [{"kind": "ethernet", "name": NIC, "mac": MAC, "addresses": ["10.9.0.2/24"]}],
    "routes": [{"destination": "0.0.0.0/0", "gateway": "10.9.0.1", "link": NIC}],
}
"""With a gateway that nobody is."""
PROVING, TAKEN_BACK = b"changing the network, and proving it", b"is taken back without this command"


@pytest.fixture
def namespace() -> Iterator[str]:
    """With a NIC whose cable leads to nobody."""
    name = f"terminal{os.getpid()}"
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "add", NIC, "address", MAC, "type", "veth", "peer", "name", "nobody")
        ip("-n", name, "link", "set", "nobody", "up")
        yield name
    finally:
        ip("netns", "delete", name)


def ip(*words: str) -> str:
    """ip(8)."""
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True, timeout=30).stdout


def addresses(namespace: str) -> str:
    """That the NIC has."""
    return ip("-n", namespace, "-4", "-br", "address", "show", NIC)


def test_a_change_that_takes_its_time(namespace: str, tmp_path: Path) -> None:
    """A sign of life while it is proven, with log lines whole above it; interrupted, it says what becomes of it."""
    file = tmp_path / "network.json"
    file.write_text(json.dumps(DESIRED))
    ours_end, its_end = os.openpty()
    words = ["network", "apply", str(file), "--no-persist", "--state", str(tmp_path / "state")]
    argv = ["ip", "netns", "exec", namespace, *OURS, *words]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"}
    with subprocess.Popen(argv, env=environment, stdin=its_end, stdout=its_end, stderr=its_end) as process:
        os.close(its_end)
        shown = b""
        while b"prove_network" not in shown or PROVING not in shown.rpartition(b"prove_network")[2]:
            shown += os.read(ours_end, 4096)
        during = addresses(namespace)
        process.send_signal(signal.SIGINT)
        shown += b"".join(iter(lambda: piece_of(ours_end), b""))
        assert process.wait(timeout=60) == 130
    os.close(ours_end)
    for _ in range(150):
        if "10.9.0.2" not in (after := addresses(namespace)):
            break
        time.sleep(0.2)

    assert "10.9.0.2/24" in during and "10.9.0.2" not in after
    assert TAKEN_BACK in shown and b"\n[2m" not in shown  # an escape sequence, of which half was shown


def piece_of(terminal: int) -> bytes:
    """The next, or nothing once everybody has hung up (EIO)."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""

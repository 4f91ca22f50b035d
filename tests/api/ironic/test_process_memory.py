# SPDX-License-Identifier: Apache-2.0
"""What the process that Ironic calls takes of a small machine's memory: less than its unit allows, with the largest
order that there can be in its hands. What it is allowed more is what a taken-over one could have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from agent.host.fake import FakeHost
from agent.model.ironic.asked import LARGEST_BODY_BYTES
from tests.api.ironic.served import TOKEN, serving
from tests.api.ironic.test_apart import HANDED_OVER
from tests.link.beside import Started

MIB = 1 << 20
UNIT = Path(__file__).resolve().parents[3] / "systemd" / "bms-agent-api.service"
IN_SOCKETS = 64 * MIB
"""The kernel's part of what is under way, counted to the unit, too: Linux lets a TCP connection have 6 MiB unread
(tcp_rmem), of those that bring much there are few at a time, and of a Unix socket's 208 KiB a few lines' worth."""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Started]:
    """The command itself, as nobody where that may be."""
    found = Started(tmp_path, HANDED_OVER)
    try:
        found.start()
        yield found
    finally:
        found.close()


def allowed() -> int:
    """By its unit, in bytes."""
    (told,) = re.findall(r"^MemoryMax=(\d+)M$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    return int(told) * MIB


def peak(process: Started) -> int:
    """The most that it has had, in bytes."""
    assert process.process is not None
    status = Path(f"/proc/{process.process.pid}/status").read_text(encoding="utf-8")
    return int(re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[0]) * 1024


@pytest.mark.commands
def test_the_largest_order_fits(tmp_path: Path, process: Started) -> None:
    """One that is refused only when it has been read, by root; and one after it. At rest it has a third of that."""
    with serving(FakeHost.with_files({}), tmp_path, beside=str(process.path)) as agent:
        assert agent.listed() == []
        at_rest = peak(process)
        body = b"[" + b" " * (LARGEST_BODY_BYTES - MIB) + b"]"
        for _ in range(2):
            answer = requests.post(
                f"{agent.url}/v1/commands/", params={"agent_token": TOKEN}, data=body, verify=agent.ca, timeout=120
            )
            assert answer.status_code == 400, answer.text
        most = peak(process)
    print(f"at rest {at_rest / MIB:.0f} MiB, at most {most / MIB:.0f} of {allowed() / MIB:.0f}")  # noqa: T201

    assert at_rest < allowed() / 3
    assert most > LARGEST_BODY_BYTES, "it was not asked for what it may be asked for"
    assert most + IN_SOCKETS < allowed()

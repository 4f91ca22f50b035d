# SPDX-License-Identifier: Apache-2.0
"""`bms-agent validate` as a process: what it shows, its exit statuses, and that SIGINT ends it at once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli import app
from agent.errors import InputError
from agent.model.validation.catalogue import CATALOGUE
from agent.model.validation.codes import CODES

pytestmark = pytest.mark.commands
OURS = [sys.executable, "-m", "agent", "validate"]
ALONE = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /run && exec "$@"', "sh", *OURS]
"""With a /run of its own: its journal there has one writer."""
AT_WORK = 3
"""Threads, when the load has begun: the first, the job's, one for a processor at least."""


def ours(*words: str) -> subprocess.CompletedProcess[str]:
    """The command, where nothing is done."""
    return subprocess.run([*OURS, *words], capture_output=True, text=True, check=False, timeout=120)


def done(*words: str) -> subprocess.CompletedProcess[str]:
    """The command, where something is."""
    return subprocess.run([*ALONE, *words], capture_output=True, text=True, check=False, timeout=120)


def test_the_catalogue() -> None:
    """Every test, with what can be set, and every code, for people and for programs."""
    told = json.loads(ours("--list", "--json").stdout)

    assert [one["name"] for one in told["tests"]] == [one.name for one in CATALOGUE]
    assert told["codes"] == CODES
    text = ours("--list").stdout
    for test in CATALOGUE:
        assert test.proves in text and all(f"    {each.name}=" in text for each in test.parameters)
    assert all(f"\n{code}\n    {to_do}\n" in text for code, to_do in CODES.items())


def test_a_plan() -> None:
    """What would be tested, and how; a test that destroys is refused without its disk."""
    assert ours("--test", "cpu.load", "--set", "seconds=7", "--plan").stdout == "1. test: cpu.load (seconds 7)\n"
    refused = ours("--test", "disk.write", "--plan")
    assert refused.returncode == 2 and "--disk SERIAL --wipe" in refused.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--set", "seconds"),
        ("--set", "seconds=-1"),
        ("--set", "nothing=1"),
        ("--only", "gpu"),
        ("--profile", "slow"),
        ("--wipe",),
        ("--test", "no.such"),
    ],
)
def test_asked_wrongly(words: tuple[str, ...]) -> None:
    """It is said what is wrong, before anything is done."""
    refused = CliRunner().invoke(app, ["validate", *words, "--plan"])

    assert isinstance(refused.exception, InputError) and refused.exception.exit_status == 2 and not refused.stdout


def test_a_flavor(tmp_path: Path) -> None:
    """Field by field; 8 where one does not fit, 2 for what is no flavor."""
    flavor = tmp_path / "flavor.json"
    flavor.write_text(json.dumps({"name": "f", "id": "1", "cores": 1, "ram_mb": 1, "disks": 1, "nics": 1000}))
    shown, told = ours("--flavor", str(flavor)), ours("--flavor", str(flavor), "--json")

    assert shown.returncode == told.returncode == 8
    assert "mismatch  nics" in shown.stdout and "match     cores" in shown.stdout
    fields = {one["field"]: one["fits"] for one in json.loads(told.stdout)}
    assert fields["cores"] and not fields["nics"]
    flavor.write_text('{"cors": 1}')
    assert ours("--flavor", str(flavor)).returncode == 2


@pytest.mark.root
def test_what_it_finds() -> None:
    """As a table and as JSON, and 0; where nothing could be tested, 8 and why."""
    told = done("--test", "memory.bandwidth", "--set", "seconds=1", "--json")
    (verdict,) = json.loads(told.stdout)["verdicts"]
    assert told.returncode == 0 and (verdict["test"], verdict["code"]) == ("memory.bandwidth", "OK")

    degraded = done("--test", "memory.bandwidth", "--set", "seconds=1", "--set", "least=10000000")
    assert degraded.returncode == 9 and degraded.stdout.startswith("degraded memory.bandwidth")
    assert "MEMORY.SLOW\nto do    Compare" in degraded.stdout and "degraded: 0 failed, 1 degraded" in degraded.stdout

    late = done("--test", "cpu.load", "--set", "seconds=100", "--time-limit", "1")
    assert late.returncode == 8 and "TEST.TIME_OVER: the time of all tests is over" in late.stdout


@pytest.mark.root
def test_sigint_ends_it() -> None:
    """130, long before its time, and no thread of it goes on."""
    words = ["--test", "cpu.load", "--set", "seconds=600"]
    with subprocess.Popen([*ALONE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            for _ in range(600):
                if len(list(Path(f"/proc/{process.pid}/task").iterdir())) >= AT_WORK:
                    break
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()

    assert process.returncode == 130, (out, err)
    assert err.startswith("ending what was begun") and "Traceback" not in err and not out

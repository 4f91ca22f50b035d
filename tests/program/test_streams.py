# SPDX-License-Identifier: Apache-2.0
"""Both programs with streams that are closed, full, read no further, or of a terminal without UTF-8."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from agent.program.streams import escaped

pytestmark = pytest.mark.commands
PROGRAMS = {"bms-agent": "agent.cli", "bmsctl": "agent.bmsctl"}
MACHINES = Path(__file__).parents[1] / "machines"
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
WORDS = """
from agent.program.streams import streams
import sys
with streams():
    sys.stdout.write({text!a})
"""


def shell(program: str, words: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """The command with what a shell does to its streams."""
    argv = [sys.executable, "-c", f"from {PROGRAMS[program]} import main; main()"]
    line = f"{shlex.join(argv)} {words}"
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(["sh", "-c", line], env=environment, capture_output=True, check=False, timeout=60)


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_nowhere_to_write(program: str) -> None:
    """A full disk is told, with what to do, and by the status: nobody shall take half of an answer for all of it."""
    done = shell(program, "man >/dev/full")
    said = done.stderr.decode()

    assert done.returncode == 6 and said.count("\n") == 2, said
    assert said.startswith("HOST.ERROR: writing to the standard output: No space left on device")
    assert "to do:" in said


@pytest.mark.parametrize("program", sorted(PROGRAMS))
@pytest.mark.parametrize(("closed", "status"), [("<&-", 0), (">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0)])
def test_streams_that_are_closed(program: str, closed: str, status: int) -> None:
    """What is not asked for is not missed."""
    done = shell(program, f"man {closed}")

    assert (done.returncode, done.stderr) == (status, b"")
    assert done.stdout.startswith(b".TH ") == (">&-" not in closed.replace("2>&-", ""))


def test_nothing_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """What is opened next is none of the three: a line meant for a closed screen would land in a disk."""
    text = "from agent.program.streams import streams\nimport os\nwith streams():\n"
    text += f"    found = os.open({str(tmp_path)!r}, os.O_RDONLY)\n    raise SystemExit(found)"
    done = subprocess.run(["sh", "-c", f"{shlex.join([sys.executable, '-c', text])} <&- >&- 2>&-"], check=False)

    assert done.returncode > 2


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_a_reader_who_has_had_enough(program: str) -> None:
    """`| head` ends the command without a word."""
    done = shell(program, "man | head -n 1")

    assert (done.stdout.count(b"\n"), done.stderr) == (1, b"")


@pytest.mark.parametrize("words", ["inventory", "inventory --json", "diagnose", "status"])
def test_a_terminal_without_utf_8(words: str) -> None:
    """What it has no letter for is written as JSON does; JSON itself is the same as elsewhere."""
    machine = shlex.quote(str(MACHINES / "synthetic-odd-disks"))
    plain, whole = (
        shell("bms-agent", f"--machine {machine} {words}", **each) for each in (ASCII, {"LC_ALL": "C.UTF-8"})
    )

    assert plain.returncode == whole.returncode and b"Traceback" not in plain.stderr
    if "--json" not in words:
        assert plain.stdout.isascii() and plain.stdout
    else:
        taken = [json.loads(each.stdout) for each in (plain, whole)]
        assert [one.pop("taken_at") for one in taken] and taken[0] == taken[1]


@pytest.mark.parametrize("text", ["°", "→ é", "\udce9 of a file's name", "\U0001f600"])
def test_whatever_is_written_arrives(text: str) -> None:
    """In ASCII, and names of files that are no UTF-8 in a terminal that is: as JSON reads it back."""
    for variables in (ASCII, {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8"}):
        argv = [sys.executable, "-c", WORDS.format(text=text)]
        done = subprocess.run(argv, env=variables, capture_output=True, check=True, timeout=60)
        assert json.loads(f'"{done.stdout.decode()}"') == text


def test_errors_of_another_kind_stay() -> None:
    """Only what cannot be written is written otherwise."""
    with pytest.raises(UnicodeDecodeError):
        escaped(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no letter"))

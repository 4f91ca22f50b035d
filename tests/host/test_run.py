# SPDX-License-Identifier: Apache-2.0
"""The run door, with real commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from select import select

import pytest

from agent.errors import CommandFailed, ToolMissing
from agent.host.run import UNDER_WAY, RealRun, end_all, ending, environment, kill, said, start

run = RealRun()


@pytest.mark.commands
def test_output() -> None:
    """What a command prints is returned, with bytes that are no UTF-8 replaced."""
    done = run(["printf", r"a\377b"])

    assert (done.argv, done.stdout, done.stderr) == (("printf", r"a\377b"), "a\ufffdb", "")


@pytest.mark.commands
def test_stdin() -> None:
    """A command reads the text that is given, and else the end of file at once."""
    assert run(["cat"], stdin="text").stdout == "text"
    assert run(["cat"]).stdout == ""


@pytest.mark.commands
@pytest.mark.parametrize(
    ("argv", "timeout_s", "error", "evidence"),
    [
        (["no-such-tool", "-x"], 60, ToolMissing, "running no-such-tool -x: no-such-tool is not installed"),
        (["/etc"], 60, CommandFailed, "running /etc: Permission denied"),
        (["sh", "-c", "echo why >&2; exit 3"], 60, CommandFailed, "exit status 3; stderr: why"),
        (["sh", "-c", "kill -SEGV $$"], 60, CommandFailed, "killed by SIGSEGV"),
        (["sh", "-c", "echo slow >&2; sleep 60"], 0.3, CommandFailed, "not finished after 0.3 s, killed; stderr: slow"),
    ],
)
def test_failures_are_told_apart(argv: list[str], timeout_s: float, error: type[Exception], evidence: str) -> None:
    """Not installed, not startable, failed, killed and too slow each have their own text, with the argv."""
    with pytest.raises(error) as caught:
        run(argv, timeout_s=timeout_s)

    assert evidence in str(caught.value)
    assert str(caught.value).startswith(f"running {argv[0]}")


@pytest.mark.commands
def test_timeout_ends_the_children_too(tmp_path: Path) -> None:
    """What a command has started does not outlive its timeout."""
    pid_file = tmp_path / "pid"
    with pytest.raises(CommandFailed):
        run(["sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait"], timeout_s=0.5)

    assert has_ended(int(pid_file.read_text()))


LEFT_BEHIND = """
import sys, time
from pathlib import Path
from threading import Thread
from agent.host.run import RealRun

argv = ["sh", "-c", f"sleep 600 & echo $$ $! > {sys.argv[1]}.new; mv {sys.argv[1]}.new {sys.argv[1]}; wait"]
Thread(target=RealRun(), args=(argv,), kwargs={"timeout_s": 600.0}, daemon=True).start()
while not Path(sys.argv[1]).exists():
    time.sleep(0.01)
"""


@pytest.mark.commands
def test_a_process_that_ends_leaves_none_behind(tmp_path: Path) -> None:
    """A thread that still waits for a command ends with its process; the command, and its children, do so too."""
    pids = tmp_path / "pids"
    subprocess.run([sys.executable, "-c", LEFT_BEHIND, str(pids)], check=True, timeout=120)

    assert all(has_ended(int(pid)) for pid in pids.read_text().split())


@pytest.mark.commands
def test_a_fork_leaves_its_parents_commands() -> None:
    """Whoever goes on as a process of its own, and ends, ends none that another waits for."""
    process = start(["sleep", "600"], None)
    UNDER_WAY.add((os.getpid() + 1, process))
    try:
        end_all()
        assert process.poll() is None
    finally:
        UNDER_WAY.clear()
        kill(process)


def has_ended(pid: int) -> bool:
    """Whether a process ends soon; a pidfd is readable from then on (pidfd_open(2))."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(fd, closefd=True):
        return bool(select([fd], [], [], 10.0)[0])


@pytest.mark.commands
def test_environment_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tools speak C.UTF-8 and see nothing of the agent's environment beyond the short list."""
    monkeypatch.setenv("SECRET", "hunter2")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    printed = dict(line.split("=", 1) for line in run(["env"]).stdout.splitlines())

    assert printed["LANG"] == "C.UTF-8"
    assert not {"SECRET", "LC_ALL"} & set(printed)


def test_environment_without_path() -> None:
    """Tools are found even where the agent was started without a PATH."""
    assert environment({})["PATH"].endswith("/sbin:/bin")
    assert environment({"PATH": "/mine"})["PATH"] == "/mine"


@pytest.mark.parametrize(
    ("returncode", "text"), [(1, "exit status 1"), (-9, "killed by SIGKILL"), (-250, "killed by signal 250")]
)
def test_ending(returncode: int, text: str) -> None:
    """An ending is told in words, also for a signal that has no name."""
    assert ending(returncode) == text


def test_said_keeps_the_end() -> None:
    """Of a long stderr the end is kept: there the reason stands."""
    assert said("exit status 1", "x" * 5000 + "\n the reason\n").endswith("x the reason")
    assert len(said("exit status 1", "x" * 5000)) < 700


@pytest.mark.commands
def test_closed_directory_in_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A missing tool is told as missing also where PATH names what is no directory at all."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}/file:/usr/bin:/bin")
    with pytest.raises(ToolMissing):
        run(["no-such-tool"])
    assert run(["true"]).argv == ("true",)

# SPDX-License-Identifier: Apache-2.0
"""What all commands of `bmsctl` have in common: help that fits, --json, completion, colours off if asked, statuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from agent.bmsctl import STATUSES, app
from agent.bmsctl.validation import DEGRADED, FAILED

pytestmark = pytest.mark.commands
NO_DATA = {"completion", "man"}
"""They print a text: there is no answer to show."""

ORDERS = {".TH", ".SH", ".SS", ".TP", ".B"}


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command, and every group."""
    yield " ".join(path), command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


ALL = dict(commands(typer.main.get_command(app)))


def ours(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    argv = [sys.executable, "-c", "from agent.bmsctl import main; main()", *words]
    variables = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(argv, env=variables, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("command", sorted(ALL))
def test_help_fits_a_terminal(command: str) -> None:
    """Every command has help, and no line of it is wider than 80 columns."""
    done = CliRunner(env={"COLUMNS": "80", "TERM": "dumb"}).invoke(app, [*command.split(), "--help"])

    assert done.exit_code == 0 and "Usage: " in done.output
    assert max(len(line.rstrip()) for line in done.output.splitlines()) <= 80


def test_every_command_has_json() -> None:
    """A program can read whatever a person can."""
    leaves = {name: one for name, one in ALL.items() if not hasattr(one, "commands")}
    without = {name for name, one in leaves.items() if not any("--json" in each.opts for each in one.params)}

    assert without == NO_DATA and {"node list", "node validation", "server create"} <= leaves.keys()


def test_the_statuses_are_in_the_help() -> None:
    """Of all that it can end with."""
    told = " ".join(ours("--help", COLUMNS="400").stdout.split())

    assert [meaning for meaning in STATUSES.values() if meaning not in told] == []
    assert {int(one) for words in STATUSES for one in words.split(", ")} == {FAILED, DEGRADED, 130, *range(1, 8)}


def test_manual() -> None:
    """Every command, option and exit status is in it, and nothing in it is an order that man(7) does not know."""
    done = ours("man")
    plain = done.stdout.replace("\\-", "-")
    leaves = {name: one for name, one in ALL.items() if not hasattr(one, "commands")}
    options = {option for one in ALL.values() for each in one.params for option in each.opts if option.startswith("--")}

    assert [name for name in leaves if f".SS bmsctl {name} " not in plain] == []
    assert {"--token-file", "--wait"} < options and [option for option in sorted(options) if option not in plain] == []
    assert [words for words in STATUSES if f".B {words}\n" not in plain] == []
    assert {line.split()[0] for line in done.stdout.splitlines() if line.startswith(".")} == ORDERS


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_manual_as_it_is_read() -> None:
    """groff has nothing to complain of."""
    argv = ["groff", "-man", "-Tutf8", "-ww"]
    done = subprocess.run(argv, input=ours("man").stdout, capture_output=True, text=True, check=False, timeout=30)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    """A script for each shell, by which the shell asks this command."""
    script = ours("completion", shell).stdout
    assert "_BMSCTL_COMPLETE" in script and "bmsctl" in script


def test_the_tabulator() -> None:
    """What a shell is told of a word that is begun."""
    asked = {"_BMSCTL_COMPLETE": "complete_bash", "COMP_WORDS": "bmsctl node vali", "COMP_CWORD": "2"}

    assert ours(**asked).stdout.split() == ["validate", "validation"]


@pytest.mark.parametrize(("words", "coloured"), [((), True), (("--no-color",), False)])
def test_colours_off_when_asked(words: tuple[str, ...], coloured: bool) -> None:
    """Also where a terminal is played."""
    done = ours(*words, "node", "--help", FORCE_COLOR="1", TERM="xterm-256color")

    assert done.returncode == 0
    assert any(f"\x1b[{code}" in done.stdout for code in ("3", "1;3")) == coloured

# SPDX-License-Identifier: Apache-2.0
"""What all commands have in common: help that fits, --json or --plan, exit statuses, completion, manual, imports."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from agent import errors
from agent.cli import ROWS, app
from agent.cli.exits import EXIT_STATUSES
from agent.errors import AgentError
from agent.program.manual import walk

RESIDENT = {"ramdisk", "service", "link", "writer", "api", "controller"}
"""They run until they are stopped."""
TEXTS = {"network convert", "man", "completion"}
"""What they print is the one form there is of it; of a network, that is JSON."""
READS = {
    "inventory",
    "disk verify",
    "image inspect",
    "image verify",
    "network show",
    "status",
    "diagnose",
    "version",
}
"""Whatever is not named here changes something, until it is."""
NEVER = ("fastapi", "starlette", "uvicorn", "sqlalchemy", "alembic")
MODULES = """
import runpy, sys
sys.argv = ["bms-agent", *{words!r}]
try:
    runpy.run_module("agent", run_name="__main__")
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""
DRAWN = """
import typer
from agent.cli import app
from agent.program.log import Logger
typer.main.get_command(app).main("{words}version".split(), standalone_mode=False)
from rich.console import Console
Console().print("[red]drawn")
Logger("a test").error("logged")
"""
pytestmark = pytest.mark.commands


def commands() -> dict[str, set[str]]:
    """Every command, and its options."""
    return {
        " ".join(path): {
            option for parameter in one.params if not getattr(parameter, "hidden", False) for option in parameter.opts
        }
        for path, one in walk(typer.main.get_command(app))
        if getattr(one, "invoke_without_command", True)  # a group that only leads to others is no command
    }


ALL = ["", *{" ".join(path[:end]) for path in map(str.split, commands()) for end in range(1, len(path) + 1)}]


def ours(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own, with nothing in its environment but this."""
    argv = [sys.executable, "-m", "agent", *words]
    path = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    return subprocess.run(argv, env=path | environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("command", sorted(ALL))
def test_help_fits_a_terminal(command: str) -> None:
    """Every command has help, and no line of it is wider than 80 columns."""
    done = CliRunner(env={"COLUMNS": "80", "TERM": "dumb"}).invoke(app, [*command.split(), "--help"])

    assert done.exit_code == 0 and "Usage: " in done.output
    assert max(len(line) for line in done.output.splitlines()) <= 80
    assert "..." not in done.output.partition("Commands:")[2]


def test_every_line_of_the_table_is_its_commands_own() -> None:
    """What `--help` says of a command without importing it, is how the command's own help begins."""
    own = {path[0]: one.help or "" for path, one in walk(typer.main.get_command(app)) if len(path) == 1}

    assert own.keys() == ROWS.keys()
    assert {name: row.line for name, row in ROWS.items() if not own[name].startswith(row.line)} == {}


def test_every_read_has_json() -> None:
    """A program can read whatever a person can."""
    assert [name for name in READS if "--json" not in commands()[name]] == []


def test_every_write_has_a_plan() -> None:
    """Whatever changes something can be asked first what it would do; a new command does, until it is named a read."""
    writes = commands().keys() - READS - RESIDENT - TEXTS

    assert {"image write", "disk erase", "network apply"} <= writes
    assert [name for name in sorted(writes) if "--plan" not in commands()[name]] == []


def every(kind: type[AgentError]) -> Iterator[type[AgentError]]:
    """An error and all below it."""
    yield kind
    for below in kind.__subclasses__():
        yield from every(below)


def test_every_error_has_an_exit_status_of_the_table() -> None:
    """None ends with a number that nobody can look up, and none that says 'done'."""
    statuses = {one.exit_status for one in every(AgentError) if one.__module__.startswith(errors.__name__ + ".")}

    assert statuses <= EXIT_STATUSES.keys() - {0}
    assert statuses == {1, 2, 3, 4, 5, 6, 7, 8}  # stable: a new kind of error gets one of these, or a new line


def test_exit_statuses_of_processes() -> None:
    """0 for what is shown, 2 for what is asked wrongly, by Typer's words or by ours."""
    assert ours("version").returncode == 0
    assert ours("inventory", "--jason").returncode == 2
    assert ours("image", "inspect", "/no/such/image").returncode == 2


@pytest.mark.parametrize("words", [["--help"], ["version"], ["man"], ["image", "--help"]])
def test_no_colours_in_a_pipe(words: list[str]) -> None:
    """Escape sequences are for terminals; no file gets any."""
    done = ours(*words, TERM="xterm-256color")

    assert done.returncode == 0 and "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "variables", "coloured"), [("", {}, True), ("--no-color ", {}, False), ("", {"NO_COLOR": "1"}, False)]
)
def test_colours_off_when_asked(words: str, variables: dict[str, str], coloured: bool) -> None:
    """On a terminal a table and a log line are coloured, unless somebody does not want it."""
    shown = on_a_terminal("-c", DRAWN.format(words=words), **variables)

    assert "drawn" in shown and "logged" in shown
    assert [bool(re.search(r"\x1b\[[0-9;]*3[0-9]m", line)) for line in shown.splitlines()[-2:]] == [coloured] * 2


def test_a_log_does_nothing_to_a_terminal() -> None:
    """Its own colours are there, and no sequence that came with a name."""
    text = "from agent.cli.logs import configure\nfrom agent.program.log import Logger\nconfigure('info', 'text')\n"
    text += "Logger('a test').info('seen', name='a\\x1b]0;title\\x07b', other=['\\x1b[2J'])"
    shown = on_a_terminal("-c", text)

    assert "\x1b[" in shown and "seen" in shown
    assert "\x1b]" not in shown and "\x07" not in shown and "\x1b[2J" not in shown


def on_a_terminal(*words: str, **variables: str) -> str:
    """What this program of Python writes to one."""
    ours_end, its_end = os.openpty()
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TERM": "xterm-256color", "COLUMNS": "80", **variables}
    with subprocess.Popen(
        [sys.executable, *words], env=environment, stdin=its_end, stdout=its_end, stderr=its_end
    ) as process:
        os.close(its_end)
        shown = b"".join(read_until_hung_up(ours_end))
        assert process.wait(timeout=60) == 0
    os.close(ours_end)
    return shown.decode()


WAITED = """
import sys, time
from agent.program.wait import waiting
with waiting("listening", {seconds}):
    time.sleep(0.5)
print("rich" in sys.modules)
"""


@pytest.mark.parametrize("seconds", [0, 2])
def test_a_sign_of_life(seconds: int) -> None:
    """On a terminal what takes its time says so, with or without a known end; in a pipe nothing is drawn, or loaded."""
    shown = on_a_terminal("-c", WAITED.format(seconds=seconds))
    assert "listening" in shown and "0:00:00" in shown and "True" in shown.splitlines()[-1]
    argv = [sys.executable, "-c", WAITED.format(seconds=seconds)]
    assert subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout == "False\n"


def read_until_hung_up(terminal: int) -> Iterator[bytes]:
    """Until nobody has its other end open (EIO)."""
    with suppress(OSError):
        while piece := os.read(terminal, 4096):
            yield piece


@pytest.mark.parametrize("words", [["inventory", "--json"], ["network", "show", "--json"], ["version"]])
def test_a_read_imports_no_web_framework_and_no_database(words: list[str]) -> None:
    """The controller's libraries are not even installed in a ramdisk."""
    argv = [sys.executable, "-c", MODULES.format(words=words)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    imported = done.stderr.splitlines()[-1].split()

    assert "agent.cli" in imported
    assert [name for name in imported if name.partition(".")[0] in NEVER] == []


def test_help_imports_no_command() -> None:
    """Not even models: `bms-agent --help` costs hardly more than Typer."""
    argv = [sys.executable, "-c", MODULES.format(words=["--help"])]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    imported = done.stderr.splitlines()[-1].split()

    ours = {name for name in imported if name.startswith("agent.") and not name.startswith("agent.errors")}
    shared = {"agent.program", "agent.program.printable", "agent.program.streams"}
    assert ours == {"agent.cli", "agent.cli.lazy", "agent.cli.unswept"} | shared
    assert not {"pydantic", "rich", "structlog"} & set(imported)


def test_a_misspelt_command_is_guessed() -> None:
    """The answer names what was probably meant."""
    done = ours("netwrok", "show")

    assert done.returncode == 2 and "Did you mean 'network'?" in done.stderr


@pytest.mark.parametrize(("typed", "offered"), [("bms-agent net", {"network"}), ("bms-agent image c", {"capture"})])
def test_completion(typed: str, offered: set[str]) -> None:
    """The shell is offered what fits, group by group."""
    variables = {"_BMS_AGENT_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    done = ours(**variables)

    assert set(done.stdout.split()) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(shell: str) -> None:
    """It sends the shell to our command; bash understands every line of it."""
    script = ours("completion", shell).stdout

    assert "_BMS_AGENT_COMPLETE=complete_" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=10)


def test_manual() -> None:
    """Every command, option and exit status is in it, and nothing in it is an order that man(7) does not know."""
    done = ours("man")
    plain = done.stdout.replace("\\-", "-")

    assert [name for name in commands() if f".SS bms-agent {name} " not in plain] == []
    assert [
        one for options in commands().values() for one in options if one.startswith("--") and one not in plain
    ] == []
    assert ".B --machine DIR\n" in plain.partition(".SH COMMANDS")[0]  # of all commands, so before them
    assert [status for status in EXIT_STATUSES if f".B {status}\n" not in plain] == []
    orders = {line.split()[0] for line in done.stdout.splitlines() if line.startswith(".")}
    assert orders == {".TH", ".SH", ".SS", ".TP", ".B"}


@pytest.mark.skipif(shutil.which("mandoc") is None and shutil.which("groff") is None, reason="needs groff, or mandoc")
def test_manual_as_it_is_read() -> None:
    """groff has nothing to complain of."""
    argv = ["groff", "-man", "-Tutf8", "-ww"] if shutil.which("groff") else ["mandoc", "-Tlint"]
    done = subprocess.run(argv, input=ours("man").stdout, capture_output=True, text=True, check=False, timeout=30)

    assert (done.returncode, done.stderr) == (0, "")


def test_version_as_json() -> None:
    """As everything that is shown."""
    assert json.loads(ours("version", "--json").stdout) == {"version": ours("version").stdout.strip()}


CONFIG = '{"links": [{"kind": "ethernet", "name": "eth0", "mac": "02:00:00:00:00:01", "dhcp4": true}]}'


def test_render_plans_before_it_writes(tmp_path: Path) -> None:
    """With --plan a mounted system stays as it is; without, it gets what was shown; --json has the same texts."""
    file, root = tmp_path / "network.json", tmp_path / "root"
    file.write_text(CONFIG)
    root.mkdir()
    words = ["network", "render", str(file), "--manager", "networkd", "--root", str(root)]
    told = CliRunner().invoke(app, [*words, "--plan", "--json"])
    before = list(root.iterdir())
    written = CliRunner().invoke(app, words)

    assert before == [] and "DHCP=ipv4" in told.stdout
    assert {path: (root / path[1:]).read_text() for path in written.stdout.split()} == json.loads(told.stdout)


def test_revert_plans_before_it_changes(tmp_path: Path) -> None:
    """Without a change under way there is nothing to plan either."""
    done = CliRunner().invoke(app, ["network", "revert", "--plan", "--state", str(tmp_path)])

    assert (done.exit_code, done.stdout) == (0, "there is nothing to take back\n")

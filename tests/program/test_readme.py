# SPDX-License-Identifier: Apache-2.0
"""What README names is there: options, parameters, codes, units and files; and its numbers are those of the program."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer

from agent.api.ironic.translate import at_once
from agent.apply.capture.take import MOST_THREADS
from agent.apply.chunked.pack import LEVEL
from agent.bmsctl import app as client
from agent.cli import app as agent
from agent.cli.network import read
from agent.config import Settings
from agent.controller.bundles import KEPT
from agent.controller.flow.groups import MOST_GROUPS, MOST_RULES
from agent.controller.flow.strangers import MOST_WAITING
from agent.controller.options import Options
from agent.controller.process import LONGEST_PAUSE_S as CONTROLLER_PAUSE_S
from agent.life.lives import FIRST_PAUSE_S, LONGEST_PAUSE_S
from agent.program.manual import walk
from tests.bench.__main__ import WHAT

ROOT = Path(__file__).parents[2]
README = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
ELSEWHERE = {"--driver-info", "--annotation-file"}
"""Options of other people's programs."""
NONE = {"--format"}
"""Of which README says that `image capture` has none."""
SCRIPTS = ("images/lab/demo.py", "images/cache/serve", "tests/conftest.py")
"""Programs of this repository that are not commands of the agent's, and read options of their own."""


def options() -> Iterator[str]:
    """All that there are."""
    for app in (agent, client):
        for _, command in walk(typer.main.get_command(app)):
            for each in command.params:
                yield from (*each.opts, *each.secondary_opts)
    for name in SCRIPTS:
        yield from re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", (ROOT / name).read_text(encoding="utf-8"))


@cache
def spoken() -> str:
    """All that the program has of texts, one a line."""
    files = sorted((ROOT / "agent").rglob("*.py"))
    nodes = (node for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return "\n".join(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_options() -> None:
    """Each is of some command; one that README says is not there is not."""
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", README))
    capture = {" ".join(path): command for path, command in walk(typer.main.get_command(agent))}["image capture"]

    assert len(named) > 80
    assert named - set(options()) == ELSEWHERE
    assert not NONE & {one for each in capture.params for one in each.opts}


def test_parameters_of_the_kernel() -> None:
    """Each is a setting."""
    named = set(re.findall(r"\bbms\.([a-z_]+)", README))

    assert len(named) > 5 and named <= set(Settings.model_fields)


def test_codes() -> None:
    """Whoever looks for one in this text has met it."""
    named = set(re.findall(r"\b[A-Z]+\.[A-Z_]{3,}\b", README))
    known = set(spoken().splitlines())

    assert len(named) > 5 and named <= known


def test_units_and_files() -> None:
    """In this repository."""
    units = set(re.findall(r"`([\w-]+\.service)`", README))
    files = set(re.findall(r"(?<![\w/:])((?:agent|tests|images|systemd)/[\w/.-]*[\w/])", README))

    assert len(units) > 3 and [unit for unit in sorted(units) if not (ROOT / "systemd" / unit).is_file()] == []
    assert len(files) > 8 and [file for file in sorted(files) if not (ROOT / file).exists()] == []


def test_what_is_installed_and_run() -> None:
    """Extras of the package, marks of the tests, and what is measured."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = {each for found in re.findall(r"'\.\[([a-z,]+)\]'", README) for each in found.split(",")}
    marks = {mark.partition(":")[0] for mark in project["tool"]["pytest"]["ini_options"]["markers"]}
    [left_out] = re.findall(r'-m "([a-z ]+)"', README)

    assert extras == {"controller", "postgresql"} and extras <= set(project["project"]["optional-dependencies"])
    assert {word for word in left_out.split() if word not in ("not", "and")} <= marks
    assert len(measured := set(re.findall(r"tests/bench/run ([a-z]+)", README))) > 4 and measured <= set(WHAT)


def test_steps_of_ironic() -> None:
    """Names that Ironic's operators know: commands, steps and settings."""
    named = set(re.findall(r"`((?:erase|inject|burnin|clean|validate|install|disk|wipe)_[a-z_]+)`", README))
    known = spoken()

    assert len(named) > 8 and [name for name in sorted(named) if name not in known] == []


@pytest.mark.parametrize(
    "said",
    [
        f"no more than {MOST_WAITING} wait for approval",
        f"(`--certificate-days`, {Options.model_fields['certificate_days'].default:.0f})",
        f"(at most {MOST_THREADS} threads), at level {LEVEL}",
        f"{MOST_GROUPS} groups, {MOST_RULES} rules each",
        f"waits {FIRST_PAUSE_S:.0f} s to {LONGEST_PAUSE_S / 60:.0f} minutes before it begins",
        {30.0: "a controller half a minute at most"}.get(CONTROLLER_PAUSE_S, "otherwise"),
        {5: "which keeps the last five"}.get(KEPT, "otherwise"),
        f"(`disk_erasure_concurrency`, {at_once(None)})",
    ],
)
def test_numbers(said: str) -> None:
    """Tests of each go by the program's own."""
    assert said in README


def test_the_network_that_is_shown(tmp_path: Path) -> None:
    """It is read as a network of ours, and nothing of it is passed over."""
    [text] = re.findall(r"```json (.*?)```", README)
    (tmp_path / "network.json").write_text(text)
    found = read(tmp_path / "network.json").model_dump(mode="json", exclude_unset=True)

    assert json.loads(text)["routes"] == [{**found["routes"][0], "link": "bond0"}]
    assert [link["name"] for link in found["links"]] == ["a", "b", "bond0", "bond0.7"]

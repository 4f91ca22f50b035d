# SPDX-License-Identifier: Apache-2.0
"""DESIGN sections 2 and 8, held: floors, doors, private names, sizes, openings; each rule shown able to fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import architecture
from tests.architecture import RULES, Rule, Source

ROOT = Path(__file__).parent.parent
TOP_LEVEL = {"LICENSE", "README.md", "agent", "images", "pyproject.toml", "systemd", "tests"}
FOLDERS = ("agent", "images", "tests")
SOURCES = [
    Source(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
]
HEAD = '# SPDX-License-Identifier: Apache-2.0\n"""Duty."""\n'

# (rule, file, source that breaks it, part of what is said)
BROKEN: list[tuple[Rule, str, str, str]] = [
    (architecture.floors, "agent/host/run.py", "from agent.plan.image import plan_deploy", "host imports plan"),
    (architecture.floors, "agent/plan/image.py", "import agent.apply.image", "plan imports apply"),
    (architecture.floors, "agent/model/job.py", "from agent import config", "model imports config"),
    (architecture.floors, "agent/controller/x.py", "from agent.host import doors", "by errors, program, model"),
    (architecture.floors, "agent/bmsctl/x.py", "def late():\n    from agent.link import client", "only"),
    (architecture.floors, "agent/novelty.py", "", "stands on no floor"),
    (architecture.floors, "agent/job/x.py", "from agent.novelty import thing", "job imports novelty"),
    (architecture.doors, "agent/apply/disk.py", "import subprocess", "only agent/host/run.py, "),
    (architecture.doors, "agent/host/files.py", "from subprocess import run", "only agent/host/run.py, "),
    (architecture.doors, "agent/controller/rules/x.py", "import sqlalchemy.orm", "only agent/controller/store/"),
    (architecture.doors, "agent/cli/x.py", "from fastapi import FastAPI", "may import fastapi"),
    (architecture.private_names, "agent/job/x.py", "from agent.host.run import _start", "agent.host.run._start"),
    (architecture.private_names, "agent/job/x.py", "from agent.host import run\nrun._start()", "run._start"),
    (architecture.private_names, "tests/x.py", "import agent.host._secret", "agent.host._secret"),
    (architecture.module_names, "agent/host/utils.py", "", "name the noun"),
    (architecture.module_names, "agent/common/x.py", "", "name the noun"),
    (architecture.no_mocks, "tests/x.py", "from unittest import mock", "write a fake"),
    (architecture.no_mocks, "tests/x.py", "from unittest.mock import patch", "write a fake"),
    (architecture.no_mocks, "tests/x.py", "def test(monkeypatch):\n    monkeypatch.setattr('a.b', 1)", "a fake"),
    (architecture.sizes, "agent/x.py", "\n" * 401, "401 lines"),
    (architecture.sizes, "agent/x.py", "def long():\n" + "    pass\n" * 60, "long has 61 lines"),
    (architecture.opening, "agent/x.py", '"""Duty."""', "SPDX"),
    (architecture.opening, "agent/x.py", "# SPDX-License-Identifier: Apache-2.0\n", "no docstring"),
    (architecture.tests_read_as_sentences, "tests/x.py", "def test_it(): pass", "test_it does not say"),
    (architecture.pure_planner, "agent/plan/x.py", "from datetime import datetime", "imports datetime"),
    (architecture.pure_planner, "agent/plan/x.py", "from agent.host.doors import Host", "imports agent.host"),
    (architecture.pure_planner, "agent/plan/x.py", "open('/etc/hosts')", "calls open()"),
]
FINE: list[tuple[Rule, str, str]] = [
    (
        architecture.floors,
        "agent/cli/disk.py",
        "from agent import __version__\nfrom agent.operations import Operations",
    ),
    (architecture.floors, "agent/host/run.py", "from agent.host.doors import Run\nimport os"),
    (architecture.doors, "agent/host/run.py", "import subprocess"),
    (architecture.doors, "tests/x.py", "import subprocess"),
    (architecture.private_names, "agent/x.py", "from __future__ import annotations\nclass A:\n    _a = 1\nA._a"),
    (architecture.sizes, "agent/x.py", "def long():\n" + "    pass\n" * 59),
    (architecture.no_mocks, "tests/x.py", "def test(monkeypatch):\n    monkeypatch.setenv('A', 'b')"),
    (architecture.opening, "agent/x.py", HEAD),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_file_keeps(rule: Rule) -> None:
    """Every Python file of the repository keeps the rule."""
    problems = [f"{source.path}: {problem}" for source in SOURCES for problem in rule(source)]

    assert not problems, f"{rule.__doc__}\n" + "\n".join(problems)


@pytest.mark.parametrize(("rule", "path", "text", "said"), BROKEN)
def test_rule_can_fail(rule: Rule, path: str, text: str, said: str) -> None:
    """Each rule refuses a file that breaks it, and says what is wrong."""
    assert said in "\n".join(rule(Source(path, text)))


@pytest.mark.parametrize(("rule", "path", "text"), FINE)
def test_rule_can_pass(rule: Rule, path: str, text: str) -> None:
    """Each rule lets through what is allowed."""
    assert list(rule(Source(path, text))) == []


def test_scripts_open_with_the_licence() -> None:
    """So does every script that is no Python module."""
    files = [path for folder in ("images", "tests", ".ci") for path in (ROOT / folder).rglob("*") if path.is_file()]
    scripts = [path for path in files if path.suffix != ".py" and path.read_bytes().startswith(b"#!/")]

    assert [path for path in scripts if list(architecture.licence(path.read_text(encoding="utf-8")))] == []
    assert list(architecture.licence("#!/bin/sh\necho\n")) != []


def test_every_rule_is_shown_to_fail() -> None:
    """No rule stands in the list that nothing could break."""
    assert {rule for rule, *_ in BROKEN} == set(RULES)


def test_floors_are_those_that_exist() -> None:
    """Every part of the agent stands on a floor."""
    parts = {
        path.stem for path in (ROOT / "agent").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }

    assert parts - {"__init__", "__main__"} <= {part for row in architecture.FLOORS for part in row}


def test_top_level() -> None:
    """The repository's top level is what the README says, and nothing else but dotfiles."""
    assert {path.name for path in ROOT.iterdir() if not path.name.startswith(".")} == TOP_LEVEL

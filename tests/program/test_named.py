# SPDX-License-Identifier: Apache-2.0
"""Every command that a text names is there: in hints, findings, help and README. They are typed as they stand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

from agent.bmsctl import app as client
from agent.cli import app as agent
from agent.program.manual import walk

ROOT = Path(__file__).parents[2]
TREES = {
    name: {" ".join(path): one for path, one in walk(typer.main.get_command(app))}
    for name, app in (("bms-agent", agent), ("bmsctl", client))
}
NAMED = re.compile(r"\b(bms-agent|bmsctl) (?:--machine \S+ )?([a-z][a-z-]*(?: [a-z][a-z-]*)*)([^|;#\n`,()]*)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
PROSE = {"is", "in", "itself", "runs", "call"}
"""What follows the program's name in a sentence, or in what is signed, and is no command."""


def texts() -> Iterator[str]:
    """Every text of the program's, and all of README that is to be typed."""
    for path in sorted((ROOT / "agent").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    for block, span in re.findall(r"```sh\n(.*?)```|`([^`]+)`", (ROOT / "README.md").read_text(encoding="utf-8"), re.S):
        yield block or " ".join(span.split())


def faults(text: str, trees: Mapping[str, Mapping[str, Any]] = TREES) -> Iterator[str]:
    """What is named in it, and is not there."""
    for program, words, rest in NAMED.findall(text):
        tree, said = trees[program], words.split()
        if said[0] in PROSE:
            continue
        known = [end for end in range(1, len(said) + 1) if " ".join(said[:end]) in tree]
        if not known:
            yield f"{program} {words}"
            continue
        name = " ".join(said[: known[-1]])
        below = any(other.startswith(f"{name} ") for other in tree)
        if below and len(said) > known[-1] and getattr(tree[name], "no_args_is_help", False):
            yield f"{program} {words}"
        mine = {one for each in (*tree[name].params, *tree[""].params) for one in (*each.opts, *each.secondary_opts)}
        yield from (f"{program} {name} {one}" for one in OPTION.findall(rest) if one not in mine | {"--help"})


def test_every_command_that_is_named_is_there() -> None:
    """With its options."""
    named = list(texts())

    assert sum(bool(NAMED.search(text)) for text in named) > 100
    assert [fault for text in named for fault in faults(text)] == []


@pytest.mark.parametrize(
    "text", ["See bms-agent hardware.", "Try bmsctl node aprove NODE.", "bms-agent diagnose --for-ever", "`bmsctl lst`"]
)
def test_what_is_not_there_is_found(text: str) -> None:
    """A word, a word below it, an option."""
    assert len(list(faults(text))) == 1

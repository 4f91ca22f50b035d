# SPDX-License-Identifier: Apache-2.0
"""What a package brings beside the program: the manual and the completion, where systems look for them.

They lie in agent/share, since to make them takes all that the program imports, and a build has none of it:
`pytest --rewrite-golden` writes them.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.commands
ROOT = Path(__file__).parents[2]
SHARE = ROOT / "agent" / "share"
PROGRAMS = {"bms-agent": "agent.cli", "bmsctl": "agent.bmsctl"}
TEXTS = {".1": ["man"], **{f".{shell}": ["completion", shell] for shell in ("bash", "zsh", "fish")}}
MADE = sorted(f"{program}{ending}" for program in PROGRAMS for ending in TEXTS)
WHERE = {
    place.format(program)
    for program in PROGRAMS
    for place in (
        "share/man/man1/{}.1",
        "share/bash-completion/completions/{}",
        "share/zsh/site-functions/_{}",
        "share/fish/vendor_completions.d/{}.fish",
    )
}


@pytest.mark.parametrize("name", MADE)
def test_it_is_what_the_command_prints(name: str, golden: Callable[[Path, str], None]) -> None:
    """To the letter: an option that is new is in the manual that comes with it."""
    program, _, ending = name.partition(".")
    argv = [sys.executable, "-c", f"from {PROGRAMS[program]} import main; main()", *TEXTS[f".{ending}"]]
    golden(SHARE / name, subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout)


def test_every_file_goes_to_its_place() -> None:
    """In the wheel, below whatever prefix it is installed to; and not a second time among the program's own files."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]

    assert set(wheel["shared-data"]) == {f"agent/share/{path.name}" for path in SHARE.iterdir()}
    assert set(wheel["shared-data"].values()) == WHERE and wheel["exclude"] == ["agent/share"]

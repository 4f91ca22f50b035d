# SPDX-License-Identifier: Apache-2.0
"""Old files stay readable: whatever an earlier agent has left, this one knows what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.operations import VERBS
from tests.formats.kept import FORMATS, Format, missing
from tests.formats.said import REQUESTS

FILES = [pytest.param(one, path, id=f"{one.name}/{path.name}") for one in FORMATS for path in one.files]


@pytest.mark.parametrize(("kept", "path"), FILES)
def test_what_was_written_is_read(kept: Format, path: Path) -> None:
    """Every shape that there ever was says what it always said."""
    assert kept.told(path.read_bytes()) == kept.expected


def test_every_shape_has_its_file() -> None:
    """A change of what is written comes with a file of it, which every later agent has to read."""
    names = [one.name for one in missing()]

    assert not names, f"{', '.join(names)}: another shape than any before. Run `python -m tests.formats`, and commit"


@pytest.mark.parametrize("kept", FORMATS, ids=lambda one: one.name)
def test_what_is_written_now_is_read(kept: Format) -> None:
    """It says what it should: else nobody could be held to it later. Every order that there is stands in a ledger."""
    assert kept.told(kept.make()) == kept.expected


def test_every_verb_is_ordered() -> None:
    """Whatever an agent can be asked for may lie in the ledger of one that is replaced by the next version."""
    assert {order["verb"] for order in REQUESTS} == set(VERBS)

# SPDX-License-Identifier: Apache-2.0
"""Recorded trees as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DecodeError
from agent.host.fake import LinkTo, Tree, Unreadable
from agent.host.fake.tree import parse, render

NAME = st.text("abc0.:-_", min_size=1, max_size=6).filter(lambda name: name.strip("."))
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), min_size=1, max_size=9)
ENTRY = st.binary(max_size=80) | st.text(max_size=80).map(str.encode) | WORDS.map(LinkTo) | WORDS.map(Unreadable)

TEXT = """\
# how it was made
/dev/null ""
/proc/cpuinfo:
\tprocessor\t: 0

\tflags : a
/sys/block/sda -> ../devices/sda
/sys/block/sda2/ro ! Input/output error
/sys/devices/sda/size = 8
/sys/empty/
/sys/firmware/dmi/tables/DMI 0x
\t7f04feff0000
/sys/name "no newline"
"""


def test_text_of_a_tree() -> None:
    """Each kind of entry has the plainest form that keeps it exactly."""
    files: dict[str, str | bytes | LinkTo | Unreadable] = {
        "/dev/null": "",
        "/proc/cpuinfo": "processor\t: 0\n\nflags : a\n",
        "/sys/block/sda": LinkTo("../devices/sda"),
        "/sys/block/sda2/ro": Unreadable("Input/output error"),
        "/sys/devices/sda/size": "8\n",
        "/sys/firmware/dmi/tables/DMI": b"\x7f\x04\xfe\xff\0\0",
        "/sys/name": "no newline",
    }
    tree = Tree.of(files)
    tree.make_directory("/sys/empty")

    assert render(tree, "how it was made") == TEXT.replace("0\n\n\t", "0\n\t\n\t")
    assert parse(render(tree)).directories["/sys"] == {"block", "devices", "empty", "firmware", "name"}


@given(
    st.dictionaries(st.lists(NAME, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts)), ENTRY, max_size=5)
)
def test_round_trip(files: dict[str, bytes | LinkTo | Unreadable]) -> None:
    """What is rendered is read again as the same, whatever the contents are."""
    tree = Tree.of(
        {path: entry for path, entry in files.items() if not any(other.startswith(path + "/") for other in files)}
    )

    assert parse(render(tree)).entries == tree.entries


@pytest.mark.parametrize("line", ["no path = 1", "/a", "/a ?", '/a "unfinished', "/a 0x\n\tno hex"])
def test_wrong_line(line: str) -> None:
    """A line that means nothing is refused, by its number."""
    with pytest.raises(DecodeError, match="line 2"):
        parse(f"# first\n{line}\n")


@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    """Any text gives a tree or `DecodeError`."""
    try:
        assert isinstance(parse(text), Tree)
    except DecodeError:
        return


def test_dropping() -> None:
    """A directory goes with all that is in it, and out of the one above."""
    tree = Tree.of({"/run/a/b": "1", "/run/c": "2", "/running": "3"})
    tree.drop("/run")

    assert sorted(tree.entries) == ["/running"]
    assert tree.directories == {"/": {"running"}}

# SPDX-License-Identifier: Apache-2.0
"""Following links below a root."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import HostError
from agent.host.fake import LinkTo, Tree
from agent.host.files import RealFiles
from agent.host.paths import follow

PART = st.sampled_from(["a", "b", "c", "..", "."])
PATH = st.lists(PART, min_size=1, max_size=5).map("/".join)
LINKS = st.dictionaries(
    st.sampled_from(["/a", "/b", "/a/b", "/c/a", "/b/c"]), PATH | PATH.map("/{}".format), max_size=4
)


@pytest.mark.parametrize(
    ("path", "links", "end"),
    [
        ("/sys/block/sda/size", {"/sys/block/sda": "../devices/pci/sda"}, "/sys/devices/pci/sda/size"),
        ("/etc/machine-id", {"/etc": "/data/etc"}, "/data/etc/machine-id"),
        ("/up", {"/up": "../../../../outside"}, "/outside"),
        ("/a/../b//./c", {}, "/b/c"),
        ("/a/..", {"/a": "/b/c"}, "/b"),
        ("/", {}, "/"),
    ],
)
def test_follow(path: str, links: dict[str, str], end: str) -> None:
    """Relative and absolute links, dots and links out of the root end where the machine itself would end."""
    assert follow(path, links.get) == end


def test_links_in_a_circle() -> None:
    """Links that go round are an error, not a hang."""
    with pytest.raises(HostError, match="too many symbolic links"):
        follow("/a", {"/a": "/b", "/b": "/a"}.get)


@given(path=PATH, links=LINKS)
def test_never_leaves_the_root(path: str, links: dict[str, str]) -> None:
    """Whatever the links are, the answer is an absolute path without dots, or `HostError`."""
    try:
        end = follow(path, links.get)
    except HostError:
        return
    assert end.startswith("/")
    assert not {"..", "."} & set(end.split("/"))


@given(path=PATH, links=LINKS)
def test_recorded_tree_and_real_one_agree(
    tmp_path_factory: pytest.TempPathFactory, path: str, links: dict[str, str]
) -> None:
    """A link leads to the same place in a recorded tree and on a disk below a root prefix."""
    root = tmp_path_factory.mktemp("root")
    tree = Tree()
    for link, target in sorted(links.items()):
        place = root / link.lstrip("/")
        if any(str(above) != "." and (root / above).is_symlink() for above in Path(link.lstrip("/")).parents):
            continue  # below another link: no such place
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
        tree.put(link, LinkTo(target))
    try:
        expected = tree.resolve(path)
    except HostError:
        with pytest.raises(HostError):
            RealFiles(str(root)).resolve(path)
        return
    assert RealFiles(str(root)).resolve(path) == expected

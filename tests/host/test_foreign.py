# SPDX-License-Identifier: Apache-2.0
"""Somebody else's tree: whatever it holds, nothing outside of it is read, changed or removed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from agent.errors import HostError
from agent.host.doors import Tree
from agent.host.files import RealFiles
from agent.host.foreign import BATCH_NAMES, ForeignTree


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file that must stay as it is."""
    file = tmp_path / "outside"
    file.write_text("untouched")
    return file


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """An empty tree."""
    (tmp_path / "root").mkdir()
    return RealFiles().below(str(tmp_path / "root"))


@pytest.fixture
def root(tmp_path: Path, tree: Tree) -> Path:
    """Where it is."""
    return tmp_path / "root"


def test_absolute_links_stay_inside(tree: Tree, root: Path, outside: Path) -> None:
    """A link's target is looked for below the root, with and without dots, however deep it climbs."""
    for name, target in {"a": str(outside), "b": "../../../../../.." + str(outside), "c": f"/..{outside}"}.items():
        (root / name).symlink_to(target)
        assert tree.kind(f"/{name}") == "link" and b"untouched" not in tree.read(f"/{name}", 100)
        tree.write(f"/{name}", b"new")
        assert tree.remove(f"/{name}") == 1

    assert outside.read_text() == "untouched"
    assert (root / str(outside).lstrip("/")).read_text() == "new"


def test_directories_behind_links(tree: Tree, root: Path, outside: Path) -> None:
    """Listing, sweeping and removing go through links inside the tree, and never through those that they find."""
    (root / "real/sub").mkdir(parents=True)
    (root / "real/sub/file").write_text("x")
    (root / "real/wtmp").write_text("logins")
    (root / "real/out").symlink_to(outside.parent)
    (root / "var").symlink_to("/real")

    assert tree.names("/var") == ("out", "sub", "wtmp") and tree.names("/var/out") == ()
    assert tree.sweep("/var", ("/var/wtmp",)) == 1
    assert tree.names("/var/sub") == () and tree.read("/var/wtmp", 3) == b"log"
    assert tree.remove("/real") == 1 and tree.kind("/real") is None
    assert outside.read_text() == "untouched"


def test_what_is_no_regular_file_is_never_opened(tree: Tree, root: Path) -> None:
    """A pipe would make the reader wait for ever; it is nothing, also behind a link, and it is not written to."""
    os.mkfifo(root / "pipe")
    (root / "link").symlink_to("pipe")

    assert tree.kind("/pipe") == "other" and tree.read("/pipe", 10) == tree.read("/link", 10) == b""
    for path in ("/pipe", "/link", "/"):
        with pytest.raises(HostError, match="captured system"):
            tree.write(path, b"x")
    assert tree.remove("/pipe") == 1


def test_writing_keeps_the_file(tree: Tree, root: Path) -> None:
    """The same inode with its mode: labels and owners stay. New files come with their directories."""
    file = root / "shadow"
    file.write_text("a longer text")
    file.chmod(0o640)
    before = file.stat()
    tree.write("/shadow", b"short")
    tree.write("/new/dir/file", b"x")

    assert (file.read_text(), file.stat().st_ino, file.stat().st_mode) == ("short", before.st_ino, before.st_mode)
    assert (root / "new/dir/file").stat().st_mode & 0o777 == 0o644


def test_what_is_not_there(tree: Tree, root: Path) -> None:
    """Looking finds nothing; removing is an error, since it was listed before; links in a circle are one, too."""
    (root / "round").symlink_to("/round")
    (root / "file").write_text("")

    assert tree.kind("/no") is None and tree.kind("/file/below") is None and tree.names("/file") == ()
    assert tree.read("/no", 1) == b""
    for doing in (lambda: tree.remove("/no"), lambda: tree.read("/round", 1), lambda: tree.names("/a\0b")):
        with pytest.raises(HostError):
            doing()


@pytest.mark.commands
def test_a_tree_too_deep_to_be_one(tree: Tree, root: Path) -> None:
    """A directory nested beyond all measure is an error, and no crash."""
    at = os.open(root, os.O_DIRECTORY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    try:
        with pytest.raises(HostError):
            tree.sweep("/d", ())
        with pytest.raises(HostError):
            tree.remove("/d")
    finally:
        subprocess.run(["rm", "-rf", str(root / "d")], check=True)  # Python's own removal gives up, which is the point


def test_the_fake_does_the_same() -> None:
    """The fake machine's trees follow the same rules."""
    from agent.host.fake import FakeHost, LinkTo

    host = FakeHost.with_files(
        {"/mnt/etc/fstab": "x", "/mnt/var": LinkTo("/etc"), "/mnt/up": LinkTo("/../../out"), "/out": "y"}
    )
    tree = host.files.below("/mnt")

    assert tree.names("/") == ("etc", "up", "var") and tree.read("/var/fstab", 9) == b"x" and tree.read("/up", 9) == b""
    assert (tree.kind("/var"), tree.kind("/etc"), tree.kind("/etc/fstab"), tree.kind("/no")) == (
        "link",
        "directory",
        "file",
        None,
    )
    tree.write("/up", b"z")
    assert tree.sweep("/etc", ("/var/fstab",)) == 0 and tree.remove("/etc") == 1
    assert host.files.read_text("/out") == "y" and host.files.read_text("/mnt/out") == "z"


def test_modes_whatever_the_umask(tree: Tree, root: Path) -> None:
    """New files and directories can be read by the system's users, unless another mode is asked for; what is there
    keeps its own.
    """
    before = os.umask(0o077)
    try:
        tree.make_folder("/etc/a/b", None)
        tree.make_folder("/etc/a/c/d", 0o700)
        tree.make_folder("/etc/a/b", 0o700)
        tree.write("/etc/a/b/new", b"x")
        tree.write("/etc/a/b/closed", b"x")
        tree.dress("/etc/a/b/closed", 0o600, None, None)
        tree.write("/etc/a/b/closed", b"y")
    finally:
        os.umask(before)

    modes = {each: (root / "etc" / each).stat().st_mode & 0o7777 for each in ("", "a", "a/b", "a/c", "a/c/d")}
    assert modes == {"": 0o755, "a": 0o755, "a/b": 0o755, "a/c": 0o755, "a/c/d": 0o700}
    assert (root / "etc/a/b/new").stat().st_mode & 0o7777 == 0o644
    assert (root / "etc/a/b/closed").stat().st_mode & 0o7777 == 0o600


def test_a_directory_that_nobody_lists(root: Path) -> None:
    """A hostile image has ten million names in one: it is an error, not all of the memory."""
    (root / "many").mkdir()
    for number in range(21):
        (root / "many" / f"{number}").touch()

    assert len(ForeignTree(root, most_names=21).names("/many")) == 21
    with pytest.raises(HostError, match="listing /many of the captured system: it has more than 20 names"):
        ForeignTree(root, most_names=20).names("/many")


def test_what_is_removed_is_never_listed_whole(tree: Tree, root: Path) -> None:
    """More names than are held at a time, in directories in directories: all of them go, and are counted; what is
    spared stays.
    """
    for folder in ("log", "log/deep/deeper"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(BATCH_NAMES + 10):
            (root / folder / f"{number}").touch()

    assert tree.sweep("/log", ("/log/deep/deeper/7",)) == 2 * BATCH_NAMES + 19
    assert tree.names("/log/deep/deeper") == ("7",)
    assert tree.remove("/log") == 1 and tree.kind("/log") is None

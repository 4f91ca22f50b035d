# SPDX-License-Identifier: Apache-2.0
"""The door to files: one contract, kept by the real door and by the fake one."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from agent.errors import HostError
from agent.host.doors import Files
from agent.host.fake import FakeHost, LinkTo
from agent.host.files import RealFiles


@pytest.fixture(params=["real", "fake"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """A small tree, on a disk below a root prefix and in memory."""
    if request.param == "fake":
        return FakeHost.with_files({"/etc/name": "one\n", "/etc/raw": b"\xff", "/link": LinkTo("/etc")}).files
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/name").write_text("one\n")
    (tmp_path / "etc/raw").write_bytes(b"\xff")
    (tmp_path / "link").symlink_to("/etc")
    return RealFiles(str(tmp_path))


def test_reading(files: Files) -> None:
    """Text and bytes are read, through absolute links too; bytes that are no UTF-8 do not stop a text."""
    assert files.read_text("/etc/name") == "one\n"
    assert files.read_bytes("/link/raw") == b"\xff"
    assert files.read_text("/etc/raw") == "\ufffd"
    assert files.resolve("/link/name") == "/etc/name"
    assert files.names("/link") == ("name", "raw")


def test_what_is_not_there(files: Files) -> None:
    """A missing directory, or a file in its place, is empty; a missing file is an error that names it."""
    assert files.names("/nowhere") == files.names("/etc/name") == ()
    assert not files.exists("/nowhere")
    assert files.exists("/link/name")
    files.remove("/nowhere")
    with pytest.raises(HostError, match="reading /nowhere/at/all: No such file or directory"):
        files.read_bytes("/nowhere/at/all")
    with pytest.raises(HostError, match="reading /etc: Is a directory"):
        files.read_text("/etc")


def test_writing(files: Files) -> None:
    """A file is replaced through the links that lead to it, and its directories are made."""
    files.write("/link/name", b"two\n")
    files.write("/var/lib/new/file", b"x")

    assert files.read_text("/etc/name") == "two\n"
    assert files.names("/var/lib/new") == ("file",)


def test_appending_and_cutting(files: Files) -> None:
    """Appends add up, in a new file too; a cut file has the size that was asked for."""
    files.append("/log/journal", b"abc")
    files.append("/log/journal", b"def")
    assert files.read_bytes("/log/journal") == b"abcdef"

    files.truncate("/log/journal", 4)
    assert files.read_bytes("/log/journal") == b"abcd"
    with pytest.raises(HostError):
        files.truncate("/log/other", 0)


def test_removing(files: Files) -> None:
    """A file is gone after it was removed; a link goes, and what it led to stays."""
    files.remove("/etc/raw")
    files.remove("/link")

    assert files.names("/etc") == ("name",)
    assert not files.exists("/link")


def test_modes(tmp_path: Path) -> None:
    """A written file has the mode that was asked for whatever the umask, an appended one is private."""
    files = RealFiles(str(tmp_path))
    before = os.umask(0o077)
    try:
        files.write("/unit", b"", mode=0o644)
        files.write("/secret", b"", mode=0o600)
        files.append("/journal", b"")
    finally:
        os.umask(before)

    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("unit", "secret", "journal")] == [0o644, 0o600, 0o600]


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    """A write that fails changes nothing and leaves no temporary file."""
    (tmp_path / "target").mkdir()
    with pytest.raises(HostError, match="writing /target"):
        RealFiles(str(tmp_path)).write("/target", b"data")

    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_real_path_stays_below_the_root(tmp_path: Path) -> None:
    """A tool that is given a file name gets one below the root prefix, even where links point out of it."""
    (tmp_path / "out").symlink_to("/etc")

    assert RealFiles(str(tmp_path)).real_path("/out/passwd") == str(tmp_path / "etc/passwd")


def test_failed_append_leaves_nothing(tmp_path: Path) -> None:
    """An append that the file system cuts short leaves the file as it was: half a record would damage the next."""
    files = RealFiles(str(tmp_path))
    files.append("/log", b"first\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9, before[1]))
    try:
        with pytest.raises(HostError, match="appending to /log"):
            files.append("/log", b"second\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    files.append("/log", b"third\n")

    assert files.read_bytes("/log") == b"first\nthird\n"

# SPDX-License-Identifier: Apache-2.0
"""The door to files: one contract, kept by the real door and by the fake one."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import DeviceError, HostError
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


CONTENT = bytes(70_000) + b"data" * 5000 + bytes(70_000)


def test_reading_in_pieces(files: Files) -> None:
    """A large file is read anywhere, by whole views; less comes at its end only."""
    files.save("/var/image", [CONTENT])
    with files.open_large("/var/image") as file:
        view = memoryview(bytearray(4000))
        assert file.size_bytes == len(CONTENT)
        assert file.read_into(70_000, view) == 4000 and view == b"data" * 1000
        assert file.read_into(len(CONTENT) - 10, view) == 10
        assert file.read_into(len(CONTENT), view) == 0
        data = list(file.data_extents())
    assert all(length > 0 for _, length in data)
    assert any(start <= 70_000 and start + length >= 90_000 for start, length in data)


def test_what_cannot_be_read_in_pieces(files: Files) -> None:
    """A file that is not there, and a directory, are errors that name it."""
    for path in ("/nowhere", "/etc"):
        with pytest.raises(HostError, match=path), files.open_large(path):
            pass


def test_saving(files: Files) -> None:
    """A file is made of pieces of any kind, through links, in new directories; its length is told."""
    assert files.save("/link/new/file", [b"ab", memoryview(b"cd"), b""]) == 4
    assert files.read_bytes("/etc/new/file") == b"abcd"
    assert files.save("/etc/name", []) == 0 and files.read_bytes("/etc/name") == b""


def test_saving_what_fails(files: Files) -> None:
    """If the pieces fail, what was there is there, and nothing else."""

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise DeviceError("reading /dev/sda", "EIO")

    for path in ("/etc/name", "/etc/other"):
        with pytest.raises(DeviceError, match="reading /dev/sda"):
            files.save(path, broken())
    assert files.names("/etc") == ("name", "raw") and files.read_text("/etc/name") == "one\n"


def test_holes(tmp_path: Path) -> None:
    """The holes of a sparse file are told, also at both its ends; an empty file has no data."""
    files = RealFiles(str(tmp_path))
    with (tmp_path / "sparse").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"x" * 4096)
        file.truncate(4 << 20)
    (tmp_path / "empty").touch()
    with files.open_large("/sparse") as sparse, files.open_large("/empty") as empty:
        assert list(sparse.data_extents()) == [(1 << 20, 4096)]
        assert list(empty.data_extents()) == []


def test_files_that_are_none(tmp_path: Path) -> None:
    """What is no file is never replaced by one, and a pipe is a stream: read once, forward."""
    files = RealFiles(str(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)
    os.write(writer, b"0123456789")
    view = memoryview(bytearray(4))
    with files.open_large("/pipe") as pipe:
        assert pipe.size_bytes is None and pipe.read_into(0, view) == 4 and bytes(view) == b"0123"
        with pytest.raises(HostError, match="cannot seek"):
            pipe.read_into(0, view)
        with pytest.raises(HostError, match="stream"):
            list(pipe.data_extents())
        assert pipe.read_into(4, view) == 4 and bytes(view) == b"4567"
    os.close(writer)
    with pytest.raises(HostError, match="no file"):
        files.save("/pipe", [b"x"])


@pytest.mark.commands
def test_standard_streams() -> None:
    """ "-" is what the shell gave: read to the end of the pipe, and written without a name."""
    program = """if True:
        from agent.host.files import RealFiles
        files = RealFiles()
        with files.open_large("-") as file:
            view = memoryview(bytearray(150_000))
            got = file.read_into(0, view), file.read_into(150_000, view)
        files.save("-", [view[: got[1]], str(got).encode()])"""
    done = subprocess.run(
        [sys.executable, "-c", program], input=b"x" * 200_000, capture_output=True, check=True, timeout=60
    )

    assert done.stdout == b"x" * 50_000 + b"(150000, 50000)"


def test_fake_streams() -> None:
    """The fake machine has them, too."""
    host = FakeHost.with_files({})
    host.machine.stdin = b"0123456789"
    view = memoryview(bytearray(8))
    with host.files.open_large("-") as file:
        assert file.size_bytes is None
        assert (file.read_into(0, view), file.read_into(8, view)) == (8, 2)
        with pytest.raises(HostError, match="cannot seek"):
            file.read_into(0, view)
    assert host.files.save("-", [b"ab", b"c"]) == 3 and host.machine.stdout == b"abc"
    assert host.faults.calls == [
        "files.opened(-)",
        "files.read_into(-, 0)",
        "files.read_into(-, 8)",
        "files.read_into(-, 0)",
        "files.save(-)",
    ]


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


def test_what_is_left(tmp_path: Path) -> None:
    """As the kernel says of the filesystem, also of a directory that is not there yet."""
    files, told = RealFiles(str(tmp_path)), os.statvfs(tmp_path)
    space = files.space("/var/lib/bms-agent")

    assert space is not None and (space.size_bytes, space.is_read_only) == (told.f_blocks * told.f_frsize, False)
    assert space.files == told.f_files and 0 < space.free_bytes <= space.size_bytes
    assert FakeHost.with_files({}).files.space("/var/lib/bms-agent") is None

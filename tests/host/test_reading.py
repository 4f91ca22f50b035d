# SPDX-License-Identifier: Apache-2.0
"""Reading by system calls: the kernel's answers are those that the walk over links has, and where it has none, the walk
answers.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.errors import HostError
from agent.host import reading
from agent.host.files import RealFiles
from agent.host.paths import follow

FILES = RealFiles()
ON_EVERY_MACHINE = (
    "/proc/self/exe",
    "/proc/self",
    "/sys/class/net/lo",
    "/sys/block/../class/net/lo/..",
    "/dev/null",
    "/",
)


@pytest.mark.parametrize("path", ON_EVERY_MACHINE)
def test_the_kernel_and_the_walk_agree(path: str) -> None:
    """Part by part, or at once."""
    assert FILES.resolve(path) == reading.resolved(path) == follow(path, reading.link_at)


def test_links_of_our_own(tmp_path: Path) -> None:
    """Chains, absolute and relative, through directories; what leads nowhere ends where it leads."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_bytes(b"x")
    (tmp_path / "one").symlink_to("there")
    (tmp_path / "two").symlink_to(tmp_path / "one" / "file")
    (tmp_path / "broken").symlink_to("gone/far")

    assert FILES.resolve(f"{tmp_path}/two") == f"{tmp_path}/there/file"
    assert FILES.resolve(f"{tmp_path}/broken") == f"{tmp_path}/gone/far" and not FILES.exists(f"{tmp_path}/broken")
    assert FILES.resolve(f"{tmp_path}/nothing/at/all") == f"{tmp_path}/nothing/at/all"


def test_circles(tmp_path: Path) -> None:
    """They are there for nobody, and lead nowhere."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    assert not FILES.exists(f"{tmp_path}/a")
    with pytest.raises(HostError, match="too many symbolic links"):
        FILES.resolve(f"{tmp_path}/a")
    with pytest.raises(HostError, match="Too many levels"):
        FILES.read_bytes(f"{tmp_path}/a")


def test_what_is_gone_has_no_path(tmp_path: Path) -> None:
    """The kernel would put a word behind it; the path that was asked for is the answer."""
    gone = tmp_path / "gone"
    with gone.open("wb") as file:
        gone.unlink()
        assert reading.resolved(f"/proc/self/fd/{file.fileno()}") is None
    read, write = os.pipe()
    try:
        assert reading.resolved(f"/proc/self/fd/{read}") is None
    finally:
        os.close(read)
        os.close(write)


def test_whole_files(tmp_path: Path) -> None:
    """Longer than one piece, empty, and of /proc, where no file knows its size."""
    (tmp_path / "long").write_bytes(long := os.urandom(3 * reading.READ_BYTES + 7))
    (tmp_path / "empty").touch()

    assert reading.content(f"{tmp_path}/long") == long and reading.content(f"{tmp_path}/empty") == b""
    assert reading.content("/proc/self/status").startswith(b"Name:")
    with pytest.raises(HostError, match="Is a directory"):
        FILES.read_bytes(str(tmp_path))


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    """Whatever fails."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for path in (str(tmp_path), f"{tmp_path}/nothing", "/proc/self/exe"):
        for read in (reading.content, reading.resolved, reading.is_there, reading.names):
            try:
                read(path)
            except OSError:
                continue

    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.commands
def test_sysfs_in_one_read() -> None:
    """What is read once is all that there is: short files, and those of pages."""
    paths = [*Path("/sys/class/net/lo").glob("*"), *Path("/sys/devices/system/cpu/vulnerabilities").glob("*")]
    paths += Path("/sys/bus/pci/devices").glob("*/resource")
    found = {str(path): path.read_bytes() for path in paths if is_still(path)}

    assert found and {path: reading.content(path) for path in found} == found


def test_more_than_a_page(tmp_path: Path) -> None:
    """It is read to its end."""
    (tmp_path / "long").write_bytes(bytes(3 * reading.READ_BYTES + 1))

    assert len(reading.content(f"{tmp_path}/long")) == 3 * reading.READ_BYTES + 1


def is_still(path: Path) -> bool:
    """Whether it is a file that can be read, and says the same twice."""
    try:
        return path.is_file() and path.read_bytes() == path.read_bytes()
    except OSError:
        return False

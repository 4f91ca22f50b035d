# SPDX-License-Identifier: Apache-2.0
"""Free space as we read it, against filesystems of the real mkfs and kernel, and against their own tools.

The proof is a copy that has nothing but what is said to be in use: the filesystem's checker must find no fault with
it, every file must be there, and nothing of a deleted file.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.model.filesystem import Read
from agent.model.filesystem.ext4 import Ext4
from agent.model.filesystem.xfs_log import cycle
from tests.loops import command
from tests.model.filesystems import MIB, blank, fill, mounted, parsed, reading, total, without_free_space

pytestmark = pytest.mark.root

EXT4 = (
    ("-b", "1024"),
    ("-O", "bigalloc", "-C", "65536"),
    ("-O", "bigalloc", "-C", "16384", "-b", "1024"),
    ("-O", "^flex_bg"),
    ("-O", "^uninit_bg,^metadata_csum"),
    ("-O", "^64bit,^metadata_csum"),
    ("-O", "meta_bg,^resize_inode"),
    ("-O", "meta_bg,^resize_inode,^flex_bg", "-b", "1024", "-g", "1024"),
    ("-O", "sparse_super2"),
    ("-O", "^sparse_super,^resize_inode"),
    ("-t", "ext3"),
    ("-t", "ext2"),
    ("-E", "packed_meta_blocks=1"),
    (),
)
XFS = (
    (),
    ("-b", "size=1024"),
    ("-s", "size=4096"),
    ("-m", "reflink=0,rmapbt=1"),
    ("-d", "agcount=9"),
    ("-m", "bigtime=0"),
)
BTRFS = (
    (),
    ("-d", "dup"),
    ("--mixed",),
    ("-m", "single"),
    ("-n", "4096", "-s", "4096"),
    ("-O", "^no-holes,^skinny-metadata"),
)
CHECKERS = {"ext4": ("e2fsck", "-f", "-n"), "xfs": ("xfs_repair", "-n"), "btrfs": ("btrfs", "check")}


def same_and_sound(path: Path, checker: tuple[str, ...]) -> None:
    """The copy of what is in use holds every file, and its checker is content."""
    copy = without_free_space(path)
    command(*checker, str(copy))
    with mounted(path, "ro") as before, mounted(copy, *uuid_twice(path)) as after:
        command("diff", "--recursive", str(before), str(after))


def uuid_twice(path: Path) -> tuple[str, ...]:
    """What lets XFS mount a second filesystem with the same UUID."""
    return ("ro", "nouuid") if parsed(path).kind == "xfs" else ("ro",)


@pytest.mark.parametrize("options", EXT4, ids=" ".join)
def test_ext4(tmp_path: Path, options: tuple[str, ...]) -> None:
    """As many blocks are free as dumpe2fs says; what is in use makes the same filesystem."""
    path = blank(tmp_path / "fs", 600)
    command("mkfs.ext4", "-q", "-F", *options, str(path))
    with mounted(path) as place:
        fill(place)
        assert "ext2" in options or parsed(path).unclean
    found = parsed(path)

    assert found.unclean is None and found.elsewhere is None
    assert isinstance(found, Ext4)
    idle = total(iter(found.idle_blocks())) * found.block_bytes
    assert (idle > 15 * MIB) is not bool({"ext2", "ext3"} & {*options}), "ext3 maps its journal in another way"
    spare = used_by_dumpe2fs(path) - total(found.used()) - idle
    assert 0 <= spare < (65536 if "bigalloc" in options else 1), "of a cluster that metadata begins, all counts as used"
    same_and_sound(path, CHECKERS["ext4"])


def used_by_dumpe2fs(path: Path) -> int:
    """Bytes."""
    told = dict(
        re.findall(r"^(Block count|Free blocks|Block size): +(\d+)$", command("dumpe2fs", "-h", str(path)), re.M)
    )
    return (int(told["Block count"]) - int(told["Free blocks"])) * int(told["Block size"])


@pytest.mark.parametrize("options", XFS, ids=" ".join)
def test_xfs(tmp_path: Path, options: tuple[str, ...]) -> None:
    """As many blocks are free as xfs_db says, the lists of free blocks included; what is in use makes the same
    filesystem; while it is mounted, its log gives it away."""
    path = blank(tmp_path / "fs", 600)
    command("mkfs.xfs", "-q", *options, str(path))
    assert parsed(path).unclean is None
    with mounted(path) as place:
        fill(place)
        command("sync", "-f", str(place))
        assert parsed(path).unclean
    found = parsed(path)

    assert found.unclean is None and found.elsewhere is None
    assert total(found.used()) == used_by_xfs_db(path)
    same_and_sound(path, CHECKERS["xfs"])


def used_by_xfs_db(path: Path) -> int:
    """Bytes."""
    free = int(re.findall(r"total free blocks (\d+)", command("xfs_db", "-r", "-c", "freesp -s", str(path)))[0])
    shape = dict(
        re.findall(r"(\w+) = (\d+)", command("xfs_db", "-r", "-c", "sb 0", "-c", "p blocksize dblocks", str(path)))
    )
    return (int(shape["dblocks"]) - free) * int(shape["blocksize"])


def test_xfs_version_4(tmp_path: Path) -> None:
    """The older format, without checksums."""
    path = blank(tmp_path / "fs", 400)
    command("mkfs.xfs", "-q", "-m", "crc=0", str(path))

    assert parsed(path).unclean is None and total(parsed(path).used()) == used_by_xfs_db(path)
    command(*CHECKERS["xfs"], str(without_free_space(path)))


def test_an_xfs_log_that_went_round(tmp_path: Path) -> None:
    """A log that was filled several times over still tells a clean unmount from a mount."""
    path = blank(tmp_path / "fs", 400)
    command("mkfs.xfs", "-q", "-l", "size=64m", str(path))
    for _ in range(4):
        with mounted(path, "wsync") as place:
            for number in range(4000):
                (place / str(number)).mkdir()
            for number in range(4000):
                (place / str(number)).rmdir()
            assert parsed(path).unclean
        assert parsed(path).unclean is None
    assert cycle(*log_of(path)) > 1


def log_of(path: Path) -> tuple[Read, int]:
    """Reading the log, and its first block."""
    told = command("xfs_db", "-r", "-c", "sb 0", "-c", "p logstart", str(path))
    start = int(re.findall(r"logstart = (\d+)", told)[0])
    told = command("xfs_db", "-r", "-c", f"convert fsblock {start} daddr", str(path))
    offset = int(re.findall(r"\((\d+)\)", told)[0]) * 512
    read, _ = reading(path)
    return lambda at, length: read(offset + at, length), 0


@pytest.mark.parametrize("options", BTRFS, ids=" ".join)
def test_btrfs(tmp_path: Path, options: tuple[str, ...]) -> None:
    """What is in use makes the same filesystem; a log to be replayed gives itself away."""
    path = blank(tmp_path / "fs", 600)
    command("mkfs.btrfs", "-q", *options, str(path))
    with mounted(path) as place:
        fill(place)
        command("sync", "-f", str(place))
        (place / "last").write_text("promised to be there")
        command("sync", str(place / "last"))
        assert parsed(path).unclean
    found = parsed(path)

    assert found.unclean is None and found.elsewhere is None
    assert total(found.used()) < 60 * MIB
    same_and_sound(path, CHECKERS["btrfs"])


def test_btrfs_on_two_devices(tmp_path: Path) -> None:
    """One of two devices is not a filesystem."""
    one, two = blank(tmp_path / "one", 300), blank(tmp_path / "two", 300)
    command("mkfs.btrfs", "-q", str(one), str(two))

    assert parsed(one).elsewhere == "1 of its 2 devices"


@pytest.mark.parametrize("options", [("-F", "16"), ("-F", "32"), ("-F", "32", "-S", "4096")], ids=" ".join)
def test_fat(tmp_path: Path, options: tuple[str, ...]) -> None:
    """What is in use makes the same filesystem, by the names that blkid gives it."""
    path, tree = blank(tmp_path / "fs", 300), tmp_path / "tree"
    tree.mkdir()
    command("mkfs.vfat", *options, "-n", "ESP", "-i", "1234abcd", str(path))
    if "4096" not in options:  # mtools read no such sectors
        fill(tree)
        command("mcopy", "-i", str(path), "-s", *(str(each) for each in tree.iterdir()), "::")
        command("mdel", "-i", str(path), "::/d1/file-*")
    copy = without_free_space(path)

    assert (parsed(path).uuid, parsed(path).label) == ("1234-ABCD", "ESP")
    assert total(parsed(path).used()) < 20 * MIB
    assert files_by_fsck(copy) == files_by_fsck(path)
    for file in (tree / "d2").glob("*"):
        command("mcopy", "-n", "-i", str(copy), f"::/d2/{file.name}", str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == file.read_bytes()
        (tmp_path / "back").unlink()


def files_by_fsck(path: Path) -> str:
    """How many, and their clusters."""
    return command("fsck.vfat", "-n", str(path)).partition(": ")[2]


def test_swap(tmp_path: Path) -> None:
    """Of swap space, the header page alone is kept; it has the UUID that fstab names."""
    path = blank(tmp_path / "swap", 64)
    command("mkswap", "--uuid", "0fc63daf-8483-4772-8e79-3d69d8477de4", str(path))
    found = parsed(path)

    assert found.kind == "swap" and found.uuid == "0fc63daf-8483-4772-8e79-3d69d8477de4"
    assert list(found.used()) == [(0, 4096)] and found.unclean is None

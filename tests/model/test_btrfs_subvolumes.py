# SPDX-License-Identifier: Apache-2.0
"""Subvolumes and snapshots of btrfs: which of them no mount shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.model.filesystem.btrfs import Btrfs
from agent.model.filesystem.btrfs_subvolumes import Subvolume, Subvolumes
from tests.loops import command
from tests.model import disks
from tests.model.filesystems import blank, mounted, parsed

SUSE = Subvolumes(
    (
        Subvolume(256, 5, "@", False), Subvolume(257, 256, "var", False), Subvolume(258, 256, ".snapshots", False),
        Subvolume(259, 258, "snapshot", True), Subvolume(260, 258, "snapshot", True),
    ), 259,
)  # fmt: skip
UBUNTU = Subvolumes(
    (
        Subvolume(256, 5, "@", False), Subvolume(257, 5, "@home", False), Subvolume(258, 256, "machines", False),
        Subvolume(300, 5, "@", True),
    ), 5,
)  # fmt: skip


@pytest.mark.parametrize(
    ("subvolumes", "options", "names"),
    [
        (UBUNTU, ["subvolid=256", "subvol=@home"], ["@"]),
        (UBUNTU, ["subvolid=256"], ["@home", "@"]),
        (UBUNTU, [""], ["@"]),
        (SUSE, ["", "subvol=/@/var", "subvol=@/.snapshots"], ["@", "snapshot"]),
        (SUSE, ["", "subvol=/@"], ["snapshot"]),
        (Subvolumes((), 5), [""], []),
        (Subvolumes(UBUNTU.every[:3], 5), ["subvol=/@,subvolid=256", "subvol=/@home"], []),
        (Subvolumes(UBUNTU.every[:3], 5), ["subvol=/@", "subvolid=0"], []),
    ],
)
def test_what_mounts_do_not_show(subvolumes: Subvolumes, options: list[str], names: list[str]) -> None:
    """By number, by path, by default; what hangs below one that is shown is shown, but for snapshots."""
    assert subvolumes.unseen(options) == names


def test_without_subvolumes() -> None:
    """A plain filesystem has none."""
    for name in ("btrfs", "btrfs-mixed"):
        content, size = disks.load(name)
        assert Btrfs(content.read, size).subvolumes() == Subvolumes((), 5)


@pytest.mark.root
def test_of_the_real_tools(tmp_path: Path) -> None:
    """Numbers, names, parents, snapshots and the default, as the kernel made them."""
    path = blank(tmp_path / "fs", 300)
    command("mkfs.btrfs", "-q", str(path))
    with mounted(path) as place:
        for name in ("@", "@home", "@/nested"):
            command("btrfs", "subvolume", "create", str(place / name))
        command("btrfs", "subvolume", "snapshot", "-r", str(place / "@"), str(place / "@" / "before"))
        command("btrfs", "subvolume", "set-default", "257", str(place))
    found = parsed(path)

    assert isinstance(found, Btrfs)
    assert found.subvolumes() == Subvolumes(
        (
            Subvolume(256, 5, "@", False), Subvolume(257, 5, "@home", False), Subvolume(258, 256, "nested", False),
            Subvolume(259, 256, "before", True),
        ), 257,
    )  # fmt: skip

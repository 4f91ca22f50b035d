# SPDX-License-Identifier: Apache-2.0
"""What filesystems are called, by their first MiB: as the tools say that made them; and whatever the bytes are."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import DecodeError
from agent.model.filesystem.names import HEAD_BYTES, Names, names_of
from tests.apply.rooted import UUID, fake_ext4
from tests.loops import command

MADE = {
    "ext4": ("mke2fs", "-q", "-t", "ext4", "-U", UUID, "-L", "name", "-O", "64bit"),
    "ext2": ("mke2fs", "-q", "-t", "ext2", "-b", "1024", "-U", UUID, "-L", "name"),
    "xfs": ("mkfs.xfs", "-q", "-m", f"uuid={UUID}", "-L", "name"),
    "btrfs": ("mkfs.btrfs", "-q", "-U", UUID, "-L", "name"),
    "swap": ("mkswap", "-U", UUID, "-L", "name"),
}
UNITS = {"ext4": 1024, "ext2": 1024, "xfs": 512, "btrfs": 4096, "swap": 0}
SIZE = 320 * 1024 * 1024


@pytest.mark.commands
@pytest.mark.parametrize("kind", list(MADE))
def test_as_its_tools_say(kind: str, tmp_path: Path) -> None:
    """UUID, label and size, as they were asked for."""
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(SIZE)
    command(*MADE[kind], str(image))
    with image.open("rb") as file:
        found = names_of(file.read(HEAD_BYTES))

    size = 0 if kind == "swap" else SIZE
    assert found == Names(kind.replace("ext2", "ext4"), UUID, "name", size, UNITS[kind])


def test_what_has_no_name() -> None:
    """Nothing, too little, a filesystem that is none for us, and two at once are told as what they are."""
    for head, told in (
        (bytes(HEAD_BYTES), "nothing that is known"),
        (b"", "nothing that is known"),
        (fake_ext4()[:1100], "ext4 in 1100 bytes is cut short"),
        (b"hsqs" + bytes(4096), "squashfs"),
        (b"XFSB" + fake_ext4()[4:], "ext4 and xfs"),
        (fake_ext4()[: 1024 + 0x18] + b"\xff" + fake_ext4()[1024 + 0x19 :], "blocks of"),
    ):
        with pytest.raises(DecodeError, match=told):
            names_of(head)

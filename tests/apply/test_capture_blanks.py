# SPDX-License-Identifier: Apache-2.0
"""Swap files: an image has them with their header, and nothing of what the old server swapped out."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from agent.apply.capture.blanks import Blank, blanks, on_disk
from agent.apply.capture.fstab import Mount
from agent.apply.capture.take import capture_disk, preview
from agent.errors import CaptureRefused
from agent.host.fake import FakeHost, LinkTo, Machine
from agent.host.files import RealFiles
from agent.model.filesystem.extents import Extents
from agent.model.filesystem.survey import Part, Survey, survey
from agent.model.generalise.table import NAMES
from tests.apply import captured
from tests.apply.captured import DRIVE, PLACE, ROOT, server, step
from tests.apply.disks import MIB, disk_of
from tests.apply.test_capture import IMAGE, unpacked
from tests.loops import command
from tests.model.filesystems import blank, mounted, reading

HEADER = bytes(4086) + b"SWAPSPACE2"
PASSWORD = b"a password that was swapped out"
AT = 18 * MIB  # in root's partition
FORGET = {"forget": NAMES, "force": True}


def swapping(content: bytes = HEADER, path: str = "/swap.img") -> Machine:
    """A server with a swap file in two pieces. Root is read whole, forced: so is what the fake disk has no file for."""
    made = server()
    disk_of(made).write(ROOT * MIB + 1024 + 0x3A, b"\0\0")
    disk_of(made).write(ROOT * MIB + AT, content)
    for at in (4096, MIB - 100, 2 * MIB):
        disk_of(made).write(ROOT * MIB + AT + at, PASSWORD)
    tree = captured.TREE | {path: content.decode("latin-1")}
    made.programs["mount"] = lambda machine, argv, stdin: captured.mount(machine, argv, stdin, tree)
    made.file_extents[PLACE + path] = ((0, AT, MIB), (MIB, AT + 2 * MIB, MIB))
    return made


def pages(content: bytes) -> set[bytes]:
    """In whatever order."""
    return {content[at : at + 4096] for at in range(0, len(content), 4096)}


def test_a_swap_file_is_blank() -> None:
    """Its header stays, so that it is one; all else of it is zero, in both pieces; what lies between stays."""
    made = swapping()
    disk_of(made).write(ROOT * MIB + AT + MIB, b"between")
    shown = [str(one) for one in preview(FakeHost.of(made), step(**FORGET))]
    capture_disk(FakeHost.of(made), step(**FORGET), lambda *_: None)
    raw = unpacked(made.tree.entries[IMAGE])  # type: ignore[arg-type]
    file = raw[ROOT * MIB + AT :][: 3 * MIB]

    assert "blank /swap.img" in shown and len(raw) == DRIVE * MIB
    assert file[:4096] == HEADER and PASSWORD not in raw
    assert file[4096:MIB] == bytes(MIB - 4096) and file[MIB:][:7] == b"between" and file[2 * MIB :] == bytes(MIB)


def test_swap_files_can_be_kept_and_others_are_none() -> None:
    """`--keep swap-files`; a file that only has such a name; one that nobody swaps to."""
    others = [name for name in NAMES if name != "swap-files"]
    kept = {"header": swapping(), "name": swapping(b"mine"), "place": swapping(path="/srv/backup.img")}
    for name, made in kept.items():
        told = FORGET | ({"forget": tuple(others)} if name == "header" else {})
        capture_disk(FakeHost.of(made), step(**told), lambda *_: None)
        assert PASSWORD in unpacked(made.tree.entries[IMAGE])  # type: ignore[arg-type]


def test_hibernated_into_a_file() -> None:
    """What its filesystems hold is half in there: refused."""
    made = swapping(bytes(4086) + b"S1SUSPEND\0")
    disk_of(made).write(ROOT * MIB + 1024 + 0x3A, b"\1\0")
    with pytest.raises(CaptureRefused, match="hibernated into /swap"):
        capture_disk(FakeHost.of(made), step(forget=NAMES), lambda *_: None)


def test_behind_a_link() -> None:
    """Where it lies cannot be told: refused, even forced."""
    made = swapping()
    tree = captured.TREE | {"/swap/file": HEADER.decode("latin-1")}
    made.programs["mount"] = lambda machine, argv, stdin: captured.mount(machine, argv, stdin, tree)
    made.tree.put(f"{PLACE}/swapfile", b"")
    made.tree.entries[f"{PLACE}/swapfile"] = LinkTo("/swap/file")
    system = FakeHost.of(made).files.below(PLACE)
    with pytest.raises(CaptureRefused, match="behind a link"):
        list(blanks(system, [Mount(Part(3, 0, 1), "")], "/swapfile"))


def test_extents_without() -> None:
    """What is left, cut where it has to be."""
    extents = Extents()
    extents.add([(0, 10), (20, 10), (40, 10)])

    assert list(extents.without([(2, 3), (25, 20)])) == [(0, 2), (5, 5), (20, 5), (45, 5)]
    assert list(extents.without([])) == list(extents) and list(extents.without([(0, 100)])) == []


@pytest.mark.root
@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_where_the_kernel_put_it(kind: str, tmp_path: Path) -> None:
    """A real swap file, in pieces: at the places that are found lies its content, all but the header, and no more."""
    path = blank(tmp_path / "fs", 400)
    command(f"mkfs.{kind}", "-q", str(path))
    noise = random.Random(kind).randbytes(8 * MIB)
    with mounted(path) as place:
        swap = place / "swapfile"
        swap.touch()
        if kind == "btrfs":
            command("chattr", "+C", str(swap))
        for at in range(0, len(noise), MIB):
            with swap.open("r+b") as file:
                file.seek(at)
                file.write(noise[at : at + MIB])
            (place / f"between-{at}").write_bytes(bytes(100_000))
            command("sync", "-f", str(place))
        os.truncate(swap, len(noise))  # XFS had reserved more behind its end
        command("mkswap", str(swap))
        read, size = reading(path)
        looked: Survey = survey(read, size, 512)
        tree = RealFiles().below(str(place))
        assert tree.kind("/swapfile") == "file"
        found: list[Blank] = list(blanks(tree, [Mount(looked.parts[0], "")], "/swapfile"))
    after = survey(read, size, 512)
    places = on_disk(after, found)

    assert sum(length for _, length in places) == len(noise) - 4096
    assert pages(noise[4096:]) == pages(b"".join(read(*one) for one in places))
    extents, reasons = after.allocated()
    assert not reasons and extents.total_bytes - extents.without(places).total_bytes == len(noise) - 4096

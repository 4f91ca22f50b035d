# SPDX-License-Identifier: Apache-2.0
"""A power cut right after the controller has said that something is kept, on a real filesystem whose journal is not
written by itself: what it said is so.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.controller.images import Upload
from agent.controller.keys import load_key
from agent.model.image import ImageFormat
from tests.loops import command

pytestmark = pytest.mark.root
SIZE_BYTES = 16 * 2**20


def after_a_cut(tmp_path: Path, work: Callable[[Path], object]) -> dict[str, bytes]:
    """The files that are there after it: of what the medium holds at that moment, without what is in memory."""
    medium, later, place = tmp_path / "medium", tmp_path / "later", tmp_path / "place"
    place.mkdir()
    with medium.open("xb") as file:
        file.truncate(SIZE_BYTES)
    command("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(medium))
    command("mount", "-o", "loop,commit=300", str(medium), str(place))
    try:
        command("sync", "-f", str(place))
        work(place)
        shutil.copyfile(medium, later)
    finally:
        command("umount", str(place))
    command("mount", "-o", "loop", str(later), str(place))
    try:
        return {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}
    finally:
        command("umount", str(place))


def test_a_key_is_not_made_twice(tmp_path: Path) -> None:
    """Credentials are derived from it: with another one no agent would be known."""
    made: list[str] = []
    found = after_a_cut(tmp_path, lambda place: made.append(load_key(place / "secret-key").derive("x")))
    (tmp_path / "again").write_bytes(found["secret-key"])

    assert load_key(tmp_path / "again").derive("x") == made[0]
    assert list(found) == ["secret-key"]


def test_an_image_that_was_taken_is_there(tmp_path: Path) -> None:
    """Its record may be in a database elsewhere, which no power cut touched."""

    def upload(place: Path) -> None:
        taken = Upload(place, ImageFormat.RAW)
        taken.write(b"image" * 512)
        taken.finish(place / "image-1")

    assert after_a_cut(tmp_path, upload) == {"image-1": b"image" * 512}

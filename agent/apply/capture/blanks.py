# SPDX-License-Identifier: Apache-2.0
"""Files that an image has without their content: nothing is written to them, but what is read leaves their places out.

To write zeroes over a swap file on the copy would take as much memory as the file is large.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent.apply.capture.fstab import Mount, is_plain
from agent.errors import CaptureRefused, DecodeError
from agent.host.doors import Tree
from agent.model.filesystem import Extent
from agent.model.filesystem.btrfs import Btrfs
from agent.model.filesystem.survey import Survey
from agent.model.generalise.swap import header_bytes

DOING = "blanking swap files"


@dataclass(frozen=True)
class Blank:
    """A range of a filesystem, as the kernel counts there: of btrfs, logical addresses."""

    number: int
    offset: int
    length: int


def blanks(tree: Tree, mounts: list[Mount], path: str) -> Iterator[Blank]:
    """All of a file but its header. Raises `CaptureRefused` where it cannot be told on which filesystem it lies."""
    folder = path.rpartition("/")[0]
    if tree.kind(path) != "file" or (folder and not is_plain(tree, folder)):
        raise CaptureRefused(DOING, f"{path} lies behind a link", hint="Remove it, or --keep swap-files")
    holding = max((each for each in mounts if path.startswith(f"{each.place}/")), key=lambda each: len(each.place))
    header = header_bytes(tree, path)
    for logical, physical, length in tree.extents(path):
        skipped = min(max(header - logical, 0), length)
        if length > skipped:
            yield Blank(holding.part.number, physical + skipped, length - skipped)


def on_disk(survey: Survey, found: Iterable[Blank]) -> list[Extent]:
    """Their places on the disk, ascending. Raises `CaptureRefused`."""
    parts = {part.number: part for part in survey.kept}
    places: list[Extent] = []
    for blank in found:
        part = parts[blank.number]
        inside: Iterable[Extent] = [(blank.offset, blank.length)]
        try:
            if isinstance(part.filesystem, Btrfs):
                inside = list(part.filesystem.places(blank.offset, blank.length))
        except DecodeError as error:
            raise CaptureRefused(DOING, error.evidence or error.doing, hint="--keep swap-files") from error
        places += [(part.offset_bytes + offset, length) for offset, length in inside]
    return sorted(places)

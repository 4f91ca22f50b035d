# SPDX-License-Identifier: Apache-2.0
"""Measure of a qcow2 image, as a node reads it (`agent.model.qcow2`): the disk's size from its header, and whether the
file holds every cluster that its tables name. What a node would refuse is refused here already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from agent.controller.measure import Unpacked
from agent.controller.refusal import BadImage, WrongFormat
from agent.errors import DecodeError, ImageRefused
from agent.model.disk import GB
from agent.model.qcow2 import HEADER_READ_BYTES, parse_header
from agent.model.qcow2_map import Map, parse_l1

DOING = "measuring a qcow2 image"


class Qcow2:
    """The tables are walked when the file is here."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def write(self, data: bytes) -> None:
        """It is in the file, and read from there."""

    def finish(self, file: BinaryIO) -> Unpacked:
        """Raises `WrongFormat`, `BadImage`."""
        with said_by_us():
            file_bytes = file.seek(0, 2)
            file.seek(0)
            header = parse_header(file.read(HEADER_READ_BYTES), file_bytes)
            if header.size_bytes > self._limit:
                raise BadImage(DOING, f"it unpacks to more than {self._limit / GB:.1f} GB")
            file.seek(header.l1_offset_bytes)
            tables = parse_l1(header, file.read(header.tables * 8), file_bytes)
            clusters = Map(header, file_bytes)
            for number, offset in enumerate(tables):
                if offset:
                    file.seek(offset)
                    clusters.add(number, file.read(header.cluster_bytes))
            clusters.finish(tables)
        return Unpacked(header.size_bytes)


@contextmanager
def said_by_us() -> Iterator[None]:
    """What is wrong with an image is a refusal of ours."""
    try:
        yield
    except ImageRefused as error:
        raise WrongFormat(DOING, error.evidence, hint=error.hint) from error
    except DecodeError as error:
        raise BadImage(DOING, error.evidence) from error

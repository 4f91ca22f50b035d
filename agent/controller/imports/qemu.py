# SPDX-License-Identifier: Apache-2.0
"""qemu-img: what it is asked, and what its answers mean. Pure; `convert.py` asks it, in the sandbox.

The format driver and the file driver are both named: nothing is probed, and no file name is read as a protocol.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from agent.controller.refusal import BadImage, WrongFormat
from agent.model.disk import GB

IMAGE = "/image"
"""Where the image is in the box."""
DOING = "looking at an image with qemu-img"
LARGEST_BYTES = 1024**4
ANSWER_BYTES = 1024 * 1024
"""`qemu-img info` of an honest image has a thousandth of that."""
LINE_BYTES = 1024
PROGRESS = re.compile(rb"\(([0-9]+)\.([0-9]{2})/100%\)")
CHECKED = frozenset({"qcow2", "qed", "vdi", "vhdx", "vmdk", "parallels"})
"""The drivers that can check their own tables; the others' extents are compared with the file's length alone."""
LEAKS_ONLY = 3
"""The exit status of a check that found what is merely wasted (qemu-img(1))."""
UNPACKED = frozenset({"raw", "vpc", "vhdx", "vdi", "qed", "parallels"})
"""The drivers that know no compression: there is no more data than there is file."""


def source(driver: str) -> str:
    """The image, opened so and not otherwise. A VHD's size is the one in its footer, not what its made-up cylinders,
    heads and sectors come to."""
    more = ",force_size_calc=current_size" if driver == "vpc" else ""
    return f"driver={driver}{more},file.driver=file,file.filename={IMAGE}"


def info(driver: str) -> list[str]:
    """What the image says of itself. Backing files are not opened for this."""
    return ["qemu-img", "info", "--output=json", "--image-opts", source(driver)]


def check(driver: str) -> list[str]:
    """Whether its tables contradict each other."""
    return ["qemu-img", "check", "-q", "--output=json", "--image-opts", source(driver)]


def extents(driver: str) -> list[str]:
    """Where in the file each part of the disk is."""
    return ["qemu-img", "map", "--output=json", "--image-opts", source(driver)]


def convert(driver: str, target: str) -> list[str]:
    """Into a raw file with holes, told in percent."""
    return ["qemu-img", "convert", "-p", "--image-opts", "-O", "raw", source(driver), target]


class Answer:
    """Collects what is written to stdout, up to a limit."""

    def __init__(self) -> None:
        self._text = bytearray()

    def tell(self, piece: bytes) -> None:
        """The next piece. Raises `BadImage`."""
        self._text += piece
        if len(self._text) > ANSWER_BYTES:
            raise BadImage(DOING, f"its description has more than {ANSWER_BYTES} bytes")

    def json(self) -> dict[str, Any]:
        """Raises `BadImage`."""
        try:
            answer = json.loads(self._text)
        except ValueError as error:
            raise BadImage(DOING, "its answer is no JSON") from error
        if not isinstance(answer, dict):
            raise BadImage(DOING, "its answer is no object")
        return answer


def virtual_bytes(told: dict[str, Any], driver: str) -> int:
    """The disk's size, if the image stands alone and in the clear. Raises `WrongFormat`, `BadImage`."""
    specific = told.get("format-specific", {}).get("data", {})
    files = [one.get("filename") for one in specific.get("extents", ())]
    faults = {
        f"qemu-img takes it for {told.get('format')}, not {driver}": told.get("format") != driver,
        "it stands on a backing file": bool(told.get("backing-filename") or told.get("full-backing-filename")),
        "its data is in another file": bool(specific.get("data-file")),
        f"its data is in other files: {', '.join(map(str, files))[:200]}": any(one != IMAGE for one in files),
        "it is encrypted": bool(told.get("encrypted") or specific.get("encrypt")),
        "it has snapshots": bool(told.get("snapshots")),
        "it is marked as corrupt": bool(specific.get("corrupt")),
    }
    fault = next((fault for fault, found in faults.items() if found), None)
    if fault is not None:
        hint = "Make it one plain file where it was made: qemu-img convert -O qcow2 IN OUT."
        raise WrongFormat("importing an image", fault, hint=hint)
    size = told.get("virtual-size")
    if not isinstance(size, int) or size <= 0:
        raise BadImage(DOING, "it says no size of its disk")
    if size > LARGEST_BYTES:
        raise BadImage("importing an image", f"its disk has {size / GB:.0f} GB; {LARGEST_BYTES / GB:.0f} are the most")
    return size


@dataclass
class Extents:
    """Reads `qemu-img map` line by line: how much data there is, and whether the file holds it."""

    file_bytes: int
    data_bytes: int = 0
    _line: bytearray = field(default_factory=bytearray)

    def tell(self, piece: bytes) -> None:
        """The next piece. Raises `BadImage`."""
        *lines, rest = (bytes(self._line) + piece).split(b"\n")
        for line in lines:
            self._extent(line)
        self._line = bytearray(rest)
        if len(rest) > LINE_BYTES:
            raise BadImage(DOING, "its map has a line without end")

    def _extent(self, line: bytes) -> None:
        text = line.strip().strip(b"[],")
        if not text:
            return
        try:
            one = json.loads(text)
            length, has_data, at = int(one["length"]), bool(one["data"]), one.get("offset")
        except (ValueError, KeyError, TypeError) as error:
            raise BadImage(DOING, "its map cannot be read") from error
        if at is not None and at + length > self.file_bytes:
            said = f"it is cut short: it has {self.file_bytes} bytes, and data up to {at + length}"
            raise BadImage("importing an image", said, hint="Copy it once more, and compare the lengths.")
        self.data_bytes += length if has_data else 0


def percent(piece: bytes) -> float | None:
    """How far a conversion is, from what it wrote last."""
    found = PROGRESS.findall(piece)
    return int(found[-1][0]) + int(found[-1][1]) / 100 if found else None

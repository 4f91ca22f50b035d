# SPDX-License-Identifier: Apache-2.0
"""What is imported: which kinds of files, how qemu-img calls them, and what their own bytes say against it.

The kind is found by our own magic and told to qemu-img: it never guesses (a raw disk whose guest wrote a qcow2 header
into its first sector would be read as that, with the backing file that the guest chose).
"""

from __future__ import annotations

import struct

from agent.controller.refusal import WrongFormat
from agent.model.image_kind import HEAD_BYTES, TAIL_BYTES, ImageKind, kind_of

DRIVERS: dict[ImageKind, str] = {
    ImageKind.DISK: "raw",
    ImageKind.VMDK: "vmdk",
    ImageKind.VHD: "vpc",
    ImageKind.VHDX: "vhdx",
    ImageKind.VDI: "vdi",
    ImageKind.QED: "qed",
    ImageKind.QCOW1: "qcow",
    ImageKind.QCOW2: "qcow2",
    ImageKind.PARALLELS: "parallels",
}
NAMES: dict[str, ImageKind] = {driver: kind for kind, driver in DRIVERS.items()} | {"vhd": ImageKind.VHD}
"""What its owner may call a kind."""
DOING = "importing an image"

VMDK_CAPACITY = struct.Struct("<4sIIQ")
"""Magic, version, flags, capacity: VMware Virtual Disk Format 5.0, "Hosted Sparse Extent Header"."""
VHD_TYPE_AT = 60
"""In the footer of 512 bytes (Virtual Hard Disk Image Format Specification)."""
VHD_FIXED, VHD_DYNAMIC, VHD_DIFFERENCING = 2, 3, 4


def importable(head: bytes, tail: bytes, name: str = "", said: str | None = None) -> ImageKind:
    """The kind of the file that begins and ends like this; `tail` is empty while the end is not here yet.

    Raises `WrongFormat`.
    """
    kind = kind_of(head[:HEAD_BYTES], name, tail)
    if kind is None and said is None:
        raise WrongFormat(DOING, "its format is not known by its content", hint="Say it: --format raw, for a raw disk.")
    kind = kind or NAMES[said or "raw"]
    if kind not in DRIVERS:
        raise WrongFormat(DOING, f"it is {kind}, which is not converted", hint=_advice(kind))
    if said is not None and NAMES[said] is not kind and tail:
        raise WrongFormat(DOING, f"it is {kind}, not {said}", hint="Leave --format out: its content says what it is.")
    _refuse_by_head(kind, head)
    if tail:
        _refuse_by_tail(kind, tail)
    return kind


def _advice(kind: ImageKind) -> str:
    match kind:
        case ImageKind.ZVHD | ImageKind.ZVHD2:
            return "There is no public description of it: export the image as qcow2 or VMDK where it was made."
        case ImageKind.GZIP | ImageKind.XZ | ImageKind.ZSTD | ImageKind.BZIP2:
            return "Upload it as it is (bmsctl image create), or unpack it first."
        case _:
            return "Take the disk image out of it, and import that."


def _refuse_by_head(kind: ImageKind, head: bytes) -> None:
    """A VMDK that names other files is a list of names, or a sparse header that says: see the list."""
    if kind is not ImageKind.VMDK:
        return
    embedded = head.startswith(b"KDMV") and VMDK_CAPACITY.unpack_from(head.ljust(VMDK_CAPACITY.size, b"\0"))[3] == 0
    if embedded or not head.startswith((b"KDMV", b"COWD")):
        hint = "Export it as one file: streamOptimized (as in an OVA) or monolithicSparse."
        raise WrongFormat(DOING, "this VMDK is but a description: its data is in other files", hint=hint)


def _refuse_by_tail(kind: ImageKind, tail: bytes) -> None:
    """qemu-img reads a differencing VHD as if nothing were below it, and one that was cut off as far as it goes."""
    if kind is not ImageKind.VHD:
        return
    if len(tail) != TAIL_BYTES or not tail.startswith(b"conectix"):
        raise WrongFormat(DOING, "this VHD is cut short: it does not end with its footer", hint="Copy it once more.")
    form = int.from_bytes(tail[VHD_TYPE_AT : VHD_TYPE_AT + 4], "big")
    if form == VHD_DIFFERENCING:
        raise WrongFormat(DOING, "this VHD is a differencing one: it stands on another file", hint="Merge it first.")
    if form not in (VHD_FIXED, VHD_DYNAMIC):
        raise WrongFormat(DOING, f"this VHD is of type {form}, neither fixed nor dynamic", hint="Merge it first.")

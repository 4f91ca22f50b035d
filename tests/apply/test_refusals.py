# SPDX-License-Identifier: Apache-2.0
"""Images that are not written on a host: refused by name, with what to do about it, and the disk as it was."""

from __future__ import annotations

import pytest

from agent.apply.lender import Owner
from agent.errors import DiskChanged, ImageRefused, ImageTruncated
from agent.host.fake import FakeHost
from agent.model.image import ImageFormat
from agent.model.image_kind import VDI_MAGIC
from tests.apply.disks import MIB, disk_of, gpt_image, machine, serve
from tests.apply.packed import PACKED, STREAMS, file_of
from tests.apply.writing import head_of, step_of, write
from tests.controller.test_image_formats import vhd_footer

DISK = 32 * MIB
IMAGE = gpt_image()
FOREIGN = {
    "VMDK": b"KDMV\1\0\0\0",
    "VMDK ": b"COWD\1\0\0\0",
    "VMDK  ": b"# Disk DescriptorFile\nversion=1\n",
    "VHD": b"conectix\0\0\0\2",
    "VHDX": b"vhdxfile",
    "VDI": b"<<< Oracle VM VirtualBox Disk Image >>>\n".ljust(64, b"\0") + VDI_MAGIC,
    "QED": b"QED\0",
    "QCOW version 1": b"QFI\xfb\0\0\0\1",
    "a Parallels disk": b"WithoutFreeSpace",
    "an ISO 9660 CD without a partition table": bytes(32769) + b"CD001",
    "a ZIP archive": b"PK\3\4",
    "a 7-Zip archive": b"7z\xbc\xaf\x27\x1c",
    "a tar archive": b"disk.raw".ljust(257, b"\0") + b"ustar",
}


def must_be_refused(file: bytes, said: ImageFormat, told: str, url: str | None = None) -> str:
    """With a message that has this; the hint is returned."""
    made = machine(DISK)
    disk_of(made).write(0, b"precious")
    image = serve(made, file)
    if url is not None:
        made.web[url] = made.web.pop(image.url)
    changes = {"format": said, "url": url or image.url, "size_bytes": None}
    with pytest.raises(ImageRefused) as error:
        write(made, image.model_copy(update=changes))

    assert told in str(error.value)
    assert disk_of(made).read(0, 8) == b"precious" and head_of(made) is None
    return error.value.hint


@pytest.mark.parametrize("said", STREAMS)
@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_formats(name: str, said: ImageFormat) -> None:
    """Whatever it is said to be, it is known by its first bytes, and can be imported."""
    hint = must_be_refused(FOREIGN[name].ljust(2 * MIB, b"\0"), said, f"it is {name.strip()}, not {said}")

    assert hint == "bmsctl image import converts it"


@pytest.mark.parametrize("ending", ["zvhd", "zvhd2", "ZVHD2", "zvhd?signature=x"])
def test_formats_that_only_their_names_tell(ending: str) -> None:
    """ZVHD and ZVHD2 have no public description: the name is what there is."""
    name = ending.partition("?")[0].upper()
    must_be_refused(bytes(2 * MIB), ImageFormat.RAW, f"it is {name}, not raw", f"http://images.example/disk.{ending}")


@pytest.mark.parametrize("said", STREAMS)
@pytest.mark.parametrize("really", STREAMS)
def test_said_to_be_another(really: ImageFormat, said: ImageFormat) -> None:
    """A format that is written, but not the one that was said: the hint has the right one."""
    if said is not really:
        hint = must_be_refused(file_of(IMAGE, really), said, f", not {said}")

        assert hint == f"say that its format is {really}"


@pytest.mark.parametrize("said", PACKED)
@pytest.mark.parametrize(
    "inside", [FOREIGN["VMDK"], file_of(IMAGE, ImageFormat.QCOW2), file_of(IMAGE, ImageFormat.RAW_GZ)]
)
def test_another_image_in_the_packing(inside: bytes, said: ImageFormat) -> None:
    """What is packed has to be a disk, not another image."""
    must_be_refused(file_of(inside.ljust(2 * MIB, b"\0"), said), said, "what it unpacks to is no disk: it is ")


@pytest.mark.parametrize("image_format", STREAMS)
def test_too_small_to_be_a_disk(image_format: ImageFormat) -> None:
    """Less than what is held back is no disk."""
    made = machine(DISK)
    disk_of(made).write(0, b"precious")
    with pytest.raises(ImageTruncated, match="which is no disk"):
        write(made, serve(made, IMAGE[: MIB // 2], image_format))

    assert disk_of(made).read(0, 8) == b"precious"


@pytest.mark.parametrize("image_format", [one for one in STREAMS if one is not ImageFormat.QCOW2])
def test_fixed_vhd(image_format: ImageFormat) -> None:
    """A raw disk with 512 bytes more is known by these, at its end, and handed on to nobody."""
    made = machine(DISK)
    with pytest.raises(ImageRefused, match="it is VHD, not raw"):
        write(made, serve(made, IMAGE + vhd_footer(), image_format))

    assert head_of(made) is None and not any(disk_of(made).durable.read(0, MIB))


def test_a_disk_that_somebody_has_written_to() -> None:
    """Between being judged and being lent: it stays as it is by then, whoever asks for it, and however often."""
    made = machine(DISK)
    step = step_of(made, serve(made, IMAGE))
    owner = Owner(FakeHost.of(made), step)
    owner.look()
    disk_of(made).write(0, b"precious")
    for _ in range(2):
        with pytest.raises(DiskChanged), owner.begin(IMAGE[:MIB]):
            pass

    assert disk_of(made).read(0, 8) == b"precious" and not owner.head

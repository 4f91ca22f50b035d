# SPDX-License-Identifier: Apache-2.0
"""`image.deploy` as a whole on a fake machine: good images of every format, bad ones, and what is refused untouched."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from agent.host.fake import FakeHost, Page
from agent.model.image import ImageFormat
from agent.model.job import JobState
from agent.model.partition_table import partitions
from tests.apply.deploying import DISK, DRIVE, IMAGE, deployed, full, holds_the_image, outcome
from tests.apply.disks import MIB, URL, boots, disk_of, gpt_image, machine, request, serve


@pytest.mark.parametrize("image_format", list(ImageFormat))
def test_deploy(image_format: ImageFormat) -> None:
    """The image, its table fitted to the disk, and the config drive are on the medium; the secret is on it alone."""
    made = machine(DISK, DISK)
    job, outbox = deployed(FakeHost.of(made), request(serve(made, IMAGE, image_format)))
    disk = disk_of(made)

    assert job.fault is None and holds_the_image(disk)
    assert partitions(disk.durable.read(0, MIB), 512)[1] == (2, DRIVE.offset_bytes, DRIVE.size_bytes)
    assert b"hunter2" in disk.durable.read(DRIVE.offset_bytes, 4096)
    assert disk_of(made, "/dev/sdb").durable.blank
    assert [one.report.step for one in outbox.pending()] == [
        "write_image",
        "place_config_drive",
        "seal_disk",
        "seal_disk",
    ]
    everything = b"".join(entry for entry in made.tree.entries.values() if isinstance(entry, bytes))
    assert b"hunter2" not in everything and "hunter2" not in repr(made.commands)


def test_several_frames() -> None:
    """A zstd file of several frames is one image."""
    made = machine(DISK)
    image = serve(made, IMAGE[:MIB], ImageFormat.RAW_ZST)
    body = made.web[URL].body
    serve(made, IMAGE[MIB:], ImageFormat.RAW_ZST)
    made.web[URL] = Page(body + made.web[URL].body)
    whole = {"sha256": hashlib.sha256(made.web[URL].body).hexdigest(), "file_bytes": None, "size_bytes": len(IMAGE)}

    assert outcome(made, request(image.model_copy(update=whole))) == (JobState.SUCCEEDED, "")
    assert holds_the_image(disk_of(made))


def test_old_data_in_holes_is_gone() -> None:
    """A hole of the image reads as zeroes on a disk that was full, and no old table is left at its end."""
    made = machine(DISK)
    disk = disk_of(made)
    disk.write(0, b"\xff" * DISK)
    disk.flush()

    assert outcome(made, request(serve(made, IMAGE)))[0] is JobState.SUCCEEDED
    assert holds_the_image(disk)
    assert disk.durable.read(len(IMAGE), MIB) == bytes(MIB)


def wrong_body(change: int) -> bytes:
    """The image with its length changed by that much; 0 changes one byte."""
    if change == 0:
        return IMAGE[: 3 * MIB] + b"X" + IMAGE[3 * MIB + 1 :]
    return IMAGE[:change] if change < 0 else IMAGE + bytes(change)


@pytest.mark.parametrize(
    ("change", "told", "code"),
    [
        (0, {}, "IMAGE.DIGEST_MISMATCH"),
        (-512, {}, "IMAGE.TRUNCATED"),
        (512, {}, "IMAGE.OVERRUN"),
        (-512, {"file_bytes": None}, "IMAGE.DIGEST_MISMATCH"),
        (512, {"file_bytes": None}, "IMAGE.DIGEST_MISMATCH"),
    ],
)
def test_file_that_is_not_the_image(change: int, told: dict[str, Any], code: str) -> None:
    """Another byte, a cut body, a longer one: each has its code, and the disk cannot boot."""
    made = machine(DISK)
    image = serve(made, IMAGE, **told)
    made.web[URL] = Page(wrong_body(change))

    assert outcome(made, request(image)) == (JobState.FAILED, code)
    assert not boots(disk_of(made))


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"size_bytes": len(IMAGE) - 512}, "IMAGE.OVERRUN"),
        ({"size_bytes": len(IMAGE) + 512}, "IMAGE.TRUNCATED"),
        ({"format": "raw.zst"}, "IMAGE.REFUSED"),
        ({"size_bytes": DISK}, "IMAGE.TOO_LARGE"),
        ({"url": "http://images.example/gone"}, "IMAGE.UNAVAILABLE"),
    ],
)
def test_image_that_is_not_as_told(told: dict[str, Any], code: str) -> None:
    """A wrong size, format or address is an error with its own code, and the disk cannot boot."""
    made = machine(DISK)
    assert outcome(made, request(serve(made, IMAGE, **told))) == (JobState.FAILED, code)
    assert not boots(disk_of(made))


@pytest.mark.parametrize(
    ("image", "told"), [(gpt_image(34 * MIB), {}), (IMAGE + bytes(30 * MIB), {"size_bytes": None})]
)
def test_image_larger_than_the_disk(image: bytes, told: dict[str, Any]) -> None:
    """Too large an image is refused before the first write if its size is told, and stopped at the limit if not."""
    made = machine(DISK)
    assert outcome(made, request(serve(made, image, **told))) == (JobState.FAILED, "IMAGE.TOO_LARGE")
    assert not boots(disk_of(made))


@pytest.mark.parametrize(
    ("image", "sector_bytes", "code"),
    [
        (gpt_image(sector_bytes=4096), 512, "IMAGE.SECTOR_SIZE"),
        (gpt_image(), 4096, "IMAGE.SECTOR_SIZE"),
        (bytes(6 * MIB), 512, "IMAGE.PARTITION_TABLE"),
        (gpt_image()[:600] + b"X" + gpt_image()[601:], 512, "IMAGE.TRUNCATED"),
        (b"x" * 1000, 512, "IMAGE.TRUNCATED"),
    ],
)
def test_refusals_come_before_the_first_write(image: bytes, sector_bytes: int, code: str) -> None:
    """An image that this disk cannot take is refused from its head, with the disk's data untouched."""
    made = machine(DISK, sector_bytes=sector_bytes)
    disk = full(made)
    state, found = outcome(made, request(serve(made, image)))

    assert state is JobState.FAILED and (found == code or image[600:601] == b"X")
    assert disk.durable.read(0, 8) == b"precious"


def test_mounted_disk() -> None:
    """A disk that is mounted is refused, whatever the request allows, and is untouched."""
    made = machine(DISK)
    made.record = made.record.model_copy(
        update={"counts": made.record.counts.model_copy(update={"mounts": (("/dev/sda", "/srv"),)})}
    )
    disk = full(made)
    allowed = request(serve(made, IMAGE)).model_copy(update={"overwrite": True})

    assert outcome(made, allowed) == (JobState.FAILED, "DISK.IN_USE")
    assert disk.durable.read(0, 8) == b"precious"

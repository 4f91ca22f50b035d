# SPDX-License-Identifier: Apache-2.0
"""Scenarios of images: written to a whole disk, into partitions, and read from a disk."""

from __future__ import annotations

from agent.host.fake import Machine
from agent.model import chunked
from agent.model.image import ImageFormat
from agent.model.request import CaptureRequest, Request
from tests.apply import captured, test_layout
from tests.apply.deploying import DISK, IMAGE, holds_the_image
from tests.apply.disks import MIB, boots, disk_of, request, serve
from tests.operations.faults import Scenario
from tests.operations.machines import ORDER, other_is_kept, with_another

CAPTURED = "http://images.example/captured.bmi"
BEFORE = captured.server()
LAST_AT, LAST_MIB, _ = captured.PARTS[-1]


def deploying() -> tuple[Machine, Request]:
    """A whole disk."""
    made = with_another(DISK, MIB)
    return made, request(serve(made, IMAGE, ImageFormat.RAW_ZST), drive=None)


def deployed(made: Machine) -> bool:
    """The image, and all of it."""
    return holds_the_image(disk_of(made), None)


def is_whole_or_dead(made: Machine) -> bool:
    """A disk that is not the whole image does not boot."""
    return other_is_kept(made) and (not boots(disk_of(made)) or deployed(made))


def laying_out() -> tuple[Machine, Request]:
    """A root filesystem, into a table of ours."""
    made = test_layout.small(test_layout.SMALL)
    return made, test_layout.small_request(made, test_layout.SMALL)


def laid_out(made: Machine) -> bool:
    """It boots, and has all that belongs to it."""
    disk = disk_of(made)
    test_layout.must_be_whole_or_dead(disk)
    return boots(disk)


def is_laid_out_or_dead(made: Machine) -> bool:
    """As above."""
    test_layout.must_be_whole_or_dead(disk_of(made))
    return True


def capturing() -> tuple[Machine, Request]:
    """Of a server's disk, to an image server."""
    return captured.server(), CaptureRequest(**ORDER, to=CAPTURED, generalise=False, level=1)


def is_captured(made: Machine) -> bool:
    """The file is whole: it ends in a manifest that is one."""
    file = made.web[CAPTURED].body
    place = chunked.place_of_manifest(file[-chunked.TAIL_BYTES :], len(file))
    frame = memoryview(file)[place.offset : place.offset + place.length]
    return chunked.parse(chunked.unframe(frame)[0]).disk_bytes == (LAST_AT + LAST_MIB) * MIB


def is_only_read(made: Machine) -> bool:
    """The disk is as it was, and no half image has the image's name."""
    disk, before = disk_of(made), disk_of(BEFORE)
    same = disk.durable.read(0, disk.size_bytes) == before.durable.read(0, disk.size_bytes)
    return same and not disk.cached and (CAPTURED not in made.web or is_captured(made))


SCENARIOS = {
    "image.deploy": (
        Scenario("whole disk", deploying, deployed, is_whole_or_dead, "reboot", tries=16),
        Scenario("partition image", laying_out, laid_out, is_laid_out_or_dead, "reboot", tries=16),
        Scenario("by another process", deploying, deployed, is_whole_or_dead, "reboot", tries=16, writer="root's"),
        Scenario("its doors", deploying, deployed, is_whole_or_dead, "reboot", tries=16, writer="its own"),
        Scenario("partition by another", laying_out, laid_out, is_laid_out_or_dead, "reboot", tries=8, writer="root's"),
    ),
    "image.capture": (Scenario("to a server", capturing, is_captured, is_only_read, tries=12),),
}

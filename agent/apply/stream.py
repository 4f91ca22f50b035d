# SPDX-License-Identifier: Apache-2.0
"""Images that are read once, from beginning to end: raw, packed raw, QCOW2. Chunked ones: `agent.apply.chunked`.

What another server may have right is tried again there: a wrong digest, or a beginning that is no disk. So is what was
found on the disk of an earlier attempt and is wrong, or cannot be read: without it. What was written by then cannot
boot and is written over.
"""

from __future__ import annotations

from contextlib import ExitStack

from agent.apply.crew import Crew
from agent.apply.lender import Lender
from agent.apply.meter import Meter, meter_of
from agent.apply.partition import PartitionPlace
from agent.apply.place import DiskPlace, FilePlace, must_not_end_as_vhd
from agent.apply.pour import Pour, Poured
from agent.apply.readback import Readback
from agent.apply.resume import found
from agent.apply.source.mirrors import in_turn
from agent.apply.source.open import open_source
from agent.errors import (
    AgentError,
    DecodeError,
    DeviceError,
    DigestMismatch,
    ImageError,
    ImageUnavailable,
    PartitionTableError,
)
from agent.host.doors import Clock, Host
from agent.model.image import ImageRef
from agent.model.job import Advance, Result
from agent.model.plan import WriteImage
from agent.model.url import named
from agent.program.log import Logger

log = Logger("image")


def write_stream(host: Host, step: WriteImage, lender: Lender, advance: Advance) -> Result:
    """All but the head, which stays with the lender: when this returns, the rest is verified and on the medium."""
    meter = meter_of(host)
    images, may_reuse = in_turn(step.image), True
    while True:
        attempt = Attempt(host, step, lender, images[0], meter)
        try:
            return attempt.run(advance, may_reuse=may_reuse)
        except (ImageError, DecodeError, PartitionTableError, DeviceError) as error:
            if not attempt.may_be_cured(error):
                raise
            if not attempt.found_bytes:
                images.pop(0)
            if not images:
                raise
            log.warning("writing the image failed: once more", url=named(images[0].url), error=str(error))
        may_reuse = False


class Attempt:
    """One try. `found_bytes` is how much of the file was said to be on the disk before."""

    def __init__(self, host: Host, step: WriteImage, lender: Lender, image: ImageRef, meter: Meter) -> None:
        self._host = host
        self._step = step
        self._lender = lender
        self._image = image
        self._meter = meter
        self._pour: Pour | None = None
        self.found_bytes = 0

    def run(self, advance: Advance, *, may_reuse: bool) -> Result:
        """Raises as `write_image` does."""
        host, step, crew = self._host, self._step, Crew()
        with ExitStack() as stack:
            with open_source(host, self._image, crew.stop, self._meter) as source:
                self.found_bytes = found(self._lender, step, source.image) if may_reuse else 0
                place = place_of(self._lender, host.clock, step, source.image)
                pour = self._pour = Pour(
                    host, source, place, stack, crew, self._meter, there_bytes=self.found_bytes, verify=step.verify
                )
                try:
                    done = pour.run(advance)
                except DigestMismatch:
                    pour.forget()
                    raise
            verified = self._finished(done, place, advance)
        return {
            "image_bytes": done.size_bytes,
            **done.digest,
            **self._meter.result(),
            "reused_bytes": done.reused_bytes,
            **verified,
        }

    def may_be_cured(self, error: AgentError) -> bool:
        """By another server, or without what was found on the disk. A file with the right digest is not better
        elsewhere; but what was refused for its beginning was never hashed.
        """
        match error:
            case DigestMismatch():
                return True
            case DeviceError():
                return self.found_bytes > 0
            case ImageUnavailable():  # every server was asked
                return False
        return self._pour is not None and not self._pour.is_open

    def _finished(self, done: Poured, place: DiskPlace, advance: Advance) -> Result:
        """On the medium; and read back from there, if that was asked for."""
        opened, doing = done.opened, place.doing
        opened.target.clear_what_follows()
        opened.target.flush()
        if opened.bookmark is not None:
            opened.bookmark.finish(done.file_bytes)
        must_not_end_as_vhd(opened.target.disk, done.size_bytes, doing)
        place.confirm(opened.target, opened.head)
        if opened.sums is None:
            return {}
        back = Readback(opened.target.disk, len(opened.head), done.size_bytes, opened.sums, doing)
        return back.run(self._host.clock, self._meter, advance)


def place_of(lender: Lender, clock: Clock, step: WriteImage, image: ImageRef) -> DiskPlace:
    """The disk, or one partition of it."""
    if step.table is None:
        return DiskPlace(lender, clock, step, image)
    return PartitionPlace(lender, clock, step, image, step.table)


def unpack_stream(host: Host, image: ImageRef, path: str, advance: Advance) -> Result:
    """All of it into a new sparse file; nothing is held back, for nothing boots from there."""
    crew, meter = Crew(), meter_of(host)
    place = FilePlace(host, path, f"unpacking {named(image.url)} to {path}")
    with ExitStack() as stack, open_source(host, image, crew.stop, meter) as source:
        done = Pour(host, source, place, stack, crew, meter).run(advance)
    return {"image_bytes": done.size_bytes, **done.digest, **meter.result()}

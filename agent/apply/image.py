# SPDX-License-Identifier: Apache-2.0
"""Doing `WriteImage`: all but the first MiB, which is kept aside for `SealDisk`.

Order on the disk: first it is made unable to boot (head and tail zeroed, flushed), then the data, then a flush. The
head is handed on only after all else has been verified and is on the medium. Memory is constant.
"""

from __future__ import annotations

from agent.apply.chunked.write import write_chunked
from agent.apply.lender import Lender, Owner
from agent.apply.stream import write_stream
from agent.errors import SignatureMissing
from agent.host.doors import Host
from agent.model.image import ImageFormat
from agent.model.job import Advance, Result
from agent.model.plan import WriteImage
from agent.model.url import named

PACK = "bms-agent image pack --sign KEY.pem makes a signed one of it."


def write_image(host: Host, step: WriteImage, advance: Advance, socket: str | None = None) -> Result:
    """Returns the image's size, its digest, what was fetched and written, and what limited it. With a socket, the
    process behind it does that; but files of this machine it cannot read.

    Raises `ImageError`, `PreconditionError`, `HostError`, `LinkError`, and what `advance` raises.
    """
    if socket is not None and not step.image.local_places:
        from agent.apply.writer.relay import relayed

        return relayed(host, step, socket, advance)
    owner = Owner(host, step)
    owner.look()
    return poured(host, step, owner, advance) | owner.hand_on()


def poured(host: Host, step: WriteImage, lender: Lender, advance: Advance) -> Result:
    """All but what the lender keeps."""
    if step.image.format is ImageFormat.CHUNKED:
        return write_chunked(host, step, lender, advance)
    if step.trusted_keys:
        told = f"it is {step.image.format}, and only chunked images can be signed"
        raise SignatureMissing(f"writing {named(step.image.url)} to {step.disk.path}", told, hint=PACK)
    return write_stream(host, step, lender, advance)

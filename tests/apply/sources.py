# SPDX-License-Identifier: Apache-2.0
"""A file on the web of a fake machine, and its source."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

from agent.apply.meter import Meter
from agent.apply.source import Source
from agent.apply.source.open import open_source
from agent.host.fake import FakeHost, Machine, Page, Tree
from agent.model.image import ImageFormat, ImageRef
from tests.bodies import whole

FILE = random.Random(1).randbytes(300_000)
SIZE = len(FILE)
URL = "http://images.example/disk.raw"
MIRROR = "http://mirror.example/copy.raw"
DIGEST = "0" * 64


def image(**more: Any) -> ImageRef:
    """Where it is; its digest is another stage's business."""
    return ImageRef.model_validate({"url": URL, "format": ImageFormat.RAW, "sha256": DIGEST} | more)


def a_machine(page: Page | None = None, mirror: Page | None = None) -> Machine:
    """With the file, and a copy elsewhere."""
    made = Machine.of(Tree())
    made.web[URL] = page or Page(FILE)
    if mirror is not None:
        made.web[MIRROR] = mirror
    return made


@contextmanager
def source(made: Machine, ref: ImageRef | None = None, stop: Event | None = None) -> Iterator[Source]:
    """The source of an image, of the plain one if none is given."""
    host = FakeHost.of(made)
    with open_source(host, ref or image(), stop or Event(), Meter(host.clock)) as opened:
        yield opened


def fetched(made: Machine, ref: ImageRef | None = None, offset: int = 0, length: int | None = None) -> bytes:
    """What a reader gives."""
    with source(made, ref) as opened, opened.reader(offset, length) as reader:
        return whole(reader, 50_000)

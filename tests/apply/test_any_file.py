# SPDX-License-Identifier: Apache-2.0
"""Files of every format, damaged after they were published: what they hold is written, or nothing is."""

from __future__ import annotations

import hashlib

import pytest

from agent.errors import AgentError
from agent.host.fake import Page
from agent.model.image import ImageFormat
from tests.apply.disks import MIB, URL, disk_of, gpt_image, machine, serve
from tests.apply.feeds import unpacked
from tests.apply.packed import STREAMS, file_of
from tests.apply.qcow2 import Shape, qcow2
from tests.apply.writing import head_of, must_hold, write
from tests.mutations import SEED, inputs

SMALL = gpt_image(4 * MIB)
SHAPES = (Shape(2, 16, packed=0.5, seed=1), Shape(3, 12, packed=0.5, zeroes=0.5, seed=2), Shape(zeroes=1.0, seed=3))


@pytest.mark.parametrize("image_format", STREAMS)
def test_any_file_is_written_or_not(image_format: ImageFormat) -> None:
    """As it was published: all of it is on the disk, or an error of ours says why not, and nothing is handed on."""
    samples = [file_of(SMALL, image_format)]
    if image_format is ImageFormat.QCOW2:
        samples = [qcow2(SMALL, shape) for shape in SHAPES]
    for name, file in inputs(SEED, samples, most=60, longest_s=0.8):
        made = machine(16 * MIB)
        image = serve(made, SMALL, image_format, size_bytes=None, file_bytes=None)
        made.web[URL] = Page(file)
        digest = hashlib.sha256(file).hexdigest()
        try:
            result = write(made, image.model_copy(update={"sha256": digest}), verify=True)
        except AgentError:
            assert head_of(made) is None and not any(disk_of(made).durable.read(0, MIB)), name
            continue
        except Exception as error:
            raise AssertionError(f"input {name}") from error
        size = result["image_bytes"]
        assert isinstance(size, int) and head_of(made) is not None
        if image_format is not ImageFormat.QCOW2:
            must_hold(made, file if image_format is ImageFormat.RAW else unpacked(file, image_format))

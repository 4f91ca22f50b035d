# SPDX-License-Identifier: Apache-2.0
"""The whole program in a process of its own, writing one image to a disk through the real doors: how large does it get?

python -m tests.apply.weighed DISK IMAGE.json SPOOL [verify] [resumed]
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from agent.host import real as real_host
from agent.model.image import ImageRef
from agent.model.plan import WriteImage
from agent.operations import Operations
from tests.apply.real import Block, steps


def main() -> None:
    """Prints what the step tells of itself, and `peak_bytes`."""
    import agent.cli.job  # noqa: F401 - what else is in memory while an operator, or the ramdisk, writes an image

    node, image, spool, *flags = sys.argv[1:]
    reference = ImageRef.model_validate_json(Path(image).read_text())
    doer = Operations(replace(real_host.host(), block=Block()), None, spool)
    write = next(step for step in steps(node, reference, Path(spool)) if isinstance(step, WriteImage))
    asked = write.model_copy(update=dict.fromkeys(flags, True))
    before_bytes = peak_bytes()
    told = doer.do(asked, lambda *_: None)
    sys.stdout.write(json.dumps({**told, "before_bytes": before_bytes, "peak_bytes": peak_bytes()}))


def peak_bytes() -> int:
    """VmHWM: ru_maxrss would be the parent's, which forked us, if that was larger."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Our writer in a process of its own: the steps that write and seal a disk, through the real doors.

python -m tests.bench.write NODE IMAGE.json SPOOL [--resumed] [--verify]
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from agent.host import real as real_host
from agent.model.image import ImageRef
from agent.model.plan import SealDisk, WriteImage
from agent.operations import Operations
from tests.apply.real import Block, steps


def main() -> None:
    """Prints what the step tells of itself; and what an agent that runs already takes, without a process' start."""
    node, image, spool, *flags = sys.argv[1:]
    reference = ImageRef.model_validate_json(Path(image).read_text())
    doer = Operations(replace(real_host.host(), block=Block()), None, spool)
    result: dict[str, str | int | float] = {}
    began = time.monotonic()
    for step in steps(node, reference, Path(spool)):
        match step:
            case WriteImage():
                told = {"resumed": "--resumed" in flags, "verify": "--verify" in flags, "add": ()}
                result |= doer.do(step.model_copy(update=told), lambda *_: None)
            case SealDisk():
                result |= doer.do(step.model_copy(update={"add": ()}), lambda *_: None)
            case _:
                continue
    result["steps_s"] = time.monotonic() - began
    sys.stdout.write(f"{json.dumps(result)}\n")


if __name__ == "__main__":
    main()

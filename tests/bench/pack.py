# SPDX-License-Identifier: Apache-2.0
"""Packs a disk as `bms-agent image pack` does with nothing said, and writes the image's digest beside it.

python -m tests.bench.pack DISK OUT
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from agent.apply.chunked.pack import Options, Packing
from agent.host.files import RealFiles


def main() -> None:
    """One file."""
    disk, out = sys.argv[1:]
    files = RealFiles()
    with files.open_large(disk) as file:
        packing = Packing(file, Options(threads=os.cpu_count() or 1))
        files.save(out, packing.pieces())
    Path(f"{out}.digest").write_text(packing.digest)


if __name__ == "__main__":
    main()

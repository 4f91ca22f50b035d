# SPDX-License-Identifier: Apache-2.0
"""`tests/bench/run inventory`: the whole inventory beside `lshw -json`, in one guest, one after the other."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lab import artifacts
from tests.bench.bars import Bar, end
from tests.bench.files import CACHE
from tests.machine.looked import looked

SHARE = 0.1
NO_LIMIT = float("inf")


def main(*, as_json: bool) -> None:
    """Boots the guest of `tests/machine/test_inventory.py`. Needs root."""
    (CACHE / "bench").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE / "bench") as folder:
        took = looked(Path(folder), artifacts.ramdisk())["took"]
    end(bars(took), as_json=as_json)


def bars(took: dict[str, float]) -> list[Bar]:
    """A command begins by starting Python, which in an emulated processor takes longer than all that it then does."""
    lshw = took["lshw"]
    return [
        Bar("inventory / lshw -json: wall, by an agent that runs", took["ours, by an agent that runs"] / lshw, SHARE),
        Bar("inventory / lshw -json: wall, as a command", took["ours, as a command"] / lshw, NO_LIMIT),
        Bar("lshw -json: wall, s", lshw, NO_LIMIT),
    ]

# SPDX-License-Identifier: Apache-2.0
"""Loop devices: real block devices of the real kernel, for as long as a test needs them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def loop(
    directory: Path, size_bytes: int, *, name: str = "disk", sector_bytes: int = 512, read_only: bool = False
) -> Iterator[str]:
    """A device node over a sparse file of that size in `directory`; detached at the end."""
    backing = directory / name
    with backing.open("ab") as file:
        file.truncate(size_bytes)
    flags = ["--find", "--show", "--partscan", f"--sector-size={sector_bytes}", *(["--read-only"] if read_only else [])]
    node = command("losetup", *flags, str(backing)).strip()
    try:
        yield node
    finally:
        command("losetup", "--detach", node)
        backing.unlink()


def command(*argv: str, stdin: str | None = None) -> str:
    """Run it; what it prints."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout

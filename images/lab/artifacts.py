# SPDX-License-Identifier: Apache-2.0
"""What the lab boots, deploys and is controlled by: built by the scripts beside this package, or found in a cache."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.fault import LabFault

IMAGES = Path(__file__).parents[1]
SAMPLE = "debian.bmi"


def ramdisk() -> Path:
    """The folder with kernel and initrd."""
    return _built("ramdisk")


def sample_image() -> Path:
    """The sample image, chunked; image.json beside it describes it."""
    return _built("debian") / SAMPLE


def ironic() -> Path:
    """Ironic's virtual environment."""
    return _built("ironic")


def _built(name: str) -> Path:
    """Run a build script: its progress is shown, its last line is where the result lies."""
    done = subprocess.run([str(IMAGES / name)], stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise LabFault(f"running images/{name}: it ended with status {done.returncode}")
    return Path(lines[-1])

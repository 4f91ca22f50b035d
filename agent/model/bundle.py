# SPDX-License-Identifier: Apache-2.0
"""What is in a bundle of logs: its manifest, which lies in it and is printed for who makes one."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from agent.model.frozen import Frozen, Reply

FILE = "manifest.json"
LARGEST_BYTES = 32 * 1024 * 1024
"""That a controller takes."""


class BundledFile(Frozen):
    """One text, as it is in the archive: without secrets, and cut to its last lines where there was no room."""

    name: str
    size_bytes: int
    whole_bytes: int = Field(description="before it was cut")
    sha256: str


class Taken(Reply):
    """The controller has it, under this name."""

    name: str
    size_bytes: int


class Manifest(Frozen):
    """All of them but itself."""

    agent_version: str
    made_at: datetime
    limit_bytes: int
    files: tuple[BundledFile, ...]

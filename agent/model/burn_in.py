# SPDX-License-Identifier: Apache-2.0
"""Burn-in: what hardware is put under load with, for how long, and what is found.

Every load verifies its own results: a machine that only stays up has proven little.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from agent.model.disk import DiskIdentity
from agent.model.frozen import Frozen

Part = Literal["cpu", "memory", "disk", "network", "gpu"]
State = Literal["passed", "degraded", "failed", "skipped"]
Seconds = Annotated[int, Field(ge=1, le=90 * 86400)]
DAY_S = 86400


class CpuLoad(Frozen):
    """Hashing, key derivation and compression with known answers, one thread bound to each logical processor."""

    part: Literal["cpu"] = "cpu"
    seconds: Seconds = DAY_S
    workers: int = Field(default=0, ge=0, le=65536, description="0: one for each logical processor")


class MemoryLoad(Frozen):
    """Patterns written to memory and compared, over and over."""

    part: Literal["memory"] = "memory"
    seconds: Seconds = DAY_S
    workers: int = Field(default=0, ge=0, le=65536, description="0: one for each logical processor")
    percent: float | None = Field(default=98.0, gt=0, le=100, description="of what is available; None: `size_bytes`")
    size_bytes: int | None = Field(default=None, gt=0, description="of all workers together")


class DiskLoad(Frozen):
    """Every block of a disk written and read back, which DESTROYS what is on it."""

    part: Literal["disk"] = "disk"
    loops: int = Field(default=4, ge=1, le=1000, description="whole passes of writing and reading")
    seconds: int = Field(default=0, ge=0, le=90 * DAY_S, description="the time limit, in place of `loops`; 0: none")

    @model_validator(mode="before")
    @classmethod
    def _as_it_was(cls, told: object) -> object:
        """Ledgers of earlier agents have a `self_test`, which was never done. One that asks for it is refused."""
        if isinstance(told, dict) and told.get("self_test") is False:
            return {name: value for name, value in told.items() if name != "self_test"}
        return told


class NetworkLoad(Frozen):
    """Verified data to and from another machine that does the same in the other role, `seconds` each way."""

    part: Literal["network"] = "network"
    role: Literal["writer", "reader"] = Field(description="the writer waits for the reader, and sends first")
    partner: str = Field(pattern=r"^[0-9A-Za-z:._-]{1,253}$", description="its address or name")
    seconds: Seconds = 21600
    patience_s: Seconds = Field(default=3600, description="how long the partner is waited for")
    port: int = Field(default=9000, ge=1, le=65535)
    streams: int = Field(default=16, ge=1, le=64)


class GpuLoad(Frozen):
    """gpu-burn, where the ramdisk has it."""

    part: Literal["gpu"] = "gpu"
    seconds: Seconds = DAY_S
    memory: str = Field(default="95%", pattern=r"^[0-9]{1,9}%?$", description="percent, or MB, of each GPU's memory")
    count: int = Field(default=0, ge=0, description="how many GPUs there must be; 0: any number")
    directory: str = Field(default="/opt/gpu-burn", pattern=r"^/")


Load = Annotated[CpuLoad | MemoryLoad | DiskLoad | NetworkLoad | GpuLoad, Field(discriminator="part")]


class Verdict(Frozen):
    """What came of one load, or of a test on one disk, NIC or whatever it tests. `degraded`: it works, and not as it
    should. `test`, `subject` and `code` are validation's (`agent.model.validation`).
    """

    test: str = ""
    part: Part
    subject: str = Field(default="", description="what was tested, if it is not the whole machine")
    state: State
    code: str = ""
    told: str = Field(default="", description="why it is not simply passed")
    figures: dict[str, str | int] = Field(default_factory=dict)

    def __str__(self) -> str:
        figures = ", ".join(f"{name} {value}" for name, value in self.figures.items())
        who = " ".join(filter(None, (self.test or self.part, self.subject)))
        why = f" ({': '.join(filter(None, (self.code, self.told)))})" if self.told else ""
        return f"{who} {self.state}{why}" + (f": {figures}" if figures else "")


class BurnIn(Frozen):
    """Each load in turn. `record_path` is what the next process goes on by, if this one is killed."""

    kind: Literal["burn_in"] = "burn_in"
    loads: tuple[Load, ...]
    disks: tuple[DiskIdentity, ...] = Field(default=(), description="those that a load of disks writes to")
    record_path: str
    output: str | None = Field(default=None, description="the file that the findings are written to")

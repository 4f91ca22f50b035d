# SPDX-License-Identifier: Apache-2.0
"""What is remembered of the network: the configuration that held last, and a change that is under way.

network.json          the last that was proven, and its generation
network-change.json   only while a change is under way: what to bring back, and until when to wait
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import Field

from agent.errors import DecodeError
from agent.host.doors import Files
from agent.model.frozen import Frozen, decode
from agent.model.network import NetworkConfig, Snapshot
from agent.program.log import Logger

log = Logger("network")
Kept = TypeVar("Kept", bound=Frozen)


class Held(Frozen):
    """A configuration that was proven."""

    generation: int = 0
    config: NetworkConfig = NetworkConfig()
    boot_id: str = Field(default="", description="of the boot in which it held: what is lost with a boot is no drift")


class Pending(Frozen):
    """A change that is neither proven nor taken back yet."""

    deadline_s: float = Field(description="by CLOCK_MONOTONIC, which all processes of a boot share")
    boot_id: str
    snapshot: Snapshot
    failed: NetworkConfig = Field(description="what was being brought about")
    held: Held = Field(description="what held before")


def remembered(files: Files, directory: str) -> tuple[Held | None, Pending | None]:
    """Both, for whoever only looks: nothing is put aside. Raises `DecodeError`, `HostError`."""
    held, pending = f"{directory}/network.json", f"{directory}/network-change.json"
    return (
        decode(Held, files.read_bytes(held), f"reading {held}") if files.exists(held) else None,
        decode(Pending, files.read_bytes(pending), f"reading {pending}") if files.exists(pending) else None,
    )


class NetworkRecord:
    """Both files. Each is replaced atomically, and durable on return."""

    def __init__(self, files: Files, directory: str) -> None:
        self._files = files
        self._held = f"{directory}/network.json"
        self._pending = f"{directory}/network-change.json"
        self.lock = f"{directory}/network.lock"
        self.verdict = f"{directory}/network-verdict.lock"

    def held(self) -> Held:
        """The last that was proven; nothing before the first."""
        return self._read(Held, self._held) or Held()

    def hold(self, held: Held) -> None:
        """From now on this is what holds."""
        self._files.write(self._held, held.model_dump_json().encode(), mode=0o600)

    def pending(self) -> Pending | None:
        """The change under way."""
        return self._read(Pending, self._pending)

    def begin(self, pending: Pending) -> None:
        """Before the first step; what could not be read again is not begun. Raises `DecodeError`."""
        body = pending.model_dump_json().encode()
        decode(Pending, body, "writing down how to take the change back")
        self._files.write(self._pending, body, mode=0o600)

    def end(self) -> None:
        """Proven, or taken back."""
        self._files.remove(self._pending)

    def _read(self, model: type[Kept], path: str) -> Kept | None:
        """What cannot be read (another version of this agent wrote it) is put aside: it must not stop everything that
        comes after it.
        """
        if not self._files.exists(path):
            return None
        try:
            return decode(model, self._files.read_bytes(path), f"reading {path}")
        except DecodeError as error:
            log.error("what is remembered of the network cannot be read", path=path, error=str(error))
            self._files.rename(path, f"{path}.unreadable")
            return None

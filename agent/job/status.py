# SPDX-License-Identifier: Apache-2.0
"""The status file: how the agent is, for the screen. One writer; readers find a whole file, or none.

It is no state: nobody goes by it, and an agent that cannot write it does its work all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from agent.errors import AgentError
from agent.host.doors import Files, Host
from agent.host.identity import boot_id
from agent.model.fault import Fault
from agent.model.frozen import decode
from agent.model.status import FILE, Status
from agent.model.url import named
from agent.program.log import Logger

log = Logger("status")


class StatusFile:
    """In the runtime directory, which dies with the boot."""

    def __init__(
        self,
        host: Host,
        directory: str,
        conductor: Literal["embedded", "ironic"],
        controller: str,
        key: str | None = None,
    ) -> None:
        """`key`: the fingerprint of the one that its calls are signed with."""
        self._host = host
        self._path = f"{directory}/{FILE}"
        self._about = {"conductor": conductor, "controller": named(controller), "fingerprint": key}
        self._told: dict[str, Any] | None = None

    def tell(self, doing: str, **more: Any) -> None:
        """From now on it is so; what is told already is not written again. It never raises an `AgentError`."""
        now = {"doing": doing, **more}
        if now == self._told:
            return
        self._told = now
        try:
            status = Status(**self._about, **now, boot_id=boot_id(self._host.files), at=self._host.clock.now())
            self._host.files.write(self._path, status.model_dump_json().encode(), mode=0o600)
        except AgentError as error:
            log.warning("the status is not written", error=str(error))

    @contextmanager
    def trying(self, doing: str, **more: Any) -> Iterator[None]:
        """While something is tried: that it is, and afterwards, where it failed, why."""
        if self._told is None or self._told["doing"] != doing:
            self.tell(doing, **more)
        try:
            yield
        except AgentError as error:
            self.tell(doing, **more, faults=(Fault.of(error),))
            raise


def status_in(files: Files, directory: str) -> Status | None:
    """As it was told last in this boot. Raises `DecodeError`, `HostError`."""
    path = f"{directory}/{FILE}"
    if not files.exists(path):
        return None
    found = decode(Status, files.read_bytes(path), f"reading {path}")
    return found if found.boot_id == boot_id(files) else None

# SPDX-License-Identifier: Apache-2.0
"""The ledger: the newest desired state this node has accepted. It never moves backwards.

A lower generation is refused; the same with the same content is no news; the same with other content is an error.

So is what names another node. It names no project or zone: a node has one server at a time, and a server one project;
the controller binds node, server and request to each other, and an agent's credential to the node, so whose the node is
can be asked there alone, and nothing that an agent could compare would say more. Which disks were meant it can compare,
and does (`EraseRequest.disks`, `root_device`).
"""

from __future__ import annotations

from agent.errors import ConfigurationChanged, DecodeError, GenerationOutdated, WrongNode
from agent.host.doors import Files
from agent.model.frozen import decode
from agent.model.protocol import Desired
from agent.program.log import Logger

log = Logger("job")


def put_aside(files: Files, directory: str) -> bool:
    """Whether there was a ledger that cannot be read: a later version of this agent wrote it, and went. It is kept by
    another name, since whoever sent it will send it again, and a server must not be out of reach meanwhile.
    """
    path = f"{directory}/ledger.json"
    try:
        if files.exists(path):
            decode(Desired, files.read_bytes(path), f"reading {path}")
    except DecodeError as error:
        log.error("the desired state cannot be read", error=str(error))
        files.rename(path, f"{path}.unreadable")
        return True
    return False


class Ledger:
    """One node's ledger: one small file, replaced atomically (mode 0600: a request may hold secrets)."""

    def __init__(self, files: Files, directory: str, node_id: str) -> None:
        self._files = files
        self._path = f"{directory}/ledger.json"
        self._node_id = node_id
        self._held = self._read()

    @property
    def held(self) -> Desired | None:
        """What was accepted last."""
        return self._held

    @property
    def generation(self) -> int:
        """Of what is held; 0 before the first."""
        return self._held.generation if self._held else 0

    def accept(self, desired: Desired) -> bool:
        """True if it is news. Raises `WrongNode`, `GenerationOutdated`, `ConfigurationChanged`."""
        doing = f"accepting the desired state of generation {desired.generation}"
        others = {desired.node_id, desired.request.node_id if desired.request else self._node_id} - {self._node_id}
        if others:
            raise WrongNode(doing, f"it is for {', '.join(sorted(others))}, this is {self._node_id}")
        if desired.generation < self.generation:
            raise GenerationOutdated(doing, f"generation {self.generation} is held")
        if self._held is not None and desired.generation == self.generation:
            if desired != self._held:
                raise ConfigurationChanged(doing, "the same generation is held with other content")
            return False
        self._files.write(self._path, desired.model_dump_json().encode(), mode=0o600)
        self._held = desired
        return True

    def _read(self) -> Desired | None:
        if not self._files.exists(self._path):
            return None
        held = decode(Desired, self._files.read_bytes(self._path), f"reading {self._path}")
        return held if held.node_id == self._node_id else None

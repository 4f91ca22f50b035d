# SPDX-License-Identifier: Apache-2.0
"""A bundle of logs to this machine's controller, in the name of its node: for whoever types at the machine."""

from __future__ import annotations

from agent.config import Settings
from agent.errors import InputError
from agent.host.doors import Files, Host
from agent.link.client import Client
from agent.link.key import NodeKey
from agent.link.sealed import known_key
from agent.model.bundle import LARGEST_BYTES, Taken
from agent.model.frozen import decode
from agent.model.protocol import Admission

DOING = "sending a bundle to the controller"
SEND_S = 600.0
"""For all of it, by a link that is slow."""
SESSION = "session.json"
IDENTITY = "identity.json"


def admission(files: Files, settings: Settings, *, is_ramdisk: bool) -> Admission:
    """By which this machine's agent speaks. Raises `InputError`, `DecodeError`, `HostError`."""
    path = f"{settings.runtime_dir}/{SESSION}" if is_ramdisk else f"{settings.state_dir}/{IDENTITY}"
    if not files.exists(path):
        raise InputError(
            DOING,
            f"no controller has taken this machine in: there is no {path}",
            hint="Take the bundle away by --to FILE or --to URL.",
        )
    found = decode(Admission, files.read_bytes(path), f"reading {path}")
    return found.model_copy(update={"controller_url": settings.controller}) if settings.controller else found


def key_of(host: Host, settings: Settings, *, is_ramdisk: bool) -> NodeKey | None:
    """What its agent signs with; None if it has made no key yet. Raises `HostError`, `DecodeError`."""
    return known_key(host, str(settings.runtime_dir if is_ramdisk else settings.state_dir))


def upload(admitted: Admission, archive: bytes, key: NodeKey | None = None, socket: str | None = None) -> Taken:
    """What the controller calls it. Raises `InputError`, `LinkError`, `ControllerRefused`, `DecodeError`."""
    if len(archive) > LARGEST_BYTES:
        raise InputError(DOING, f"it has {len(archive)} bytes", hint=f"It takes {LARGEST_BYTES}: see --limit-mib.")
    client = Client(admitted.controller_url, admitted.credential, key, ca=admitted.ca, socket=socket)
    return client.send("/v1/agent/bundles", archive, "application/gzip", Taken, SEND_S)

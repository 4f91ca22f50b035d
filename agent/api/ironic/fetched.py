# SPDX-License-Identifier: Apache-2.0
"""What a step's arguments leave to the network: a config drive behind a URL, and the format of an image that nobody
told. It is asked for before anything is planned, and stands in the arguments afterwards.
"""

from __future__ import annotations

from threading import Event
from typing import Any

from agent.api.ironic.translate import access
from agent.errors import DecodeError, LinkError
from agent.host.doors import Host
from agent.model.config_drive import SIZE_BYTES
from agent.model.image import OPEN, Access
from agent.model.image_kind import HEAD_BYTES, ImageKind, kind_of
from agent.model.url import named

LARGEST_DRIVE_BYTES = 2 * SIZE_BYTES
PAUSES_S = (1.0, 5.0, 15.0)
WEB = ("http://", "https://")


def completed(host: Host, args: dict[str, Any]) -> dict[str, Any]:
    """The arguments, with all that is needed. Raises `LinkError`, `ImageUnavailable`, `DecodeError`."""
    return with_format(host, with_drive(host, args))


def with_drive(host: Host, args: dict[str, Any]) -> dict[str, Any]:
    """The config drive itself in place of its URL."""
    url = args.get("configdrive")
    if not isinstance(url, str) or not url.startswith(WEB):
        return args
    text = beginning(host, url, LARGEST_DRIVE_BYTES + 1)
    if len(text) > LARGEST_DRIVE_BYTES or not text.isascii():
        raise DecodeError(f"fetching the config drive from {named(url)}", "it is too large, or not base64")
    return {**args, "configdrive": text.decode()}


def with_format(host: Host, args: dict[str, Any]) -> dict[str, Any]:
    """Ironic sends no `disk_format` for an image on the web unless its operator told one: then the image does. What is
    not QCOW2 is written as raw, or refused as what it is.
    """
    info = args.get("image_info")
    urls = info.get("urls") if isinstance(info, dict) and not info.get("disk_format") else None
    if not isinstance(info, dict) or not isinstance(urls, list) or not urls or not str(urls[0]).startswith(WEB):
        return args
    is_qcow2 = kind_of(beginning(host, str(urls[0]), HEAD_BYTES, access(info))) is ImageKind.QCOW2
    return {**args, "image_info": {**info, "disk_format": "qcow2" if is_qcow2 else "raw"}}


def beginning(host: Host, url: str, most_bytes: int, let_in: Access = OPEN) -> bytes:
    """Of a file, or all of it if it is no longer. A link that breaks gets a few more tries."""
    pauses = list(PAUSES_S)
    while True:
        room = bytearray(most_bytes)
        try:
            with host.fetch(url, access=let_in) as body:
                return bytes(room[: body.fill(memoryview(room))])
        except LinkError:
            if not pauses:
                raise
            host.clock.wait(Event(), pauses.pop(0))

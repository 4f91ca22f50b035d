# SPDX-License-Identifier: Apache-2.0
"""What a step's arguments leave to the network: a config drive behind a URL, and the format of an image that nobody
told; and to this boot's configuration: how an image's server lets us in. It is asked for before anything is planned,
and stands in the arguments afterwards.
"""

from __future__ import annotations

from typing import Any

from agent.api.ironic.translate import access
from agent.apply.fetch import beginning
from agent.errors import DecodeError, InputError
from agent.host.doors import Host
from agent.model.config_drive import SIZE_BYTES
from agent.model.image_kind import HEAD_BYTES, ImageKind, kind_of
from agent.model.url import named

LARGEST_DRIVE_BYTES = 2 * SIZE_BYTES
WEB = ("http://", "https://")
LETS_IN = ("image_server_user", "image_server_password", "image_request_authorization")
Login = tuple[str, str]
"""(user, password)."""


def completed(host: Host, args: dict[str, Any], login: Login | None, socket: str | None) -> dict[str, Any]:
    """The arguments, with all that is needed, fetched by the process behind that socket, if there is one. Raises
    `DecodeError`, `InputError`, and as fetching does.
    """
    return with_format(host, with_drive(host, with_login(args, login), socket), socket)


def with_login(args: dict[str, Any], login: Login | None) -> dict[str, Any]:
    """User and password of this boot's configuration, where Ironic sends no word about letting us in. Raises
    `InputError` where one of them is missing, as IPA does.
    """
    info = args.get("image_info")
    if login is None or not isinstance(info, dict) or any(info.get(one) for one in LETS_IN):
        return args
    if not all(login):
        told = "image_server_auth_strategy is http_basic, and user or password is missing"
        raise InputError("reading how the image's server lets us in", told, hint="Set image_server_user and _password.")
    return {**args, "image_info": {**info, "image_server_user": login[0], "image_server_password": login[1]}}


def with_drive(host: Host, args: dict[str, Any], socket: str | None) -> dict[str, Any]:
    """The config drive itself in place of its URL."""
    url = args.get("configdrive")
    if not isinstance(url, str) or not url.startswith(WEB):
        return args
    text = beginning(host, url, LARGEST_DRIVE_BYTES + 1, socket)
    if len(text) > LARGEST_DRIVE_BYTES or not text.isascii():
        raise DecodeError(f"fetching the config drive from {named(url)}", "it is too large, or not base64")
    return {**args, "configdrive": text.decode()}


def with_format(host: Host, args: dict[str, Any], socket: str | None) -> dict[str, Any]:
    """Ironic sends no `disk_format` for an image on the web unless its operator told one: then the image does. What is
    not QCOW2 is written as raw, or refused as what it is.
    """
    info = args.get("image_info")
    urls = info.get("urls") if isinstance(info, dict) and not info.get("disk_format") else None
    if not isinstance(info, dict) or not isinstance(urls, list) or not urls or not str(urls[0]).startswith(WEB):
        return args
    head = beginning(host, str(urls[0]), HEAD_BYTES, socket, access(info))
    is_qcow2 = kind_of(head) is ImageKind.QCOW2
    return {**args, "image_info": {**info, "disk_format": "qcow2" if is_qcow2 else "raw"}}

# SPDX-License-Identifier: Apache-2.0
"""Ironic's step `inject_files` into a request of ours. Pure; words and rules are IPA's (inject_files.py).

A URL may name fields of the node and its ports, `{node[uuid]}`, `{ports[0][address]}`: values of fields, and nothing of
Python's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr, ValidationError

from agent.api.ironic.translate import root_hints, shared_too, skipped
from agent.errors import InputError
from agent.model.frozen import faults
from agent.model.inject import FileToInject
from agent.model.ironic.wire import Node
from agent.model.request import InjectRequest

DOING = "reading the files to inject"
WEB = ("http://", "https://")
FIELD = re.compile(r"\{(node|ports)((?:\[[^\[\]{}]+\])+)\}")
KEY = re.compile(r"\[([^\[\]]+)\]")
VERIFY = "every certificate is verified, by the authorities that the ramdisk knows"
Named = Mapping[str, Any]


def inject_request(
    request_id: str, node: Node, args: dict[str, Any], named: Named, *, guards: bool = True
) -> InjectRequest:
    """The node's own files come first. `named`: node and ports as Ironic sent them. Raises `InputError`, which tells
    what is wrong with which file.
    """
    files = (
        *listed(node.properties.get("inject_files"), "properties.inject_files"),
        *listed(args.get("files"), "files"),
    )
    if args.get("verify_ca") is False and any("://" in str(one.get("content")) for one in files):
        raise InputError(
            DOING, f"verify_ca is false: {VERIFY}", hint="Let ipa-cafile name the authority, or use http://."
        )
    return InjectRequest(
        request_id=request_id,
        node_id=node.uuid,
        root_device=root_hints(node),
        skip=skipped(node),
        shared_too=shared_too(node, guards=guards),
        files=tuple(file(one, named) for one in files),
    )


def listed(found: object, where: str) -> list[dict[str, Any]]:
    """Raises `InputError` for what is no list of files."""
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InputError(DOING, f"{where} is no list of objects")
    return found


def file(told: dict[str, Any], named: Named) -> FileToInject:
    """One of them. Raises `InputError`, without a word of its content."""
    given = {name: value for name, value in told.items() if value is not None}
    content = given.pop("content", None)
    path = str(given.get("path"))[:200]
    for name in ("mode", "dirmode"):
        if name in given and type(given[name]) is not int:
            raise InputError(DOING, f"{path!a}: {name} must be a number")
    if isinstance(content, str) and "://" in content:
        url = filled(content, named, path)
        if not url.startswith(WEB):
            raise InputError(DOING, f"{path!a}: its content is behind a URL that is neither http:// nor https://")
        given["url"] = SecretStr(url)
    elif content is not None:
        given["content"] = SecretStr(str(content))
    try:
        return FileToInject.model_validate(given)
    except ValidationError as error:
        raise InputError(DOING, f"{path!a}: {faults(error)}") from None


def filled(url: str, named: Named, path: str) -> str:
    """With the fields that it names. Raises `InputError` for one that is not there."""

    def value(match: re.Match[str]) -> str:
        here: Any = named[match[1]]
        for key in KEY.findall(match[2]):
            try:
                here = here[int(key)] if isinstance(here, list) else here[key]
            except (KeyError, IndexError, ValueError, TypeError):
                raise InputError(DOING, f"{path!a}: its URL names {match[0]}, which this node does not have") from None
        if isinstance(here, dict | list):
            raise InputError(DOING, f"{path!a}: its URL names {match[0]}, which is no single value")
        return str(here)

    found = FIELD.sub(value, url)
    if "{" in found or "}" in found:
        raise InputError(DOING, f"{path!a}: its URL has a brace that names no field of node or ports")
    return found

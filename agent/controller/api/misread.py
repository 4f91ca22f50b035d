# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a request, in the words of people who typed it: fields, not what our libraries call their parts.

In: pydantic's list of errors. Out: one line. What was sent is never repeated in it: it may hold a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.controller.records.owned import NAME_PATTERN
from agent.model.network.firewall import GROUP_PATTERN
from agent.model.network.values import MAC_PATTERN

PLACES = ("body", "query", "path", "header")
KINDS = frozenset({"int", "str", "float", "bool"})
"""What pydantic calls the branches of a union, as if they were fields."""
WORDS = {
    NAME_PATTERN: "a name is of 1 to 63 letters without accents, digits, '.', '_' and '-', a letter or digit first",
    GROUP_PATTERN: "a name is of 1 to 63 letters without accents, digits, '_' and '-', a letter or digit first",
    MAC_PATTERN: "it is no MAC such as 52:54:00:00:00:01",
    r"^https?://\S+$": "it is no URL that begins with http:// or https://",
    r"^https?://\S+/redfish/v1/Systems/[^/\s]+$": "it is no URL such as https://HOST/redfish/v1/Systems/1",
    r"^smbios:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$": "it is not smbios: and a UUID in small letters",
    "ip_v4_network": "it is no IPv4 network such as 10.1.0.0/16, whose address has no bits behind the prefix",
    "ip_v6_network": "it is no IPv6 network such as fd00::/64, whose address has no bits behind the prefix",
    "ip_v4_address": "it is no IPv4 address",
    "ip_v6_address": "it is no IPv6 address",
    "int_parsing": "it is no number",
}
"""For a pattern, or a kind of error."""
BY_US = "Value error, "


def misread(errors: Sequence[Mapping[str, Any]]) -> str:
    """All that is wrong, each field once: where a value may be of several kinds, it is none of them."""
    found: dict[str, list[str]] = {}
    for error in errors:
        told = found.setdefault(field_of(error["loc"]), [])
        words = said(error)
        if words not in told:
            told.append(words)
    return "; ".join(f"{field}: {', or '.join(told)}" if field else ", or ".join(told) for field, told in found.items())


def field_of(place: Sequence[object]) -> str:
    """Its name, of the whole body none."""
    parts = [str(part) for part in place]
    if parts[0] in PLACES and len(parts) > 1:
        parts = parts[1:]
    branch = next((at for at, part in enumerate(parts) if "[" in part or part in KINDS), len(parts))
    return ".".join(parts[:branch]) if parts[:branch] != ["body"] else ""


def said(error: Mapping[str, Any]) -> str:
    """What is wrong with one field."""
    kind = error.get("ctx", {}).get("pattern", error["type"])
    return WORDS.get(kind) or str(error["msg"]).removeprefix(BY_US)

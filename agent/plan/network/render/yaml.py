# SPDX-License-Identifier: Apache-2.0
"""The little of YAML that netplan's files need: mappings, lists, words, numbers. Whatever could be misread is quoted.

A quoted text is written as JSON, which YAML 1.2 contains.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

Node: TypeAlias = "str | int | bool | Sequence[Node] | Mapping[str, Node]"

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
NOT_TEXT = ("yes", "no", "on", "off", "true", "false", "null", "y", "n")
"""Words that YAML 1.1 takes for something else."""


def yaml(node: Mapping[str, Node]) -> str:
    """The document."""
    return "\n".join(block(node, 0)) + "\n"


def block(node: Node, depth: int) -> Iterator[str]:
    """Lines of a mapping or a list that is not empty."""
    pad = "  " * depth
    match node:
        case Mapping():
            for key, value in node.items():
                if isinstance(value, Mapping | list) and value:
                    yield f"{pad}{scalar(key)}:"
                    yield from block(value, depth + 1)
                else:
                    yield f"{pad}{scalar(key)}: {scalar(value)}"
        case list():
            for item in node:
                first, *rest = block(item, depth + 1) if isinstance(item, Mapping) else (pad + "  " + scalar(item),)
                yield f"{pad}- {first.lstrip()}"
                yield from rest


def scalar(node: Node) -> str:
    """One word, or an empty collection."""
    if isinstance(node, str) and PLAIN.fullmatch(node) and node.lower() not in NOT_TEXT:
        return node
    return json.dumps(node)

# SPDX-License-Identifier: Apache-2.0
"""Doing what `agent.model.generalise` lists, in the tree of a captured system. Files only: nothing of it is run."""

from __future__ import annotations

import re
from typing import assert_never

from agent.host.doors import Tree
from agent.model.generalise import Action, read_text

OS_NAME = re.compile(r"^PRETTY_NAME=[\"']?([^\"'\n]{1,200})", re.MULTILINE)


def forget(tree: Tree, actions: tuple[Action, ...]) -> int:
    """How many files went, were emptied or rewritten. Raises `HostError`."""
    return sum(done(tree, action) for action in actions)


def done(tree: Tree, action: Action) -> int:
    """One of them."""
    match action.doing:
        case "remove":
            return tree.remove(action.path) if tree.kind(action.path) else 0  # an item before may have swept it
        case "clear":
            return sum(tree.remove(f"{action.path}/{name}") for name in tree.names(action.path))
        case "sweep":
            return tree.sweep(action.path, action.spare)
        case "empty":
            tree.write(action.path, b"")
            return 1
        case "blank":
            return 1  # nothing is written: the image is made without its places (`blanks`)
        case "write":
            tree.write(action.path, action.content)
            return 1
    assert_never(action.doing)


def os_name(tree: Tree) -> str | None:
    """As the system calls itself (os-release(5))."""
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        if found := OS_NAME.search(read_text(tree, path)):
            return found.group(1)
    return None

# SPDX-License-Identifier: Apache-2.0
"""Following symbolic links below a root, the way the machine itself would: an absolute link stays inside the root.

Pure: the caller says what each path links to. The real tree and the recorded ones share this one walk.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.errors import HostError

MOST_LINKS = 40  # what Linux follows before it says ELOOP (path_resolution(7))


def follow(path: str, link_at: Callable[[str], str | None]) -> str:
    """The absolute path with every link followed; `link_at` gives a link's target, or `None` for all else.

    Raises `HostError` if the links go round in a circle.
    """
    pending = parts(path)[::-1]
    here: list[str] = []
    links = 0
    while pending:
        part = pending.pop()
        if part == "..":
            here = here[:-1]
            continue
        target = link_at("/" + "/".join([*here, part]))
        if target is None:
            here.append(part)
            continue
        links += 1
        if links > MOST_LINKS:
            raise HostError(f"following {path}", "too many symbolic links")
        here = [] if target.startswith("/") else here
        pending.extend(parts(target)[::-1])
    return "/" + "/".join(here)


def parts(path: str) -> list[str]:
    """The names in a path, without the empty ones and the dots that mean nothing."""
    return [part for part in path.split("/") if part not in ("", ".")]

# SPDX-License-Identifier: Apache-2.0
"""Importing by hand: what is typed, what is shown on the way, and how it ends."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from agent.bmsctl.client import JobFailed
from agent.bmsctl.importing import watch_import
from agent.controller.flow.imports import convert_next
from agent.errors import LinkError
from tests.bmsctl.keyboard import Keyboard
from tests.controller.chunks import manifest_of, packed
from tests.controller.test_imports import IMAGE, VMDK
from tests.controller.world import World


class Told:
    """A controller that answers what it was told to, one after the other."""

    def __init__(self, *story: dict[str, Any] | LinkError) -> None:
        self._story = iter(story)

    def get(self, path: str, **query: str) -> Any:
        """The next."""
        answer = next(self._story)
        if isinstance(answer, LinkError):
            raise answer
        return answer


def image(world: World, **more: Any) -> dict[str, Any]:
    """What the controller answers of the image in stock, with these differences."""
    shown: dict[str, Any] = world.user("GET", "/v1/images/debian")
    return shown | more


def doing(what: str, done: int = 0) -> dict[str, Any]:
    """Progress."""
    return {"doing": what, "done_bytes": done, "total_bytes": None}


def test_typed(world: World, bmsctl: Keyboard, tmp_path: Path) -> None:
    """A file is sent and queued; what is said with it arrives; then it is active."""
    (tmp_path / "disk.vmdk").write_bytes(VMDK)
    world.importer.makes = packed()
    typed = bmsctl("image", "import", "i", "--file", str(tmp_path / "disk.vmdk"), "--sector-bytes", "4096")
    assert (typed.status, "queued" in typed.output) == (0, True)
    assert "waiting for its turn" in bmsctl("image", "show", "i").output
    convert_next(world.controller)
    shown = bmsctl("image", "show", "i", "--json").json

    assert (shown["status"], shown["sector_bytes"]) == ("active", 4096)
    assert shown["sha256"] == manifest_of(world.importer.makes).digest != manifest_of(IMAGE).digest


@pytest.mark.parametrize("words", [(), ("--file", "x", "--url", "http://x/y")])
def test_one_source(bmsctl: Keyboard, words: tuple[str, ...]) -> None:
    """A file, or a URL; not both, not none."""
    assert "either --file or --url" in bmsctl("image", "import", "i", *words).error


def test_lines(world: World) -> None:
    """Elsewhere than on a terminal, a line for each step; a controller that is away for a while is waited for."""
    told = Told(
        image(world, status="queued", progress=doing("waiting for its turn")),
        image(world, status="saving", progress=doing("converting", 1)),
        LinkError("calling the controller", "it is away"),
        image(world, status="saving", progress=doing("converting", 2)),
        image(world, status="saving", progress=doing("packing")),
        image(world, status="active"),
    )
    screen = io.StringIO()
    done = watch_import(told, "i", Console(file=screen), pause=lambda _: None)

    assert done.status == "active"
    assert screen.getvalue() == "… waiting for its turn\n… converting\n… packing\n"


def test_a_failure(world: World) -> None:
    """Ends with the import's own error, and its hint."""
    fault = {"code": "IMAGE.REFUSED", "message": "importing an image: it is encrypted", "hint": "Decrypt it."}
    told = Told(image(world, status="killed", fault=fault))
    with pytest.raises(JobFailed, match="it is encrypted") as caught:
        watch_import(told, "i", Console(file=io.StringIO()), pause=lambda _: None)

    assert (caught.value.fault.code, caught.value.hint) == ("IMAGE.REFUSED", "Decrypt it.")


def test_on_a_terminal(world: World) -> None:
    """A bar, which is gone at the end."""
    screen = io.StringIO()
    told = Told(image(world, status="saving", progress=doing("converting", 10**9)), image(world, status="active"))
    watch_import(told, "i", Console(file=screen, force_terminal=True, width=100), pause=lambda _: None)

    assert "converting" in screen.getvalue()

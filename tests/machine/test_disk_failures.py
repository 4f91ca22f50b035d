# SPDX-License-Identifier: Apache-2.0
"""A disk that fails under the kernel's own dm-flakey and dm-error, in a guest, meets the erasure and the writer: what
is not on it, or not gone from it, is never called so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apply.disks import MIB, gpt_image
from tests.hostile import Server, serving
from tests.machine.failing import FAILING, WAYS, cases
from tests.machine.guest import HOST, Guest
from tests.machine.test_raid import BOOT_S, put
from tests.machine.test_scsi_debug import DO_S, debugged

pytestmark = [pytest.mark.machine, pytest.mark.root]

IMAGE = gpt_image(20 * MIB)
DISK = 16 * MIB


@pytest.fixture(scope="module")
def web() -> Iterator[Server]:
    """Where the image is."""
    with serving(IMAGE) as server:
        yield server


@pytest.fixture(scope="module")
def guest(ramdisk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """One for all."""
    with debugged(tmp_path_factory.mktemp("failing"), ramdisk, DISK) as machine:
        yield machine
        machine.type("poweroff -f\n")
        machine.wait_for_end(BOOT_S)


def reference(web: Server, image: bytes) -> dict[str, Any]:
    """To the image that is served there, for an order."""
    url = f"http://{HOST}:{web.server_address[1]}/image"
    return {"url": url, "format": "raw", "sha256": hashlib.sha256(image).hexdigest()}


@pytest.fixture(scope="module")
def told(guest: Guest, web: Server) -> dict[str, Any]:
    """What became of a disk that fails in each way."""
    wanted = cases(reference(web, IMAGE))
    put(guest, "/run/failing.py", FAILING)
    put(guest, "/run/failing.json", json.dumps(wanted))
    said = guest.do("python3 /run/failing.py 2>&1", 3 * DO_S)
    lines = (line.removeprefix("told ") for line in said.splitlines() if line.startswith("told "))
    found: dict[str, Any] = dict(json.loads(line) for line in lines)
    assert found.keys() == wanted.keys(), said
    return found


@pytest.mark.parametrize("way", WAYS)
def test_it_is_not_called_erased(told: dict[str, Any], way: str) -> None:
    """Whether it refuses what is written, forgets it, or cannot be read back, all of it or a part. Nor is it clean by a
    method.
    """
    facts = told[f"erase: {way}"]
    (one,) = facts["erased"]

    assert facts["at"] and one["outcome"] in ("failed", "unproven") and one["nist"] == "none", facts
    assert "done" not in facts or "erased failing1" not in facts["done"]


@pytest.mark.parametrize("way", [*WAYS, *(f"{way}, later" for way in WAYS)])
def test_it_is_not_deployed_to(told: dict[str, Any], way: str) -> None:
    """The order fails, and what the image begins with is not on the disk: it does not boot."""
    facts = told[f"deploy: {way}"]

    assert facts["at"] and "error" in facts and "done" not in facts, facts
    assert bytes.fromhex(facts["head"]) != IMAGE[:16]


@pytest.mark.parametrize("way", ["drops writes", "no write"])
def test_nor_is_it_where_nobody_asked_to_read_back(told: dict[str, Any], way: str) -> None:
    """What the disk boots by is looked at in any case."""
    facts = told[f"deploy, not verified: {way}"]

    assert "error" in facts and "done" not in facts and bytes.fromhex(facts["head"]) != IMAGE[:16], facts


def test_the_same_disk_when_it_is_sound(told: dict[str, Any]) -> None:
    """Else nothing of this would tell anything."""
    (one,) = told["erase: sound"]["erased"]

    assert (one["outcome"], one["nist"], told["erase: sound"]["tenant"]) == ("erased", "clear", 0)
    assert "done" in told["deploy: sound"] and bytes.fromhex(told["deploy: sound"]["head"]) == IMAGE[:16]

# SPDX-License-Identifier: Apache-2.0
"""Images: uploaded whole or not at all, measured on the way, served in ranges."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from httpx2 import Response

from agent.controller.images import Upload
from agent.controller.refusal import BadImage
from agent.model.image import ImageFormat
from tests.controller.machine import Machine
from tests.controller.world import SHA256, URL, World

RAW = bytes(range(256)) * 4096
PACKED = zstandard.ZstdCompressor().compress(RAW)
NOISE = zstandard.ZstdCompressor().compress(random.Random(1).randbytes(2**20))
"""Blocks that are stored as they are: cut anywhere, nothing in them looks wrong."""


def upload(world: World, body: bytes, form: str | None = "raw", **query: str) -> Response:
    """Upload as image `i`."""

    def parts() -> Iterator[bytes]:
        for at in range(0, len(body), 1000):
            yield body[at : at + 1000]

    return world.http.post(
        "/v1/images/upload",
        params={"name": "i"} | ({"format": form} if form else {}) | query,
        content=parts(),
        headers={"Authorization": f"Bearer {world.controller.user_token}"},
    )


def sha256(body: bytes) -> str:
    """Its digest."""
    return hashlib.sha256(body).hexdigest()


def left_over(world: World) -> list[str]:
    """Files in the image directory."""
    return [path.name for path in world.controller.images.iterdir()]


@pytest.mark.parametrize(("form", "body"), [("raw", RAW), ("raw.zst", PACKED)])
def test_an_upload_is_hashed_and_measured(world: World, form: str, body: bytes) -> None:
    """Digest and length are those of the file; the disk's size is that of what it unpacks to."""
    image = upload(world, body, form, sha256=sha256(body), min_disk_gb="7", firmware="uefi", agent="true").json()

    assert (image["sha256"], image["file_bytes"], image["size_bytes"]) == (sha256(body), len(body), len(RAW))
    assert (image["min_disk_gb"], image["firmware"], image["agent"]) == (7, "uefi", True)
    assert left_over(world) == [image["id"]]


@pytest.mark.parametrize(
    ("form", "body", "query", "code"),
    [
        ("raw", RAW, {"sha256": SHA256}, "IMAGE.DIGEST_MISMATCH"),
        ("raw", b"", {}, "BMS.0011"),
        ("raw.zst", RAW, {}, "BMS.0011"),
        ("raw.zst", PACKED[:-5], {}, "BMS.0011"),
        ("raw.zst", PACKED[:10], {}, "BMS.0011"),
        ("raw.zst", NOISE[: len(NOISE) // 2], {}, "BMS.0011"),
        ("raw.zst", PACKED + b"rubbish", {}, "BMS.0011"),
        ("raw.zst", b"", {}, "BMS.0011"),
    ],
)
def test_a_wrong_upload_is_not_kept(world: World, form: str, body: bytes, query: dict[str, str], code: str) -> None:
    """Another digest, nothing at all, no zstd, or zstd that ends too early: refused, and no file is left."""
    answer = upload(world, body, form, **query)

    assert (answer.status_code, answer.json()["fault"]["code"]) == (400, code)
    assert left_over(world) == []
    assert world.refused("GET", "/v1/images/i")[0] == 404


def test_several_zstd_frames_are_one_image(world: World) -> None:
    """As pzstd writes them."""
    assert upload(world, PACKED + PACKED, "raw.zst").json()["size_bytes"] == 2 * len(RAW)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    """A few kilobytes that unpack to more than is allowed are refused while they come, in parts of constant size."""
    bomb = zstandard.ZstdCompressor().compress(bytes(2**28))
    incoming = Upload(tmp_path, ImageFormat.RAW_ZST, limit_bytes=2**27)
    with pytest.raises(BadImage, match=r"unpacks to more than 0\.1 GB"):
        incoming.write(bomb)
        incoming.finish(tmp_path / "whole")
    incoming.discard()

    assert len(bomb) < 2**14
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_used_once(world: World) -> None:
    """The second upload is refused before it is read."""
    upload(world, RAW)

    assert upload(world, RAW).json()["fault"]["code"] == "BMS.NAME_TAKEN"
    assert len(left_over(world)) == 1


def test_an_image_is_served_in_ranges(world: World) -> None:
    """Whole, in part, and from where a download was cut; the ETag is the digest."""
    image = upload(world, RAW).json()
    path = f"/images/{image['id']}/content"
    whole, part = world.http.get(path), world.http.get(path, headers={"Range": "bytes=100-199"})
    tag = whole.headers["etag"]
    rest = world.http.get(path, headers={"Range": f"bytes={len(RAW) - 7}-", "If-Range": tag})
    changed = world.http.get(path, headers={"Range": "bytes=7-", "If-Range": '"another"'})
    beyond = world.http.get(path, headers={"Range": f"bytes={len(RAW)}-"})

    assert (whole.status_code, whole.content, tag) == (200, RAW, f'"{sha256(RAW)}"')
    assert (part.status_code, part.content) == (206, RAW[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(RAW)}"
    assert (rest.status_code, rest.content) == (206, RAW[-7:])
    assert (changed.status_code, len(changed.content)) == (200, len(RAW))
    assert beyond.status_code == 416
    assert world.http.head(path).headers["content-length"] == str(len(RAW))


def test_a_machine_gets_the_uploaded_image(world: World, machine: Machine) -> None:
    """The request names our own URL, and the digest that was measured."""
    image = upload(world, PACKED, "raw.zst").json()
    world.order(image="i")
    request = machine.desired().request

    assert request is not None
    assert request.verb == "image.deploy"
    assert request.image.url == f"{URL}/images/{image['id']}/content"
    assert (request.image.sha256, request.image.size_bytes) == (sha256(PACKED), len(RAW))


def test_a_url_needs_a_digest(world: World) -> None:
    """An image elsewhere is registered with its digest or not at all."""
    body = {"name": "far", "format": "raw", "url": "http://images.example/a.raw"}

    assert world.refused("POST", "/v1/images", body)[:2] == (422, "INPUT.UNDECODABLE")
    assert world.user("POST", "/v1/images", body | {"sha256": SHA256}, status=201)["url"] == body["url"]


def test_an_image_in_use_stays(world: World, machine: Machine) -> None:
    """Its server could not be reinstalled without it; afterwards it can go, with its file."""
    upload(world, RAW)
    world.order(image="i")
    assert world.refused("DELETE", "/v1/images/i")[:2] == (409, "BMS.IN_USE")
    world.user("DELETE", "/v1/servers/web")
    machine.serve()
    world.user("DELETE", "/v1/images/i", status=204)

    assert left_over(world) == []

# SPDX-License-Identifier: Apache-2.0
"""Uploads of every format: recognised by their content, measured in bounded memory, whole or not at all."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from agent.controller.images import measure_of, room_for
from agent.controller.refusal import BadImage, NoSpace
from agent.model.chunked import ENTRY
from agent.model.description import Description
from agent.model.disk import GB
from agent.model.image import ImageFormat
from agent.model.image_kind import is_vhd_footer
from tests.controller.chunks import CHUNK_BYTES, DISK, manifest_of, packed
from tests.controller.machine import Machine
from tests.controller.test_images import left_over, sha256, upload
from tests.controller.world import SHA256, URL, World

TABLE = b"\x80\0\2\0\x83\0\0\0" + struct.pack("<II", 2048, 2048)
RAW = bytes(446) + TABLE + bytes(48) + b"\x55\xaa" + random.Random(7).randbytes(300_000) + bytes(211_488)
"""A disk with a partition table."""

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "raw.gz": gzip.compress,
    "raw.xz": lzma.compress,
    "raw.bz2": bz2.compress,
    "raw.zst": zstandard.ZstdCompressor().compress,
}
MEMBERS = ("raw.gz", "raw.xz", "raw.bz2")
Damage = Callable[[bytes], bytes]
DAMAGES: dict[str, Damage] = {
    "cut": lambda body: body[:-1],
    "halved": lambda body: body[: len(body) // 2],
    "longer": lambda body: body + b"rubbish",
    "second one cut": lambda body: body + body[:-1],
}


def qcow2(*, size: int = 2**20, features: int = 0, backing: int = 0, crypt: int = 0, cluster: int = 3) -> bytes:
    """Version 3 with clusters of 64 KiB: header, L1 table, one L2 table, and one cluster of data."""
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, backing, 4, 16, size, crypt, 1, 65536, 0, 0, 0, 0)
    header += struct.pack(">QQQII", features, 0, 0, 4, 104)
    parts = (header, struct.pack(">Q", 2 * 65536), struct.pack(">Q", cluster * 65536), b"data")
    return b"".join(part.ljust(65536, b"\0") for part in parts)


def vhd_footer() -> bytes:
    """The last 512 bytes of a fixed VHD."""
    footer = bytearray(b"conectix".ljust(512, b"\0"))
    footer[60:64] = (2).to_bytes(4, "big")
    footer[64:68] = (sum(footer) ^ 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(footer)


def size_of(body: bytes, form: ImageFormat, part_bytes: int = 4096) -> int:
    """What a body of that format unpacks to."""
    measure = measure_of(form, GB)
    for at in range(0, len(body), part_bytes):
        measure.write(body[at : at + part_bytes])
    return measure.finish(io.BytesIO(body)).size_bytes


@pytest.mark.parametrize("form", list(PACKERS))
@pytest.mark.parametrize("said", [True, False])
def test_every_stream_is_measured(world: World, form: str, said: bool) -> None:
    """Whether its format is said or seen: the digest is the file's, the size that of the disk."""
    body = PACKERS[form](RAW)
    image = upload(world, body, form if said else None).json()

    assert (image["format"], image["sha256"], image["file_bytes"]) == (form, sha256(body), len(body))
    assert image["size_bytes"] == len(RAW)


@pytest.mark.parametrize("form", MEMBERS)
def test_several_members_are_one_disk(form: str) -> None:
    """As pigz, pixz and lbzip2 write them."""
    assert size_of(PACKERS[form](RAW) * 2, ImageFormat(form)) == 2 * len(RAW)


@pytest.mark.parametrize("form", MEMBERS)
@pytest.mark.parametrize("damage", list(DAMAGES.values()), ids=list(DAMAGES))
def test_a_damaged_stream_is_not_kept(world: World, form: str, damage: Damage) -> None:
    """Cut anywhere, or followed by something else: refused, and nothing is left."""
    answer = upload(world, damage(PACKERS[form](RAW)), form)

    assert (answer.status_code, answer.json()["fault"]["code"]) == (400, "BMS.0011")
    assert left_over(world) == []


def test_xz_may_be_padded() -> None:
    """In whole fours of zeroes, as the format has it; a node reads it so, too."""
    body = PACKERS["raw.xz"](RAW)

    assert size_of(body + bytes(8) + body, ImageFormat.RAW_XZ) == 2 * len(RAW)
    with pytest.raises(BadImage, match="6 zeroes"):
        size_of(body + bytes(6) + body, ImageFormat.RAW_XZ)


@pytest.mark.parametrize("form", MEMBERS)
def test_a_bomb_of_any_kind_takes_no_memory(form: str) -> None:
    """A small file of many zeroes is refused at the limit, with a few MiB in use."""
    bomb = PACKERS[form](bytes(2**26))
    measure = measure_of(ImageFormat(form), 2**25)
    tracemalloc.start()
    with pytest.raises(BadImage, match="unpacks to more than"):
        measure.write(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2**24


@pytest.mark.parametrize(
    ("body", "said", "why"),
    [
        (b"KDMV" + RAW, None, "it is VMDK"),
        (b"conectix" + RAW, "raw", "it is VHD"),
        (RAW + vhd_footer(), None, "it is VHD, not raw"),
        (b"vhdxfile" + RAW, None, "it is VHDX"),
        (b"QED\0" + RAW, "qcow2", "it is QED"),
        (PACKERS["raw.gz"](RAW), "raw.xz", "it is gzip, not raw.xz"),
        (PACKERS["raw.gz"](b"KDMV" + RAW), None, "what it unpacks to is no disk: it is VMDK"),
        (PACKERS["raw.zst"](PACKERS["raw.gz"](RAW)), None, "what it unpacks to is no disk: it is gzip"),
        (b"anything" * 20000, None, "not known by its content"),
    ],
)
def test_what_is_no_image_for_a_host(world: World, body: bytes, said: str | None, why: str) -> None:
    """It is said what it is, and what to do; nothing is kept."""
    answer = upload(world, body, said)
    fault = answer.json()["fault"]

    assert (answer.status_code, fault["code"]) == (400, "IMAGE.REFUSED")
    assert why in fault["message"]
    assert "bmsctl image import" in fault["hint"] or "Say" in fault["hint"]
    assert left_over(world) == []


@pytest.mark.parametrize("name", ["a.zvhd", "A.ZVHD2"])
def test_zvhd_is_refused_by_name(world: World, name: str) -> None:
    """Nothing else tells it."""
    assert name.rpartition(".")[2].upper() in upload(world, b"?" * 100_000, None, file=name).json()["fault"]["message"]


def test_the_sector_size_is_seen(world: World) -> None:
    """A GPT of 4096 bytes a sector is for such disks alone."""
    disk = bytes(4096) + b"EFI PART" + bytes(100_000)

    assert upload(world, PACKERS["raw.zst"](disk), "raw.zst").json()["sector_bytes"] == 4096


def test_a_digest_by_sha512(world: World) -> None:
    """It is compared as well."""
    answer = upload(world, RAW, None, sha512="ab" * 64)

    assert answer.json()["fault"]["code"] == "IMAGE.DIGEST_MISMATCH"
    assert "SHA-512" in answer.json()["fault"]["message"]


def test_a_qcow2_is_measured(world: World) -> None:
    """By its header, and every cluster that its tables name is there."""
    image = upload(world, qcow2(), None).json()

    assert (image["format"], image["size_bytes"], image["sha256"]) == ("qcow2", 2**20, sha256(qcow2()))


@pytest.mark.parametrize(
    ("body", "code", "why"),
    [
        (qcow2(backing=200), "IMAGE.REFUSED", "backing file"),
        (qcow2(crypt=2), "IMAGE.REFUSED", "encrypted"),
        (qcow2(features=4), "IMAGE.REFUSED", "another file"),
        (qcow2(features=16), "IMAGE.REFUSED", "subclusters"),
        (qcow2(features=64), "IMAGE.REFUSED", "feature 6"),
        (qcow2(cluster=9), "BMS.0011", "not in the file"),
        (qcow2()[:70000], "BMS.0011", "leads nowhere"),
        (qcow2(size=2**52), "IMAGE.REFUSED", "too small"),
    ],
)
def test_what_qcow2_is_refused(world: World, body: bytes, code: str, why: str) -> None:
    """As a node would refuse it, before it is kept."""
    fault = upload(world, body, "qcow2").json()["fault"]

    assert (fault["code"], why in fault["message"]) == (code, True)
    assert left_over(world) == []


@pytest.mark.parametrize("said", ["chunked", None])
def test_a_chunked_image_describes_itself(world: World, machine: Machine, said: str | None) -> None:
    """Its digest is its manifest's; size, sectors, firmware and smallest disk are what it says of itself."""
    about = Description(sector_bytes=512, firmware=("uefi", "bios"), min_disk_gb=7)
    body = packed(description=about)
    image = upload(world, body, said).json()

    assert (image["format"], image["sha256"]) == ("chunked", manifest_of(body).digest)
    assert (image["file_bytes"], image["size_bytes"]) == (len(body), len(DISK))
    assert (image["sector_bytes"], image["firmware"], image["min_disk_gb"]) == (512, "both", 7)
    world.order(image="i")
    request = machine.desired().request
    assert request is not None
    assert request.verb == "image.deploy"
    assert (request.image.sha256, request.image.file_bytes) == (manifest_of(body).digest, len(body))


def test_its_owner_knows_better(world: World) -> None:
    """What is said at the upload counts before what the image says."""
    about = Description(firmware=("uefi",), min_disk_gb=7)
    image = upload(world, packed(description=about), "chunked", min_disk_gb="9", firmware="bios").json()

    assert (image["min_disk_gb"], image["firmware"]) == (9, "bios")


@pytest.mark.parametrize("announced", ["manifest", "file"])
def test_a_chunked_image_may_be_announced_by_either_digest(world: World, announced: str) -> None:
    """That of its manifest, which nodes check, or that of the file, which people compute."""
    body = packed()
    digest = manifest_of(body).digest if announced == "manifest" else sha256(body)

    assert upload(world, body, "chunked", sha256=digest).status_code == 201
    world.user("DELETE", "/v1/images/i", status=204)
    assert upload(world, body, "chunked", sha256=SHA256).json()["fault"]["code"] == "IMAGE.DIGEST_MISMATCH"


def replaced(body: bytes, at: int, new: bytes) -> bytes:
    """With other bytes there."""
    return body[:at] + new + body[at + len(new) :]


def test_a_damaged_chunked_image_is_not_kept(world: World) -> None:
    """A bit flipped in any frame, in the manifest, in the seek table, or an end that is missing."""
    body = packed()
    places = [manifest_of(body)[0].offset + 40, len(body) - 12, len(body) - 200, 10]
    bodies = [replaced(body, at, bytes([body[at] ^ 1])) for at in places] + [body[:-1], body[: len(body) // 2]]
    answers = [upload(world, one, "chunked").json() for one in bodies]

    assert {answer["fault"]["code"] for answer in answers} == {"BMS.0011"}
    assert left_over(world) == []


def test_a_manifest_that_hides_data_is_refused() -> None:
    """`zstd -d` must give what a node writes: a chunk that is not listed is zero, and so is what its map leaves out."""
    half = bytes(CHUNK_BYTES // 2) + b"x" * (CHUNK_BYTES // 2)
    body = packed(half + bytes(CHUNK_BYTES))
    chunk = manifest_of(body)[0]
    at = body.index(ENTRY.pack(*chunk))
    less = ENTRY.pack(*chunk._replace(grains=chunk.grains & (chunk.grains - 1)))

    assert size_of(body, ImageFormat.CHUNKED) == 2 * CHUNK_BYTES
    with pytest.raises(BadImage, match="leaves out data"):
        size_of(replaced(body, at, less), ImageFormat.CHUNKED)


def test_a_full_disk_is_said() -> None:
    """As such, and not as a fault of the controller's."""
    with (
        pytest.raises(NoSpace, match="No space left"),
        room_for("keeping an image"),
        Path("/dev/full").open("wb") as full,
    ):
        full.write(RAW)
        full.flush()


def test_a_footer_is_a_footer() -> None:
    """The one that these tests make is one."""
    assert is_vhd_footer(vhd_footer())


def test_registering_what_is_elsewhere(world: World, machine: Machine) -> None:
    """Mirrors, another digest, credentials: the node is told all of it, and no user sees a secret."""
    there: dict[str, Any] = {
        "name": "far",
        "format": "qcow2",
        "url": "https://images.example/far.qcow2?sig=s3cret",
        "mirrors": ["https://me:pa55word@mirror.example/far.qcow2"],
        "sha512": "cd" * 64,
        "access": {"username": "me", "password": "swordfish", "bearer": None, "proxy": "http://x:pr0xy@proxy:3128"},
        "sector_bytes": 512,
    }
    shown = world.user("POST", "/v1/images", there, status=201)
    world.order(image="far")
    request = machine.desired().request

    assert request is not None
    assert request.verb == "image.deploy"
    assert (request.image.url, request.image.mirrors) == (there["url"], tuple(there["mirrors"]))
    assert request.image.access.password is not None
    assert request.image.access.password.get_secret_value() == "swordfish"
    assert shown["access"] == {
        "bearer": None,
        "username": "me",
        "password": "***",
        "ca_pem": None,
        "proxy": "http://proxy:3128",
    }
    told = f"{shown}{world.user('GET', '/v1/images')}{world.log.getvalue()}"
    assert not [one for one in ("s3cret", "pa55word", "swordfish", "pr0xy") if one in told]


def test_an_artifact_of_a_registry(world: World) -> None:
    """Pinned by its digest, it needs no other."""
    body = {"name": "oci", "format": "chunked", "url": f"oci://registry.example/debian@sha256:{SHA256}"}

    assert world.user("POST", "/v1/images", body, status=201)["sha256"] is None
    assert world.refused("POST", "/v1/images", body | {"url": "oci://registry.example/debian"})[0] == 422
    assert world.refused("POST", "/v1/images", body | {"url": "file:///etc/shadow"})[0] == 422
    assert URL.startswith("http")


def test_reading_back_is_ordered(world: World, machine: Machine) -> None:
    """`verify` reaches the node, of a new server and of a reinstalled one; it is not done without being asked for."""
    world.order(verify=True)
    first = machine.desired().request
    machine.serve()
    world.user("POST", "/v1/servers/web/reinstall", status=202)
    machine.serve()
    world.user("GET", "/v1/servers/web")

    assert first is not None
    assert first.verb == "image.deploy"
    assert first.verify

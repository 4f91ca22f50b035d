# SPDX-License-Identifier: Apache-2.0
"""Imports as records: ordered, fetched, converted, told of, ended early, begun anew; the workshop itself is a fake."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response

from agent.controller.flow.imports import MOST_ATTEMPTS, convert_next, fetch_next
from agent.controller.images import Kept
from agent.controller.imports.convert import Order
from agent.controller.imports.download import Tell
from agent.controller.imports.sandbox import ProgramFailed
from agent.errors import LinkError
from agent.model.description import Description
from tests.controller.chunks import DISK, manifest_of, packed
from tests.controller.machine import Machine
from tests.controller.people import administrator, person
from tests.controller.test_images import left_over, sha256
from tests.controller.world import FakeImporter, World

VMDK = b"KDMV" + (3).to_bytes(4, "little") + (3).to_bytes(4, "little") + (64).to_bytes(8, "little") + bytes(70_000)
DESCRIPTION = b'# Disk DescriptorFile\nversion=1\nRW 128 FLAT "/etc/shadow" 0\n'
ABOUT = Description(sector_bytes=512, firmware=("bios",), min_disk_gb=3)
IMAGE = packed(description=ABOUT)
FAR = {"name": "i", "url": "https://me.example/disk.vmdk?sig=s3cret"}


def send(world: World, body: bytes = VMDK, **query: str) -> Response:
    """Upload it to be imported as image `i`."""
    return world.http.post(
        "/v1/images/import/upload",
        params={"name": "i", "file": "disk.vmdk"} | query,
        content=iter([body[:1000], body[1000:]]),
        headers={"Authorization": f"Bearer {world.controller.user_token}"},
    )


def image(world: World) -> Any:
    """As its owner sees it."""
    return world.user("GET", "/v1/images/i")


def files(world: World) -> list[str]:
    """What there is of imports."""
    return [path.name for path in world.controller.imports.iterdir()]


def test_an_upload_becomes_a_chunked_image(world: World, machine: Machine) -> None:
    """Queued when the file is here; active when it is converted, as the image describes itself; and deployed so."""
    world.importer.makes = IMAGE
    queued = send(world)
    assert (queued.status_code, queued.json()["status"]) == (202, "queued")
    assert queued.json()["progress"]["doing"] == "waiting for its turn"

    convert_next(world.controller)
    made = image(world)
    assert (made["status"], made["format"], made["sha256"]) == ("active", "chunked", manifest_of(IMAGE).digest)
    assert (made["size_bytes"], made["file_bytes"], made["progress"]) == (len(DISK), len(IMAGE), None)
    assert (made["sector_bytes"], made["firmware"], made["min_disk_gb"]) == (512, "bios", 3)
    assert (files(world), left_over(world)) == ([], [made["id"]])
    assert [(one.name, one.kind) for one in world.importer.converted] == [("disk.vmdk", None)]

    world.order(image="i")
    request = machine.desired().request
    assert request is not None and request.verb == "image.deploy"
    assert (request.image.format, request.image.sha256) == ("chunked", manifest_of(IMAGE).digest)


def test_its_owner_knows_better(world: World) -> None:
    """What is said with the import counts before what the image says."""
    world.importer.makes = IMAGE
    answer = send(world, min_disk_gb="9", firmware="uefi", sector_bytes="4096", agent="true", sha256=sha256(VMDK))
    assert answer.status_code == 202, answer.text
    convert_next(world.controller)
    made = image(world)

    assert (made["min_disk_gb"], made["firmware"], made["sector_bytes"], made["agent"]) == (9, "uefi", 4096, True)


@pytest.mark.parametrize(
    ("body", "query", "code", "why"),
    [
        (b"", {}, "BMS.0011", "empty"),
        (VMDK, {"sha256": "0" * 64}, "IMAGE.DIGEST_MISMATCH", "SHA-256"),
        (VMDK, {"sha512": "0" * 128}, "IMAGE.DIGEST_MISMATCH", "SHA-512"),
        (DESCRIPTION + bytes(70_000), {}, "IMAGE.REFUSED", "in other files"),
        (DESCRIPTION, {}, "IMAGE.REFUSED", "in other files"),
        (b"\x1f\x8b\x08" + bytes(70_000), {}, "IMAGE.REFUSED", "it is gzip"),
        (b"?" * 70_000, {}, "IMAGE.REFUSED", "not known by its content"),
        (b"?" * 70_000, {"file": "a.zvhd"}, "IMAGE.REFUSED", "ZVHD"),
        (b"?" * 70_000, {"file": "A.ZVHD2"}, "IMAGE.REFUSED", "ZVHD2"),
        (b"?" * 70_000, {"file": "a.zvhd", "kind": "vpc"}, "IMAGE.REFUSED", "ZVHD"),
    ],
)
def test_what_is_refused_at_once(world: World, body: bytes, query: dict[str, str], code: str, why: str) -> None:
    """By its first bytes, its digest or its name, before anything is queued; nothing is kept."""
    answer = send(world, body, **query)

    assert (answer.status_code, answer.json()["fault"]["code"]) == (400, code)
    assert why in answer.json()["fault"]["message"]
    assert files(world) == [] and world.refused("GET", "/v1/images/i")[0] == 404


def test_a_conversion_that_fails(world: World) -> None:
    """The image is killed, with the reason and what to do; its file is gone; its name can be had again."""
    world.importer.makes = ProgramFailed("running qemu-img convert", "exit status 1", 1)
    send(world)
    convert_next(world.controller)
    made = image(world)

    assert (made["status"], made["fault"]["code"]) == ("killed", "IMAGE.IMPORT_FAILED")
    assert "qemu-img convert" in made["fault"]["message"] and "export it anew" in made["fault"]["hint"]
    assert (files(world), left_over(world)) == ([], [])
    world.user("DELETE", "/v1/images/i", status=204)
    assert send(world).status_code == 202


def test_nothing_but_an_active_image_is_deployed(world: World) -> None:
    """An order for one that is on its way in, or that was killed, is refused."""
    body = {"name": "web", "flavor": "small", "image": "i", "nics": [{"subnet": "net"}], "key_name": "me"}
    world.importer.makes = ProgramFailed("running qemu-img convert", "exit status 1", 1)
    send(world)
    queued = world.refused("POST", "/v1/servers", body)
    convert_next(world.controller)
    killed = world.refused("POST", "/v1/servers", body)

    assert queued[0] == killed[0] == 400
    assert "queued" in queued[2] and "killed" in killed[2]


def test_from_a_url(world: World) -> None:
    """The controller fetches it, with the credentials, which are forgotten then, and which nobody is shown."""
    world.importer.makes = IMAGE
    access = {"username": "me", "password": "swordfish"}
    told = world.user("POST", "/v1/images/import", FAR | {"access": access, "sha256": "1" * 64}, status=202)
    convert_next(world.controller)
    assert image(world)["status"] == "queued" and world.importer.converted == []

    fetch_next(world.controller)
    ((url, used, announced),) = world.importer.fetched
    assert used.password is not None
    assert (url, used.password.get_secret_value(), announced.sha256) == (FAR["url"], "swordfish", "1" * 64)
    with world.controller.read() as tx:
        assert [one.access.password for one in tx.imports.all()] == [None]
    convert_next(world.controller)
    assert image(world)["status"] == "active"
    assert [one.name for one in world.importer.converted] == ["disk.vmdk"]
    shown = f"{told}{image(world)}{world.log.getvalue()}"
    assert "swordfish" not in shown and "s3cret" not in shown


def test_a_server_that_cannot_be_reached(world: World) -> None:
    """The import ends, and it is said why."""
    world.importer.makes = LinkError("fetching it", "the server is away")
    world.user("POST", "/v1/images/import", FAR, status=202)
    fetch_next(world.controller)

    assert (image(world)["status"], "away" in image(world)["fault"]["message"]) == ("killed", True)
    assert files(world) == []


def test_progress_is_told(world: World) -> None:
    """What is done, and how far; a new step at once, the same about once a second."""
    seen: list[Any] = []

    def look() -> None:
        world.clock.move(2)
        seen.append(image(world)["progress"])

    world.importer.makes, world.importer.during = IMAGE, look
    world.importer.steps = (("converting", 0, 100), ("converting", 50, 100), ("packing", 0, None), ("x", 0, None))
    send(world)
    convert_next(world.controller)

    assert [(one["doing"], one["done_bytes"], one["total_bytes"]) for one in seen[1:]] == [
        ("converting", 0, 100),
        ("converting", 50, 100),
        ("packing", 0, None),
    ]


def test_an_import_that_is_deleted_ends(world: World) -> None:
    """At its next step; nothing of it is left, and no image comes of it."""
    world.importer.makes = IMAGE
    world.importer.steps = (("converting", 0, 100),)
    world.importer.during = lambda: world.user("DELETE", "/v1/images/i", status=204)
    send(world)
    convert_next(world.controller)

    assert (files(world), left_over(world)) == ([], [])
    assert world.refused("GET", "/v1/images/i")[0] == 404


class Late(FakeImporter):
    """`after` is called when all is done."""

    after: Callable[[], object] = lambda: None

    def convert(self, order: Order, target: Path, tell: Tell) -> Kept:
        """The same."""
        kept = super().convert(order, target, tell)
        self.after()
        return kept


def test_deleted_at_the_last_moment(world: World) -> None:
    """When all was done but the record: the file goes, too."""
    world.importer = Late(makes=IMAGE)
    world.importer.after = lambda: world.user("DELETE", "/v1/images/i", status=204)
    world.restart()
    send(world)
    convert_next(world.controller)

    assert (files(world), left_over(world)) == ([], [])


def test_a_controller_that_ends_orderly_goes_on_later(world: World) -> None:
    """It counts as no attempt, and the import begins anew when it is back."""
    world.importer.makes = IMAGE
    world.importer.steps = (("converting", 0, 100),)
    world.importer.during = world.controller.wakeups.close
    send(world)
    convert_next(world.controller)
    with world.controller.read() as tx:
        assert [one.attempts for one in tx.imports.all()] == [0]
    world.importer.during = lambda: None
    world.restart()
    convert_next(world.controller)

    assert image(world)["status"] == "active"


def test_a_controller_that_dies_in_it_does_not_die_of_it_for_ever(world: World) -> None:
    """An import that its process did not survive is begun anew a few times, and then given up."""

    class Killed(BaseException):
        """The process is gone."""

    def die() -> None:
        raise Killed

    world.importer.steps, world.importer.during = (("converting", 0, 100),), die
    send(world)
    for _ in range(MOST_ATTEMPTS):
        with pytest.raises(Killed):
            convert_next(world.controller)
        world.restart()
    convert_next(world.controller)

    assert image(world)["status"] == "killed"
    assert f"begun {MOST_ATTEMPTS} times" in image(world)["fault"]["message"]
    assert files(world) == []


def test_a_tool_that_is_missing(world: World) -> None:
    """It is said before gigabytes are sent."""
    world.importer.missing = "qemu-img"
    answer = send(world)

    assert answer.status_code == 503
    assert (answer.json()["fault"]["code"], answer.json()["fault"]["hint"]) == (
        "HOST.TOOL_MISSING",
        "Install qemu-img.",
    )
    assert world.refused("POST", "/v1/images/import", FAR)[0] == 503
    assert files(world) == []


def test_a_name_that_is_taken(world: World) -> None:
    """Refused, and nothing is left."""
    send(world)

    assert send(world).status_code == 409
    assert world.refused("POST", "/v1/images/import", FAR)[0] == 409
    assert len(files(world)) == 1


def test_what_was_cut_off_is_forgotten(world: World) -> None:
    """Parts of uploads, and directories of imports that are no more, go when the controller begins; others stay."""
    send(world)
    kept = files(world)
    (world.controller.imports / "x.part").write_bytes(b"cut")
    (world.controller.imports / "gone").mkdir()
    (world.controller.imports / "gone" / "source").write_bytes(b"old")
    world.restart()

    assert files(world) == kept


def test_another_controllers_import_is_left_alone(world: World) -> None:
    """Its directory is not here: replicas on one database do their own."""
    send(world)
    (directory,) = world.controller.imports.iterdir()
    directory.rename(Path(f"{directory}-elsewhere"))
    convert_next(world.controller)

    assert image(world)["status"] == "queued" and world.importer.converted == []


def test_what_a_project_fetches_is_not_the_controllers_own(world: World) -> None:
    """Only whoever is of the whole cloud may name what is on the controller itself, or in a network that is not the
    Internet; but for those of which the operator says so.
    """
    world.options = world.options.model_copy(update={"import_from": (IPv4Network("10.9.0.0/16"),)})
    world.restart()
    world.importer.makes = IMAGE
    for somebody in (person(world, "red", "operator", "red"), administrator(world)):
        somebody.does("POST", "/v1/images/import", FAR | {"name": f"of-{somebody.token[:4]}"})
        fetch_next(world.controller)
        convert_next(world.controller)

    assert world.importer.inward == [(IPv4Network("10.9.0.0/16"),), None]

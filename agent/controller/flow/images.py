# SPDX-License-Identifier: Apache-2.0
"""Images are registered, kept, and deleted; what is still on its way in is in `flow/imports.py`."""

from __future__ import annotations

from uuid import uuid4

from pydantic import Field

from agent.controller.context import Controller
from agent.controller.flow.lookup import LIVING, named
from agent.controller.images import Kept
from agent.controller.records.image import HttpUrl, Image, ImageSpec, Url
from agent.controller.refusal import InUse, Missing, NameTaken
from agent.controller.store.database import Transaction
from agent.model.bounds import MOST_BYTES
from agent.model.image import ImageRef
from agent.program.log import Logger

log = Logger("controller")


class RemoteImage(ImageSpec, ImageRef):
    """An image that the nodes fetch from its owner's servers."""

    url: Url
    file_bytes: int | None = Field(default=None, gt=0, le=MOST_BYTES, description="length of the file as it travels")
    size_bytes: int | None = Field(default=None, gt=0, le=MOST_BYTES, description="length of the disk it unpacks to")
    mirrors: tuple[Url, ...] = Field(default=(), max_length=8)
    checksums: HttpUrl | None = None


def register_image(controller: Controller, spec: RemoteImage) -> Image:
    """Raises `NameTaken`."""
    told = spec.model_dump(exclude_none=True, exclude={"access"})
    image = Image(
        **told, access=spec.access, id=str(uuid4()), project=controller.project, created_at=controller.clock.now()
    )
    with controller.write() as tx:
        return add_image(tx, image)


def keep_image(controller: Controller, image_id: str, spec: ImageSpec, kept: Kept) -> Image:
    """An uploaded file is an image from now on. Raises `NameTaken`."""
    image = Image(
        id=image_id,
        name=spec.name,
        project=controller.project,
        created_at=controller.clock.now(),
        **described(spec, kept),
    )
    with controller.write() as tx:
        return add_image(tx, image)


def described(spec: ImageSpec, kept: Kept) -> dict[str, object]:
    """What becomes known of an image with its file. Its owner's word counts before the file's own."""
    unpacked = kept.unpacked
    told = {
        "min_disk_gb": spec.min_disk_gb or unpacked.min_disk_gb,
        "firmware": spec.firmware or unpacked.firmware,
        "sector_bytes": spec.sector_bytes or unpacked.sector_bytes,
        "agent": spec.agent,
    }
    measured = {
        "format": kept.format,
        "sha256": kept.sha256,
        "file_bytes": kept.file_bytes,
        "size_bytes": unpacked.size_bytes,
    }
    return measured | {name: value for name, value in told.items() if value is not None}


def refuse_taken_image(controller: Controller, name: str) -> None:
    """Before gigabytes are sent. Raises `NameTaken`."""
    with controller.read() as tx:
        if tx.images.find(name=name) is not None:
            raise NameTaken("creating an image", f"there is an image {name} already")


def delete_image(controller: Controller, key: str) -> Image:
    """Raises `Missing`, `InUse`. The file of an uploaded one is the caller's to remove; an import of it ends."""
    with controller.write() as tx:
        image = named(tx.images, key, "deleting an image", Missing, "image", to_change=True)
        users = tx.servers.count(image_id=image.id, status=LIVING)
        if users:
            raise InUse(f"deleting image {image.name}", f"{users} {'server' if users == 1 else 'servers'} left")
        tx.imports.remove(image_id=image.id)
        tx.images.remove(id=image.id)
        return image


def add_image(tx: Transaction, image: Image) -> Image:
    """Raises `NameTaken`."""
    if not tx.images.try_add(image):
        raise NameTaken(f"creating image {image.name}", "there is one of that name already")
    log.info("image created", name=image.name, status=image.status.value)
    return image

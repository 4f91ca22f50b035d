# SPDX-License-Identifier: Apache-2.0
"""An image as users see it: its servers' credentials as stars, and how far an import is."""

from __future__ import annotations

from datetime import datetime

from agent.controller.records.image import Image, ImageFirmware, ImageStatus, Import
from agent.controller.store.database import Transaction
from agent.model.fault import Fault
from agent.model.frozen import Frozen
from agent.model.image import Access, ImageFormat
from agent.model.url import named as named_url

STARS = "***"


class AccessView(Frozen):
    """Which credentials there are."""

    bearer: str | None
    username: str | None
    password: str | None
    ca_pem: str | None
    proxy: str | None


class ImportView(Frozen):
    """How far an import is."""

    doing: str
    done_bytes: int
    total_bytes: int | None
    attempts: int


class ImageView(Frozen):
    """An image."""

    id: str
    name: str
    project: str | None
    status: ImageStatus
    format: ImageFormat
    min_disk_gb: int
    firmware: ImageFirmware
    sector_bytes: int | None
    agent: bool | None
    url: str | None
    mirrors: tuple[str, ...]
    access: AccessView
    sha256: str | None
    sha512: str | None
    checksums: str | None
    file_bytes: int | None
    size_bytes: int | None
    progress: ImportView | None
    fault: Fault | None
    created_at: datetime


def image_view(tx: Transaction, image: Image) -> ImageView:
    """As it is now."""
    progress = None if image.status.final else tx.imports.get(image.id)
    facts = {name: getattr(image, name) for name in ImageView.model_fields if name in Image.model_fields}
    return ImageView.model_validate(
        facts
        | {
            "url": image.url and named_url(image.url),
            "mirrors": tuple(map(named_url, image.mirrors)),
            "checksums": image.checksums and named_url(image.checksums),
            "access": access_view(image.access),
            "progress": progress and import_view(progress),
        }
    )


def import_view(running: Import) -> ImportView:
    """What there is to see of it."""
    return ImportView(
        doing=running.doing,
        done_bytes=running.done_bytes,
        total_bytes=running.total_bytes,
        attempts=running.attempts,
    )


def access_view(access: Access) -> AccessView:
    """Who, not with what."""
    return AccessView(
        bearer=STARS if access.bearer else None,
        username=access.username,
        password=STARS if access.password else None,
        ca_pem=access.ca_pem,
        proxy=access.proxy and named_url(access.proxy),
    )

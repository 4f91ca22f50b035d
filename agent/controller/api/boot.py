# SPDX-License-Identifier: Apache-2.0
"""The firmware's face: iPXE script, ramdisk, images. Nobody can authenticate here: a booting machine has no secret."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, PlainTextResponse

from agent.controller.api.auth import Here
from agent.controller.api.url import url_of
from agent.controller.flow.netboot import boot_script
from agent.controller.images import image_path
from agent.controller.refusal import BadParameter, Missing
from agent.model.network import MAC_PATTERN

RAMDISK_FILES = frozenset({"vmlinuz", "initrd"})

router = APIRouter(tags=["boot"])


@router.get("/boot/ipxe", response_class=PlainTextResponse)
def get_ipxe(mac: str, request: Request, controller: Here) -> str:
    """What the machine with this MAC boots."""
    plain = mac.strip().lower().replace("-", ":")
    if not re.fullmatch(MAC_PATTERN, plain):
        raise BadParameter("choosing a boot script", "mac is not a MAC address")
    return boot_script(controller, plain, url_of(request, controller))


@router.head("/boot/ramdisk/{name}", response_class=FileResponse, include_in_schema=False)
@router.get("/boot/ramdisk/{name}", response_class=FileResponse)
def get_ramdisk(name: str, controller: Here) -> FileResponse:
    """Kernel and initrd."""
    directory = controller.options.ramdisk
    if name not in RAMDISK_FILES or directory is None or not (directory / name).is_file():
        raise Missing(
            f"sending {name} of the ramdisk",
            f"it is not in {directory}" if directory else "no ramdisk is configured",
            hint="Build it with images/ramdisk, and start the controller with --ramdisk DIRECTORY.",
        )
    return FileResponse(directory / name, media_type="application/octet-stream")


@router.head("/images/{image_id}/content", response_class=FileResponse, include_in_schema=False)
@router.get("/images/{image_id}/content", response_class=FileResponse)
def get_image(image_id: str, controller: Here) -> FileResponse:
    """An uploaded image; ranges are served, and the ETag is its digest."""
    with controller.read() as tx:
        image = tx.images.get(image_id)
    path: Path | None = image_path(controller.images, image.id) if image and image.url is None else None
    if image is None or path is None or not path.is_file():
        raise Missing(f"sending image {image_id}", "there is no such uploaded image")
    return FileResponse(path, media_type="application/octet-stream", headers={"etag": f'"{image.sha256}"'})

# SPDX-License-Identifier: Apache-2.0
"""The firmware's face: iPXE script, ramdisk, images. Nobody can authenticate here: a booting machine has no secret."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse

from agent.controller.api.auth import Here
from agent.controller.api.content import Content, Sending, Sends
from agent.controller.api.url import url_of
from agent.controller.context import Controller
from agent.controller.flow.netboot import boot_script
from agent.controller.images import image_path
from agent.controller.records.image import Image, ImageStatus
from agent.controller.refusal import BadParameter, Forbidden, Missing
from agent.model.image import FETCHES_IMAGES, ImageFormat
from agent.model.network.values import MAC_PATTERN

RAMDISK_FILES = frozenset({"vmlinuz", "initrd"})

router = APIRouter(tags=["boot"])


@router.get("/boot/ipxe", response_class=PlainTextResponse)
def get_ipxe(
    mac: str,
    request: Request,
    controller: Here,
    again: Annotated[str | None, Query(max_length=64, description="the token that it was given before")] = None,
) -> str:
    """What the machine with this MAC boots. Who asks may be given a boot's one token: a URL that a tenant has given as
    an image's must not do that, whoever of ours is told to fetch it.
    """
    if request.headers.get("user-agent", "").startswith(FETCHES_IMAGES):
        raise Forbidden("choosing a boot script", "who fetches images asks, and no firmware")
    plain = mac.strip().lower().replace("-", ":")
    if not re.fullmatch(MAC_PATTERN, plain):
        raise BadParameter("choosing a boot script", "mac is not a MAC address")
    return boot_script(controller, plain, url_of(request, controller), again)


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


@router.get("/boot/ca.pem", response_class=PlainTextResponse)
async def get_authority(controller: Here) -> str:
    """The authority of our TLS. Whoever asks has its digest already, or takes our word for it."""
    if controller.authority is None:
        raise Missing("sending the authority", "there is no TLS here", hint="Start the controller with --listen-tls.")
    return controller.authority.pem


@router.head("/images/{image_id}/content", response_class=Response, include_in_schema=False)
@router.get("/images/{image_id}/content", response_class=Response)
def get_image(image_id: str, controller: Here, sending: Sends) -> Content:
    """A file of ours. What is under an id never changes: any cache may keep it for ever."""
    with controller.read() as tx:
        image = tx.images.get(image_id)
    return content_of(controller, sending, image, f"sending image {image_id}")


@router.head("/images/sha256/{digest}", response_class=Response, include_in_schema=False)
@router.get("/images/sha256/{digest}", response_class=Response)
def get_image_by_digest(digest: str, controller: Here, sending: Sends) -> Content:
    """The same under its digest; a chunked image's is that of its manifest."""
    with controller.read() as tx:
        image = tx.images.find(sha256=digest, url=None, status=ImageStatus.ACTIVE)
    return content_of(controller, sending, image, f"sending image sha256 {digest[:12]}…")


def content_of(controller: Controller, sending: Sending, image: Image | None, doing: str) -> Content:
    """Raises `Missing`."""
    is_ours = image is not None and image.url is None and image.status is ImageStatus.ACTIVE
    path = image_path(controller.images, image.id) if image is not None else None
    if image is None or path is None or not is_ours or not path.is_file():
        raise Missing(doing, "there is no such uploaded image")
    digest = None if image.format is ImageFormat.CHUNKED else image.sha256  # a manifest's does not cover signatures
    return Content(path, digest or image.id, sending)

# SPDX-License-Identifier: Apache-2.0
"""The user's face: images, uploaded as the body of one request, registered by their URL, or imported."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from agent.controller.api.auth import Acting
from agent.controller.flow import images, imports
from agent.controller.flow.images import RemoteImage
from agent.controller.flow.imports import ImportSpec, RemoteImport
from agent.controller.flow.lookup import named
from agent.controller.images import Announced, Upload, image_path
from agent.controller.records.image import ImageSpec
from agent.controller.refusal import Missing
from agent.controller.views.image import ImageView, image_view
from agent.model.image import SHA256_PATTERN, SHA512_PATTERN, ImageFormat

router = APIRouter(prefix="/v1/images", tags=["images"])


class UploadSpec(ImageSpec):
    """What the body of an upload is said to be; `file` is the name that it has where it comes from."""

    format: ImageFormat | None = Field(default=None, description="left out, as its content says")
    file: str = Field(default="", max_length=255)
    sha256: str | None = Field(default=None, pattern=SHA256_PATTERN, description="compared with what arrives")
    sha512: str | None = Field(default=None, pattern=SHA512_PATTERN, description="compared with what arrives")


@router.post("", status_code=201)
def post_image(spec: RemoteImage, controller: Acting) -> ImageView:
    """Register an image that nodes fetch from its owner's URL."""
    image = images.register_image(controller, spec)
    return _view(controller, image.id)


@router.post("/upload", status_code=201)
async def post_upload(spec: Annotated[UploadSpec, Query()], request: Request, controller: Acting) -> ImageView:
    """Upload an image as the request's body. It is hashed and measured on its way to the disk."""
    await run_in_threadpool(images.refuse_taken_image, controller, spec.name)
    image_id = str(uuid4())
    announced = Announced(spec.sha256, spec.sha512)
    upload = Upload(controller.images, spec.format, announced=announced, name=spec.file)
    path = image_path(controller.images, image_id)
    try:
        async for part in request.stream():
            await run_in_threadpool(upload.write, part)
        kept = await run_in_threadpool(upload.finish, path)
        try:
            await run_in_threadpool(images.keep_image, controller, image_id, spec, kept)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    finally:
        await run_in_threadpool(upload.discard)
    return await run_in_threadpool(_view, controller, image_id)


@router.post("/import", status_code=202)
def post_import(spec: RemoteImport, controller: Acting) -> ImageView:
    """Fetch a file of any kind from its URL, and make it a chunked image."""
    image = imports.order_from_url(controller, spec)
    return _view(controller, image.id)


@router.post("/import/upload", status_code=202)
async def post_import_upload(spec: Annotated[ImportSpec, Query()], request: Request, controller: Acting) -> ImageView:
    """Upload a file of any kind as the request's body, to be made a chunked image."""
    await run_in_threadpool(imports.refuse_import, controller, spec.name)
    import_id = str(uuid4())
    incoming = await run_in_threadpool(imports.incoming, controller, import_id, spec)
    try:
        async for part in request.stream():
            await run_in_threadpool(incoming.write, part)
        await run_in_threadpool(incoming.settle)
        await run_in_threadpool(imports.order, controller, import_id, spec)
    finally:
        await run_in_threadpool(incoming.discard)
    return await run_in_threadpool(_view, controller, import_id)


@router.get("")
def get_images(controller: Acting) -> tuple[ImageView, ...]:
    """Every image."""
    with controller.read() as tx:
        return tuple(image_view(tx, image) for image in tx.images.visible())


@router.get("/{key}")
def get_image(key: str, controller: Acting) -> ImageView:
    """One image, by id or name."""
    with controller.read() as tx:
        return image_view(tx, named(tx.images, key, "showing an image", Missing, "image"))


@router.delete("/{key}", status_code=204)
def delete_image(key: str, controller: Acting) -> None:
    """Delete an image that no server has, with its file. An import of it ends."""
    image = images.delete_image(controller, key)
    image_path(controller.images, image.id).unlink(missing_ok=True)
    imports.forget(controller, image.id)


def _view(controller: Acting, image_id: str) -> ImageView:
    return get_image(image_id, controller)

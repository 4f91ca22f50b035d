# SPDX-License-Identifier: Apache-2.0
"""The user's face: images, uploaded as the body of one request or registered by their URL."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from agent.controller.api.auth import Here
from agent.controller.flow import catalogue
from agent.controller.flow.catalogue import RemoteImage
from agent.controller.flow.lookup import named
from agent.controller.images import Upload, image_path
from agent.controller.records.catalogue import Image, ImageSpec
from agent.controller.refusal import Missing
from agent.model.image import SHA256_PATTERN

router = APIRouter(prefix="/v1/images", tags=["images"])


class UploadSpec(ImageSpec):
    """What the body of an upload is said to be."""

    sha256: str | None = Field(default=None, pattern=SHA256_PATTERN, description="compared with what arrives")


@router.post("", status_code=201)
def post_image(spec: RemoteImage, controller: Here) -> Image:
    """Register an image that nodes fetch from its owner's URL."""
    return catalogue.register_image(controller, spec)


@router.post("/upload", status_code=201)
async def post_upload(spec: Annotated[UploadSpec, Query()], request: Request, controller: Here) -> Image:
    """Upload an image as the request's body. It is hashed and measured on its way to the disk."""
    await run_in_threadpool(catalogue.refuse_taken_image, controller, spec.name)
    image_id = str(uuid4())
    upload = Upload(controller.images, spec.format)
    try:
        async for part in request.stream():
            await run_in_threadpool(upload.write, part)
        measured = await run_in_threadpool(upload.finish, image_path(controller.images, image_id), spec.sha256)
        described = ImageSpec(**spec.model_dump(exclude={"sha256"}))
        try:
            return await run_in_threadpool(catalogue.keep_image, controller, image_id, described, measured)
        except BaseException:
            image_path(controller.images, image_id).unlink(missing_ok=True)
            raise
    finally:
        await run_in_threadpool(upload.discard)


@router.get("")
def get_images(controller: Here) -> tuple[Image, ...]:
    """Every image."""
    with controller.read() as tx:
        return tx.images.all()


@router.get("/{key}")
def get_image(key: str, controller: Here) -> Image:
    """One image, by id or name."""
    with controller.read() as tx:
        return named(tx.images, key, "showing an image", Missing, "image")


@router.delete("/{key}", status_code=204)
def delete_image(key: str, controller: Here) -> None:
    """Delete an image that no server has, with its file."""
    image = catalogue.delete_image(controller, key)
    image_path(controller.images, image.id).unlink(missing_ok=True)

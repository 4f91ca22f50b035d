# SPDX-License-Identifier: Apache-2.0
"""Imports: ordered by a user, fetched and converted in the background one at a time, and active or killed in the end.

An import that was at work when its process ended is begun anew, a few times. It belongs to the controller in whose
data directory its own directory is: replicas on one database leave each other's alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from uuid import uuid4

from pydantic import Field

from agent.controller.context import Controller
from agent.controller.flow.images import add_image, described, refuse_taken_image
from agent.controller.images import Announced, Kept, image_path
from agent.controller.imports.convert import Order
from agent.controller.imports.incoming import SOURCE, Incoming
from agent.controller.imports.kinds import NAMES
from agent.controller.records.image import HttpUrl, Image, ImageSpec, ImageStatus, Import, ImportStep
from agent.controller.refusal import ToolsMissing
from agent.errors import AgentError, ImageError, Recalled, ToolMissing
from agent.model.fault import Fault
from agent.model.image import OPEN, SHA256_PATTERN, SHA512_PATTERN, Access, ImageFormat
from agent.program.log import Logger

MOST_ATTEMPTS = 3
TOLD_S = 1.0
"""How often progress is written down."""
WAITING = "waiting for its turn"

log = Logger("controller")


class ImportSpec(ImageSpec):
    """A file of any kind that is to become an image; `file` is the name that it has where it comes from."""

    kind: str | None = Field(
        default=None, pattern=f"^({'|'.join(sorted(NAMES))})$", description="left out, as its content says"
    )
    file: str = Field(default="", max_length=255)
    sha256: str | None = Field(default=None, pattern=SHA256_PATTERN, description="compared with what arrives")
    sha512: str | None = Field(default=None, pattern=SHA512_PATTERN, description="compared with what arrives")

    @property
    def announced(self) -> Announced:
        """Its digests."""
        return Announced(self.sha256, self.sha512)

    @property
    def image(self) -> ImageSpec:
        """What is said of the image itself."""
        return ImageSpec(**{name: getattr(self, name) for name in ImageSpec.model_fields})


class RemoteImport(ImportSpec):
    """The same, fetched by the controller."""

    url: HttpUrl
    access: Access = OPEN


def refuse_import(controller: Controller, name: str) -> None:
    """Before gigabytes are sent. Raises `NameTaken`, `ToolsMissing`."""
    try:
        controller.importer.must_be_equipped()
    except ToolMissing as error:
        raise ToolsMissing(error.doing, error.evidence, hint=error.hint) from error
    refuse_taken_image(controller, name)


def incoming(controller: Controller, import_id: str, spec: ImportSpec) -> Incoming:
    """To be fed with the file, and settled before it is ordered."""
    return Incoming(controller.imports, import_id, spec.kind, spec.file, spec.announced)


def order(controller: Controller, import_id: str, spec: ImportSpec) -> Image:
    """Its file is here. Raises `NameTaken`."""
    try:
        return _order(controller, import_id, spec, ImportStep.CONVERT, None, OPEN)
    except BaseException:
        forget(controller, import_id)
        raise


def order_from_url(controller: Controller, spec: RemoteImport) -> Image:
    """Its file is to be fetched. Raises `NameTaken`, `ToolsMissing`."""
    refuse_import(controller, spec.name)
    import_id = str(uuid4())
    (controller.imports / import_id).mkdir(mode=0o700)
    try:
        return _order(controller, import_id, spec, ImportStep.FETCH, spec.url, spec.access)
    except BaseException:
        forget(controller, import_id)
        raise


def _order(
    controller: Controller, import_id: str, spec: ImportSpec, step: ImportStep, url: str | None, access: Access
) -> Image:
    now = controller.clock.now()
    image = Image(
        id=import_id,
        name=spec.name,
        project=controller.project,
        status=ImageStatus.QUEUED,
        format=ImageFormat.CHUNKED,
        agent=spec.agent,
        created_at=now,
    )
    with controller.write() as tx:
        image = add_image(tx, image)
        tx.imports.add(
            Import(
                image_id=import_id,
                step=step,
                kind=spec.kind,
                file=spec.file or (url or "").partition("?")[0].rpartition("/")[2],
                url=url,
                access=access,
                sha256=spec.sha256,
                sha512=spec.sha512,
                spec=spec.image,
                doing=WAITING,
                ordered_at=now,
            )
        )
    return image


def forget(controller: Controller, import_id: str) -> None:
    """Nothing of its files is left; what a sandbox still writes, its own end removes."""
    shutil.rmtree(controller.imports / import_id, ignore_errors=True)


def fetch_next(controller: Controller) -> None:
    """Fetch the file of the oldest import that has none; needs the network."""

    def fetch(one: Import, tell: Progress) -> None:
        assert one.url is not None, "what is fetched has a URL"
        path = controller.imports / one.image_id / SOURCE
        announced = Announced(one.sha256, one.sha512)
        with controller.read() as tx:
            image = tx.images.get(one.image_id)
        is_clouds = image is not None and image.project is None  # what it fetches, others can read
        inside = None if is_clouds else controller.options.import_from
        controller.importer.fetch(one.url, one.access, announced, path, tell, inside=inside)
        with controller.write() as tx:
            tx.imports.change(one, step=ImportStep.CONVERT, attempts=0, doing=WAITING, access=OPEN)
        log.info("import fetched", image=one.image_id)

    _next(controller, ImportStep.FETCH, fetch)


def convert_next(controller: Controller) -> None:
    """Convert the oldest import whose file is here; needs the sandbox."""

    def convert(one: Import, tell: Progress) -> None:
        job = Order(controller.imports / one.image_id, one.kind, one.file)
        target = image_path(controller.images, one.image_id)
        kept = controller.importer.convert(job, target, tell)
        if not _finish(controller, one, kept):
            target.unlink(missing_ok=True)
        forget(controller, one.image_id)

    _next(controller, ImportStep.CONVERT, convert)


def _next(controller: Controller, step: ImportStep, work: Callable[[Import, Progress], None]) -> None:
    one = _claim(controller, step)
    if one is None:
        return
    if one.attempts > MOST_ATTEMPTS:
        told = f"it was begun {MOST_ATTEMPTS} times, and each time the controller was ended before it was done"
        _kill(controller, one, ImageError("importing an image", told, hint="See the controller's log and its memory."))
        return
    try:
        work(one, Progress(controller, one))
    except Recalled as error:
        log.info("import stopped", image=one.image_id, why=str(error))
        _give_back(controller, one)
    except (AgentError, OSError) as error:
        _kill(controller, one, error)


def _claim(controller: Controller, step: ImportStep) -> Import | None:
    """The oldest of ours; from now on it is at work."""
    with controller.read() as tx:
        waiting = sorted(tx.imports.all(step=step), key=lambda one: one.ordered_at)
    ours = next((one for one in waiting if (controller.imports / one.image_id).is_dir()), None)
    if ours is None:
        return None
    with controller.write() as tx:
        one, image = tx.imports.get(ours.image_id), tx.images.get(ours.image_id)
        if one is None or image is None or one.step is not step:
            return None
        tx.images.change(image, status=ImageStatus.SAVING)
        log.info("import begun", image=image.name, step=step.value, attempt=one.attempts + 1)
        return tx.imports.change(one, attempts=one.attempts + 1)


def _give_back(controller: Controller, one: Import) -> None:
    """An orderly end counts as no attempt. Where the image was deleted, its files go."""
    with controller.write() as tx:
        if tx.imports.get(one.image_id) is not None:
            tx.imports.change(one, attempts=one.attempts - 1, doing=WAITING, done_bytes=0, total_bytes=None)
            return
    forget(controller, one.image_id)


def _finish(controller: Controller, one: Import, kept: Kept) -> bool:
    """The image is active; False if it was deleted meanwhile."""
    with controller.write() as tx:
        image = tx.images.get(one.image_id)
        if image is None:
            return False
        tx.images.change(image, status=ImageStatus.ACTIVE, **described(one.spec, kept))
        tx.imports.remove(image_id=one.image_id)
        log.info("image active", name=image.name, sha256=kept.sha256)
        return True


def _kill(controller: Controller, one: Import, error: Exception) -> None:
    fault = Fault.of(error)
    with controller.write() as tx:
        image = tx.images.get(one.image_id)
        if image is not None:
            tx.images.change(image, status=ImageStatus.KILLED, fault=fault)
            tx.imports.remove(image_id=one.image_id)
    log.warning("import killed", image=one.image_id, code=fault.code, fault=fault.message)
    forget(controller, one.image_id)


class Progress:
    """Writes down how far an import is, about once a second, and ends it when it is not wanted any more."""

    def __init__(self, controller: Controller, one: Import) -> None:
        self._controller = controller
        self._import = one
        self._told_at = controller.clock.now()
        self._doing = ""

    def __call__(self, doing: str, done_bytes: int, total_bytes: int | None) -> None:
        """Raises `Recalled`."""
        if self._controller.wakeups.closed:
            raise Recalled("importing an image", "the controller ends; it goes on when it is back")
        now = self._controller.clock.now()
        if doing == self._doing and (now - self._told_at).total_seconds() < TOLD_S:
            return
        self._told_at, self._doing = now, doing
        with self._controller.write() as tx:
            if tx.imports.get(self._import.image_id) is None:
                raise Recalled("importing an image", "it was deleted")
            tx.imports.change(self._import, doing=doing, done_bytes=done_bytes, total_bytes=total_bytes)

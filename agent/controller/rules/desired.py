# SPDX-License-Identifier: Apache-2.0
"""What a node shall be: which verb its job needs in which mode, and the request that says so in full."""

from __future__ import annotations

from agent.controller.records.image import Image
from agent.controller.records.job import Assignment, Job, Operation, Stage
from agent.controller.records.validation import ValidationOrder
from agent.controller.rules.config_drive import Drive, config_drive
from agent.controller.rules.root_device import hints_for
from agent.errors import InputError
from agent.model.image import ImageRef
from agent.model.protocol import Mode
from agent.model.request import DeployRequest, EraseRequest, PowerOffRequest, RebootRequest, Request, ValidateRequest


def verb_for(job: Job, mode: Mode) -> str | None:
    """What the agent that is running now is asked, so that the job comes on."""
    match job.stage, mode:
        case (Stage.RAMDISK, "ramdisk"):
            if job.operation is Operation.VALIDATE:
                return "hardware.validate"
            return "image.deploy" if job.operation.deploys else "disk.erase"
        case (Stage.RAMDISK, "service") | (Stage.BOOT, "ramdisk"):
            return "power.reboot"
        case (Stage.OS, "service"):
            return "power.reboot" if job.operation is Operation.REBOOT else "power.off"
        case (Stage.OFF, "service"):
            return None if job.hard else "power.off"
        case _:
            return None


def compose(
    assignment: Assignment,
    drive: Drive | None,
    *,
    verify: bool = False,
    tests: ValidationOrder | None = None,
    show_hidden: bool = False,
) -> Request:
    """The request in full; only a deploy has a drive, and only a validation tests. By policy, ATA drives that are to be
    erased `show_hidden` parts of themselves. The same records give the same
    request, byte for byte.
    """
    request_id, node_id = assignment.request_id, assignment.node_id
    match assignment.verb:
        case "image.deploy":
            assert drive is not None, "a deploy is for a server"
            return DeployRequest(
                request_id=request_id,
                node_id=node_id,
                image=image_ref(drive.image, drive.controller_url),
                root_device=hints_for(drive.server.disk, with_size=assignment.disks is not None),
                overwrite=assignment.overwrite,
                config_drive=config_drive(drive),
                verify=verify,
            )
        case "disk.erase":
            return EraseRequest(
                request_id=request_id,
                node_id=node_id,
                method="secure",
                quarantine=True,
                platform=True,
                show_hidden=show_hidden,
                disks=assignment.disks,
            )
        case "hardware.validate":
            assert tests is not None, "a validation was ordered"
            return ValidateRequest(request_id=request_id, node_id=node_id, **dict(tests))
        case "power.reboot":
            return RebootRequest(request_id=request_id, node_id=node_id)
        case "power.off":
            return PowerOffRequest(request_id=request_id, node_id=node_id)
        case other:
            raise InputError(f"composing request {request_id}", f"there is no verb {other}")


def image_ref(image: Image, controller_url: str) -> ImageRef:
    """Where the node gets the image: from its owner's URL, or from us."""
    return ImageRef(
        url=image.url or f"{controller_url}/images/{image.id}/content",
        mirrors=image.mirrors,
        format=image.format,
        sha256=image.sha256,
        sha512=image.sha512,
        checksums=image.checksums,
        file_bytes=image.file_bytes,
        size_bytes=image.size_bytes,
        access=image.access,
    )

# SPDX-License-Identifier: Apache-2.0
"""What an agent can be asked to do once: one model per verb, told apart by `verb`.

`request_id` makes a request idempotent: served again, it is answered with the stored result. `node_id` names the one
node that may obey it.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, TypeAdapter, field_validator, model_validator

from agent.model.burn_in import Load
from agent.model.config_drive import ConfigDrive, DriveImage
from agent.model.device_hints import OperatorHints, SkipList
from agent.model.disk import DiskIdentity, RootDeviceHints
from agent.model.frozen import Frozen
from agent.model.generalise.table import CONFIG_DRIVE, NAMES
from agent.model.image import OPEN, Access, ImageRef
from agent.model.inject import FileToInject
from agent.model.layout import Layout
from agent.model.raid import LogicalDisk
from agent.model.validation import Part, Profile, TimeLimit


def _can_be_read(pattern: str) -> str:
    """Raises `ValueError` for what is no regular expression."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_can_be_read)]


SharedToo = Annotated[
    bool, Field(description="also a disk with a filesystem that several machines use at once (VMFS, GPFS, GFS2)")
]


class _Request(Frozen):
    request_id: str = Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")
    node_id: str = Field(min_length=1, max_length=64)


class DeployRequest(_Request):
    """Write an image to the disk that the hints select, add the config drive, and reboot into it."""

    verb: Literal["image.deploy"] = "image.deploy"
    image: ImageRef
    root_device: RootDeviceHints | OperatorHints
    skip: SkipList = Field(default=(), description="disks that are never written to, whatever fits")
    overwrite: bool = Field(default=False, description="the disk's present data may be destroyed")
    config_drive: ConfigDrive | DriveImage | None = None
    layout: Layout | None = Field(default=None, description="the image is a root filesystem: partitions to put it into")
    shared_too: SharedToo = False
    verify: bool = Field(default=False, description="read the medium back before the disk is made bootable")
    reboot: bool = Field(default=True, description="into what was written; else somebody else ends this boot")


EraseMethod = Literal[
    "zero", "metadata", "express", "secure", "discard",
    "nvme_sanitize", "nvme_format", "ata_sanitize", "ata_secure_erase", "scsi_sanitize",
]  # fmt: skip


class EraseRequest(_Request):
    """Erase local disks, and prove it by reading back. What stands on them is taken down, unless it is in use."""

    verb: Literal["disk.erase"] = "disk.erase"
    method: EraseMethod = Field(
        default="zero",
        description="zero: every byte; secure: the best that each drive says it can do itself, and every byte of those "
        "that can do nothing; nvme_sanitize and so on: that and nothing else, refused for a drive without it; "
        "metadata: whatever says what is on a disk, which takes seconds; express: every byte of NVMe drives, which do "
        "that fast, and metadata of all others; discard: a hint to the drive, which proves nothing",
    )
    quarantine: bool = Field(
        default=False,
        description="a disk that fails, or cannot be proven erased, is reported by its serial, for somebody to keep it "
        "from the next tenant, and the request succeeds; else the request fails for it",
    )
    platform: bool = Field(
        default=False,
        description="what a tenant may have changed beside disks is undone, too: boot entries, BootNext, the TPM's "
        "owner, virtual functions and addresses of NICs",
    )
    show_hidden: bool = Field(
        default=False,
        exclude_if=lambda shown: not shown,
        description="ATA drives show for good what they hide (a host protected area, an accessible maximum, an "
        "overlay) before they are erased; else it is told how much that is, and such a drive is not proven erased",
    )
    at_once: int = Field(default=4, ge=1, le=1024, description="disks that are erased side by side")
    shared_too: SharedToo = False
    serials: tuple[str, ...] | None = Field(
        default=None, description="only disks with these serials or WWNs; None means every local disk"
    )
    disks: tuple[DiskIdentity, ...] | None = Field(
        default=None,
        exclude_if=lambda disks: disks is None,
        description="the machine's own when this was ordered: refused where another one is there; None: not known",
    )
    skip: SkipList = Field(default=(), description="disks that are never written to: passed over, and reported")
    keep_arrays: tuple[str, ...] = Field(
        default=(), description="names of RAID arrays that stay: they are erased in place of their disks"
    )
    strict: bool = Field(
        default=False, description="refused where a removable or remote disk is neither erased nor to be skipped"
    )
    leave_read_only: bool = Field(
        default=False, description="disks that cannot be written are passed over, and reported"
    )


class CreateRaidRequest(_Request):
    """Make software RAID arrays of local disks, by mdadm. Present arrays are deleted before, by `raid.delete`."""

    verb: Literal["raid.create"] = "raid.create"
    logical_disks: tuple[LogicalDisk, ...] = Field(min_length=1, max_length=16)
    overwrite: bool = Field(default=False, description="the disks' present data may be destroyed")
    skip: SkipList = ()


class DeleteRaidRequest(_Request):
    """Take every software RAID array down, and wipe the local disks that hold parts of one: tables, signatures."""

    verb: Literal["raid.delete"] = "raid.delete"
    skip: SkipList = ()


class SelectBootRequest(_Request):
    """Let the firmware boot the disk that the hints select: an entry for its loader, first in the order. A machine with
    a BIOS has nothing to be selected.
    """

    verb: Literal["boot.select"] = "boot.select"
    root_device: RootDeviceHints | OperatorHints
    skip: SkipList = ()
    esp_uuid: str | None = Field(default=None, description="of its EFI system partition, or of the filesystem on it")


class ForgetBootRequest(_Request):
    """Remove boot entries of the firmware's whose paths, as efibootmgr shows them, fit one of these expressions."""

    verb: Literal["boot.forget"] = "boot.forget"
    match_patterns: tuple[Pattern, ...] = Field(
        default=(r"^HD\(", r"shim.*\.efi", r"grub.*\.efi"), description="IPA's, without regard to case"
    )


class CaptureRequest(_Request):
    """Read a disk into a chunked image; nothing is written to it. What one server must not hand on to the next is left
    out, on a copy in memory, unless `generalise` is off.
    """

    verb: Literal["image.capture"] = "image.capture"
    disk: RootDeviceHints = RootDeviceHints()
    path: str | None = Field(default=None, pattern=r"^/dev/", description="by hand, in place of hints: /dev/sda")
    to: str = Field(pattern=r"^(https?|file)://\S+$", description="where the image is put (PUT); by hand a file")
    access: Access = OPEN
    generalise: bool = True
    keep: tuple[str, ...] = Field(default=(), description="items that are not to be forgotten (generalise.table)")
    force: bool = Field(default=False, description="also what cannot be trusted or will not deploy: with a warning")
    os: str | None = Field(default=None, max_length=200, description="for the image's description; else as it says")
    level: int | None = Field(default=None, ge=1, le=19, description="of zstd; None: as every image is packed")

    @model_validator(mode="after")
    def _keeps_what_there_is(self) -> Self:
        unknown = set(self.keep) - {*NAMES, CONFIG_DRIVE}
        if unknown:
            raise ValueError(
                f"nothing is called {', '.join(sorted(unknown))}; there is {', '.join((*NAMES, CONFIG_DRIVE))}"
            )
        if self.keep and not self.generalise:
            raise ValueError("without generalising everything is kept")
        return self


class ErasePstoreRequest(_Request):
    """Remove what crashed kernels left in the platform's own memory: the next tenant's kernel would show it."""

    verb: Literal["pstore.erase"] = "pstore.erase"


class InjectRequest(_Request):
    """Put files into the system on the disk that the hints select, or take them out."""

    verb: Literal["disk.inject"] = "disk.inject"
    root_device: RootDeviceHints | OperatorHints
    skip: SkipList = ()
    shared_too: SharedToo = False
    files: tuple[FileToInject, ...] = Field(default=(), max_length=1000)


class BurnInRequest(_Request):
    """Put hardware under load and verify what it does. A load of disks DESTROYS what is on every local disk but those
    of `skip`.
    """

    verb: Literal["hardware.burn_in"] = "hardware.burn_in"
    loads: tuple[Load, ...] = Field(min_length=1, max_length=16)
    skip: SkipList = ()
    keep_arrays: tuple[str, ...] = Field(default=(), description="names of RAID arrays whose disks are not loaded")
    shared_too: SharedToo = False
    output: str | None = Field(default=None, pattern=r"^/[!-~]+$", description="a file for the findings, as JSON")

    @field_validator("output")
    @classmethod
    def _is_a_file(cls, path: str | None) -> str | None:
        """What stands for a device or for the kernel is not replaced by a file."""
        names = [name for name in (path or "").split("/") if name not in ("", ".")]
        if path is not None and (".." in names or names[:1] in ([], ["dev"], ["proc"], ["sys"])):
            raise ValueError(f"{path} is no place for a file")
        return path


class ValidateRequest(_Request):
    """Test hardware, and judge what is found. Disks are only read, unless they are named and may be wiped."""

    verb: Literal["hardware.validate"] = "hardware.validate"
    profile: Profile = "quick"
    parts: tuple[Part, ...] = Field(default=(), description="only tests of these; () is all")
    tests: tuple[str, ...] = Field(default=(), max_length=100, description="these alone, whatever the profile has")
    settings: dict[str, int] = Field(default_factory=dict, description="by test.parameter, or by parameter")
    disks: tuple[str, ...] = Field(
        default=(), description="only disks with these serials or WWNs; () is every local one"
    )
    wipe: bool = Field(default=False, description="tests that destroy what is on those disks are done, too")
    time_limit_s: TimeLimit | None = None

    @model_validator(mode="after")
    def _wipes_what_is_named(self) -> Self:
        if self.wipe and not self.disks:
            raise ValueError("disks that may be wiped are named, one by one")
        return self


class RebootRequest(_Request):
    """Reboot the machine, once the controller has acknowledged that it will."""

    verb: Literal["power.reboot"] = "power.reboot"


class PowerOffRequest(_Request):
    """Power the machine off, once the controller has acknowledged that it will."""

    verb: Literal["power.off"] = "power.off"


Request = Annotated[
    DeployRequest
    | EraseRequest
    | CreateRaidRequest
    | DeleteRaidRequest
    | CaptureRequest
    | SelectBootRequest
    | ForgetBootRequest
    | ErasePstoreRequest
    | InjectRequest
    | BurnInRequest
    | ValidateRequest
    | RebootRequest
    | PowerOffRequest,
    Field(discriminator="verb"),
]
REQUEST: TypeAdapter[Request] = TypeAdapter(Request)

# SPDX-License-Identifier: Apache-2.0
"""The machine is not in the state that the plan stands on."""

from __future__ import annotations

from agent.errors.root import AgentError


class PreconditionError(AgentError):
    """The machine is not in the state that the plan stands on; nothing was touched."""

    code = "PRECONDITION.FAILED"
    exit_status = 4


class DiskInUse(PreconditionError):
    """The disk is mounted or held."""

    code = "DISK.IN_USE"
    advice = "Unmount it, or stop what holds it, and ask again."


class DiskHoldsData(PreconditionError):
    """The disk holds data and the request does not allow overwriting."""

    code = "DISK.HOLDS_DATA"
    advice = "If the data may go, clean the node first, or ask again with overwriting allowed."


class DiskShared(PreconditionError):
    """The disk holds a filesystem that other machines may be using at this moment."""

    code = "DISK.SHARED"
    advice = "Detach it, or put it into skip_block_devices; [bms.]wipe_special_filesystems allows its loss: see README."


class DiskChanged(PreconditionError):
    """The disk that was planned for is not the disk that is there now."""

    code = "DISK.CHANGED"
    advice = "Hardware changed since the plan was made: plan again from a new inventory."


class DiskReadOnly(PreconditionError):
    """The disk cannot be written."""

    code = "DISK.READ_ONLY"
    advice = "Check the drive's write protection and its health."


class ArrayNotWhole(PreconditionError):
    """A RAID array does not run, or a member of it is missing."""

    code = "RAID.NOT_WHOLE"
    advice = "Replace the drive that is missing; then delete the arrays and make them anew, or let them be rebuilt."


class ImageTooLarge(PreconditionError):
    """The image does not fit on the disk."""

    code = "IMAGE.TOO_LARGE"
    advice = "Choose a larger disk or a smaller image."


class SectorSizeMismatch(PreconditionError):
    """The image was made for another sector size than the disk's."""

    code = "IMAGE.SECTOR_SIZE"
    advice = "A partition table of 512-byte sectors does not boot on a 4Kn disk: use an image made for it."


class PartitionTableError(PreconditionError):
    """The image's partition table cannot take what has to be added."""

    code = "IMAGE.PARTITION_TABLE"
    advice = "Use an image with a GPT, or with at most three primary partitions, and room at the disk's end."


class NothingToBoot(PreconditionError):
    """The disk has no EFI system partition, or no loader for this machine on it."""

    code = "BOOT.NOTHING"
    advice = "Use an image that boots under UEFI, or boot this machine in BIOS mode."


class CaptureRefused(PreconditionError):
    """What is on the disk would make no image that can be deployed, or none that can be trusted."""

    code = "CAPTURE.REFUSED"
    advice = "Mend what it names, or capture nevertheless with --force: the image's result then carries warnings."


class PlanRefused(PreconditionError):
    """The checker found that a plan breaks an invariant."""

    code = "PLAN.REFUSED"
    advice = "This is a fault of the planner: report it with the plan's text."


class ChangeUnderWay(PreconditionError):
    """Somebody else is changing the same thing."""

    code = "NETWORK.CHANGE_UNDER_WAY"
    retryable = True
    advice = "One change at a time: wait until the other one is proven or taken back."

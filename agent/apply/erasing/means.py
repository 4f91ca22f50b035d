# SPDX-License-Identifier: Apache-2.0
"""The orders by which a disk forgets. What a drive does in the background has only begun when its order returns."""

from __future__ import annotations

from typing import assert_never

from agent.apply.erasing.passwords import secure_erase
from agent.errors import DeviceError, HostError
from agent.host.doors import BlockDevice, Host
from agent.model.erasing import Means, ata, nvme, scsi
from agent.model.hardware.nvme import ACTIVE_NAMESPACES, NAMESPACE, active_namespaces
from agent.model.job import Advance
from agent.model.plan import EraseDisk

SLICE_BYTES = 1024**3
FORMAT_TIMEOUT_S = 24 * 3600.0


def begin(host: Host, device: BlockDevice, step: EraseDisk, means: Means, advance: Advance) -> None:
    """Raises `DeviceError`: the drive did not begin, or not come to an end."""
    node = step.disk.path
    match means:
        case (
            Means.NVME_SANITIZE_CRYPTO
            | Means.NVME_SANITIZE_BLOCK
            | Means.ATA_SANITIZE_CRYPTO
            | Means.ATA_SANITIZE_BLOCK
            | Means.SCSI_SANITIZE_CRYPTO
            | Means.SCSI_SANITIZE_BLOCK
        ):
            sanitize(host, node, means)
        case Means.NVME_FORMAT_CRYPTO | Means.NVME_FORMAT_ERASE:
            format_namespace(host, node, means)
        case Means.ATA_SECURE_ERASE | Means.ATA_SECURE_ERASE_ENHANCED:
            secure_erase(host, step.disk, enhanced=means is Means.ATA_SECURE_ERASE_ENHANCED)
        case Means.ZERO:
            for start, length in slices(step.disk.size_bytes):
                device.zero(start, length)
                advance(start + length, step.disk.size_bytes)
        case Means.DISCARD:
            for start, length in slices(step.disk.size_bytes):
                host.erasers.discard(node, start, length)
                advance(start + length, step.disk.size_bytes)
        case Means.METADATA:
            raise DeviceError(f"erasing {step.disk}", "to wipe what says what it holds is another step")
        case _:
            assert_never(means)


def sanitize(host: Host, node: str, means: Means, *, restricted: bool = False) -> None:
    """Raises `DeviceError`: the drive did not begin."""
    if means in nvme.ACTIONS:
        host.erasers.nvme_sanitize(node, nvme.sanitize_word(means, restricted=restricted))
    elif means in ata.FEATURES:
        host.erasers.ata_sanitize(node, *ata.sanitize_order(means, restricted=restricted))
    else:
        host.erasers.scsi_sanitize(node, scsi.sanitize_word(means, restricted=restricted))


def leave_failure(host: Host, node: str, means: Means) -> None:
    """Tell a drive of that kind to go on without the sanitize that failed on it. Raises `DeviceError`."""
    if means in nvme.ACTIONS:
        host.erasers.nvme_sanitize(node, nvme.EXIT_FAILURE)
    elif means in ata.FEATURES:
        host.erasers.ata_sanitize(node, *ata.LEAVE_FAILURE)
    else:
        host.erasers.scsi_sanitize(node, scsi.EXIT_FAILURE)


def slices(size_bytes: int) -> list[tuple[int, int]]:
    """(offset, length) of pieces after which progress is told."""
    return [(start, min(SLICE_BYTES, size_bytes - start)) for start in range(0, size_bytes, SLICE_BYTES)]


def format_namespace(host: Host, node: str, means: Means) -> None:
    """The one that the node is, by its number, or the drive's only one, in the format that it has. Raises
    `DeviceError`.
    """
    number = namespace_number(host, node)
    raw = host.drives.nvme_identify(node, NAMESPACE, number)
    if raw is None:
        raise DeviceError(f"formatting {node}", f"it does not tell how namespace {number} is formatted")
    host.erasers.nvme_format(node, number, nvme.format_word(raw, means), FORMAT_TIMEOUT_S)


def namespace_number(host: Host, node: str) -> int:
    """From sysfs. Raises `DeviceError` where that does not say which of several it is."""
    place = f"/sys/block/{node.removeprefix('/dev/')}/nsid"
    if host.files.exists(place):
        try:
            return int(host.files.read_text(place))
        except (HostError, ValueError) as error:
            raise DeviceError(f"formatting {node}", f"{place} does not say which namespace it is: {error}") from error
    raw = host.drives.nvme_identify(node, ACTIVE_NAMESPACES)
    numbers = () if raw is None else active_namespaces(raw)
    if len(numbers) != 1:
        raise DeviceError(f"formatting {node}", f"it is not known which of the namespaces {numbers} it is")
    return numbers[0]

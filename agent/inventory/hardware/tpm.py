# SPDX-License-Identifier: Apache-2.0
"""The TPM: which one it is, and its maker's certificates for the endorsement key, by their digests."""

from __future__ import annotations

from collections.abc import Iterator

from agent.host import device_doors
from agent.host.doors import Host
from agent.inventory.folder import Folder
from agent.model.hardware.tpm import (
    CERTIFICATES,
    LARGEST_CERTIFICATE_BYTES,
    PIECE_BYTES,
    EkCertificate,
    Tpm,
    ask_piece,
    ask_properties,
    ask_public,
    certificate,
    described,
    piece,
    properties,
    public,
)

CLASS = "/sys/class/tpm/tpm0"


def tpm(host: Host) -> Tpm | None:
    """`None` if there is none. One of version 1.2 tells its version only. Raises `DeviceError`, `DecodeError`."""
    if host.tpm.is_there():
        told = described(properties(host.tpm.ask(ask_properties())))
        return told.model_copy(update={"certificates": tuple(certificates(host.tpm))})
    one = Folder(host.files, CLASS)
    if not one.names:
        return None
    return Tpm(version="2.0" if one.line("tpm_version_major") == "2" else "1.2")


def certificates(door: device_doors.Tpm) -> Iterator[EkCertificate]:
    """Those that it has and lets anybody read. Raises `DeviceError`, `DecodeError`."""
    for key, index in CERTIFICATES.items():
        kept = public(door.ask(ask_public(index)))
        if kept is None or kept.reader is None:
            continue
        size = min(kept.size, LARGEST_CERTIFICATE_BYTES)
        pieces = (
            piece(door.ask(ask_piece(index, kept.reader, at, min(PIECE_BYTES, size - at))))
            for at in range(0, size, PIECE_BYTES)
        )
        yield certificate(key, b"".join(pieces))

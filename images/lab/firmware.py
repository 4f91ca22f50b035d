# SPDX-License-Identifier: Apache-2.0
"""The firmware files of a virtual machine, found where Debian and Ubuntu put them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from lab.fault import LabFault


class Firmware(StrEnum):
    UEFI = "uefi"
    BIOS = "bios"


OVMF_FOLDER = Path("/usr/share/OVMF")
# Newest name first: Debian 13 and Ubuntu 24.04 ship the 4M build only.
OVMF_PAIRS = (("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"), ("OVMF_CODE.fd", "OVMF_VARS.fd"))


def ovmf(folder: Path = OVMF_FOLDER) -> tuple[Path, Path]:
    """OVMF's code and its template of variables, without secure boot: Debian's iPXE is not signed."""
    for code, variables in OVMF_PAIRS:
        if (folder / code).exists() and (folder / variables).exists():
            return folder / code, folder / variables
    raise LabFault(f"looking for UEFI firmware: no {OVMF_PAIRS[0][0]} in {folder} (package ovmf)")

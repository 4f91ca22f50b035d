# SPDX-License-Identifier: Apache-2.0
"""The door to the TPM: /dev/tpmrm0, for commands that read. What they mean, `agent.model.hardware.tpm` says."""

from __future__ import annotations

import os
import select
from pathlib import Path

from agent.errors import DeviceError

DEVICE = "/dev/tpmrm0"
LARGEST_BYTES = 4096  # TPM_BUFSIZE
ANSWER_TIMEOUT_S = 4.0
QUESTIONS = frozenset({0x0000014E, 0x00000169, 0x0000017A})
"""NV_Read, NV_ReadPublic, GetCapability (TPM 2.0 Library, part 2, table 12)."""


class RealTpm:
    """`doors.Tpm`."""

    def is_there(self) -> bool:
        """Whether the kernel has a TPM 2.0."""
        return Path(DEVICE).is_char_device()

    def ask(self, command: bytes) -> bytes:
        """One command, in one write; the response comes in one read."""
        code = int.from_bytes(command[6:10])
        doing = f"asking the TPM (command {code:#x})"
        if code not in QUESTIONS:
            raise DeviceError(doing, "this is no question, but would change something")
        try:
            fd = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.write(fd, command)
                if not select.select([fd], [], [], ANSWER_TIMEOUT_S)[0]:
                    raise DeviceError(doing, f"no answer within {ANSWER_TIMEOUT_S:g} s")
                return os.read(fd, LARGEST_BYTES)
            finally:
                os.close(fd)
        except OSError as error:
            raise DeviceError(doing, error.strerror or str(error)) from error

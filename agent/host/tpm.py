# SPDX-License-Identifier: Apache-2.0
"""The door to the TPM: /dev/tpmrm0, for commands that read, those that seal and unseal, and the one that clears it.
What they mean, `agent.model.hardware.tpm`, `tpm_seal` and `tpm_owner` say.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

from agent.errors import DeviceError
from agent.model.hardware.tpm_seal import Dialogue, sealing, unsealing

DEVICE = "/dev/tpmrm0"
LARGEST_BYTES = 4096  # TPM_BUFSIZE
ANSWER_TIMEOUT_S, SEAL_TIMEOUT_S, CLEAR_TIMEOUT_S = 4.0, 20.0, 60.0
CLEAR = 0x00000126
QUESTIONS = frozenset({0x0000014E, 0x00000169, 0x0000017A})
"""NV_Read, NV_ReadPublic, GetCapability (TPM 2.0 Library, part 2, table 12)."""


class Silent(DeviceError):
    """It has taken a command, and does not answer yet; who asked it waits in the kernel, which has minutes for that."""

    def __init__(self, doing: str, evidence: str, asking: Thread) -> None:
        super().__init__(doing, evidence)
        self.asking = asking


class RealTpm:
    """`doors.Tpm`."""

    def __init__(self, device: str = DEVICE) -> None:
        self._device = device

    def is_there(self) -> bool:
        """Whether the kernel has a TPM 2.0."""
        return Path(self._device).is_char_device()

    def ask(self, command: bytes) -> bytes:
        """One command, in one write; the response comes in one read."""
        code = int.from_bytes(command[6:10])
        doing = f"asking the TPM (command {code:#x})"
        if code not in QUESTIONS:
            raise DeviceError(doing, "this is no question, but would change something")
        return self._told(command, doing, ANSWER_TIMEOUT_S)

    def clear(self, command: bytes) -> bytes:
        """A new storage hierarchy may take it seconds."""
        if int.from_bytes(command[6:10]) != CLEAR:
            raise DeviceError("clearing the TPM", "this is another command")
        return self._told(command, "clearing the TPM", CLEAR_TIMEOUT_S)

    def seal(self, secret: bytes) -> bytes:
        """What it makes on the way is gone once the device is closed."""
        return self._held(sealing(secret), "sealing a key to the TPM")

    def unseal(self, sealed: bytes) -> bytes:
        """The same."""
        return self._held(unsealing(sealed), "unsealing a key by the TPM")

    def _told(self, command: bytes, doing: str, timeout_s: float) -> bytes:
        with _opened(self._device, doing) as fd:
            return _exchanged(fd, command, doing, timeout_s)

    def _held(self, dialogue: Dialogue, doing: str) -> bytes:
        with _opened(self._device, doing) as fd:
            return spoken(dialogue, lambda command: _exchanged(fd, command, doing, SEAL_TIMEOUT_S))


def spoken(dialogue: Dialogue, tell: Callable[[bytes], bytes]) -> bytes:
    """To its end. Raises as the dialogue does, and `tell`."""
    command = next(dialogue)
    while True:
        response = tell(command)
        try:
            command = dialogue.send(response)
        except StopIteration as end:
            return bytes(end.value)


@contextmanager
def _opened(device: str, doing: str) -> Iterator[int]:
    try:
        fd = os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            yield fd
        except Silent as silent:
            Thread(target=_close_later, args=(fd, silent.asking), name="closing the TPM", daemon=True).start()
            raise
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
    except OSError as error:
        raise DeviceError(doing, error.strerror or str(error)) from error


def _close_later(fd: int, asking: Thread) -> None:
    """Nobody else gets its number before."""
    asking.join()
    os.close(fd)


def _exchanged(fd: int, command: bytes, doing: str, timeout_s: float) -> bytes:
    """In a thread: while a command is under way, poll(2) and close(2) wait for it in the kernel, too, and cannot be
    ended (tpm-dev-common.c: `tpm_common_poll`, `tpm_common_release`)."""
    answered: Queue[bytes | OSError] = Queue(1)

    def ask() -> None:
        try:
            os.write(fd, command)
            if select.select([fd], [], [], timeout_s)[0]:
                answered.put(os.read(fd, LARGEST_BYTES))
        except OSError as error:
            answered.put(error)

    asking = Thread(target=ask, name="asking the TPM", daemon=True)
    asking.start()
    try:
        found = answered.get(timeout=timeout_s)
    except Empty:
        raise Silent(doing, f"no answer within {timeout_s:g} s", asking) from None
    if isinstance(found, OSError):
        raise found
    return found

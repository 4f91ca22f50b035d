# SPDX-License-Identifier: Apache-2.0
"""Sealing, with a TPM 2.0 in software (swtpm): what it seals it alone makes again, until it is cleared; and answers
that make no sense."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import tty
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from agent.errors import DecodeError, DeviceError, SealRefused
from agent.host.tpm import RealTpm, spoken
from agent.model.hardware.tpm_owner import LOCKOUT, clear, refusal
from agent.model.hardware.tpm_seal import LARGEST_SECRET_BYTES, flush, sealing, unsealing

SECRET = bytes(range(32))
TRANSIENT = 0x80000000


class SoftTpm:
    """A TPM behind a socket, as it is before any command."""

    def __init__(self, line: socket.socket) -> None:
        self._socket = line

    def tell(self, command: bytes) -> bytes:
        """One command, one response."""
        self._socket.sendall(command)
        return self._socket.recv(4096)

    def seal(self, secret: bytes) -> bytes:
        """As the door does."""
        return spoken(sealing(secret), self.tell)

    def unseal(self, sealed: bytes) -> bytes:
        """As the door does; what a failure leaves behind goes, as when the kernel's device is closed."""
        try:
            return spoken(unsealing(sealed), self.tell)
        except (SealRefused, DecodeError):
            for left in range(TRANSIENT, TRANSIENT + 3):
                self.tell(flush(left))
            raise


@contextmanager
def soft_tpm(folder: Path) -> Iterator[SoftTpm]:
    """A new one, or the one that this folder has already."""
    folder.mkdir(exist_ok=True)
    path = folder / "socket"
    argv = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}", "--server", f"type=unixio,path={path}"]
    with subprocess.Popen([*argv, "--flags", "not-need-init,startup-clear"], stdout=subprocess.DEVNULL) as process:
        try:
            ends = monotonic() + 30
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(30)
                while line.connect_ex(str(path)) != 0:  # its name is there before it listens
                    assert process.poll() is None and monotonic() < ends
                    sleep(0.02)
                yield SoftTpm(line)
        finally:
            process.terminate()
            process.wait(20)
            path.unlink(missing_ok=True)


@pytest.mark.commands
def test_sealed_and_had_back(tmp_path: Path) -> None:
    """In this process and after the machine was switched off; what is kept says nothing of the secret; nothing stays in
    the TPM, which has room for three keys."""
    with soft_tpm(tmp_path / "one") as tpm:
        for _ in range(5):
            sealed = tpm.seal(SECRET)
            assert tpm.unseal(sealed) == SECRET
        assert SECRET not in sealed and SECRET[:16] not in sealed
    with soft_tpm(tmp_path / "one") as tpm:
        assert tpm.unseal(sealed) == SECRET


@pytest.mark.commands
def test_no_register_of_the_boot_matters(tmp_path: Path) -> None:
    """Another firmware, kernel or boot loader leaves the key: whatever was measured, it is had back."""
    with soft_tpm(tmp_path / "one") as tpm:
        sealed = tpm.seal(SECRET)
        for register in range(16):
            assert refusal(tpm.tell(measure(register))) == 0
        assert tpm.unseal(sealed) == SECRET


def measure(register: int) -> bytes:
    """TPM2_PCR_Extend by a SHA-256 digest, with an empty password (TPM 2.0 part 3, section 22.2)."""
    password = struct.pack(">IHBH", 0x40000009, 0, 0, 0)
    body = struct.pack(">II", register, len(password)) + password + struct.pack(">IH", 1, 0x000B) + b"\xaa" * 32
    return struct.pack(">HII", 0x8002, 10 + len(body), 0x00000182) + body


@pytest.mark.commands
def test_a_cleared_tpm_and_another_one_refuse(tmp_path: Path) -> None:
    """As the next tenant's is cleared, and as a copied disk meets another machine's."""
    with ExitStack() as stack:
        one, other = (stack.enter_context(soft_tpm(tmp_path / name)) for name in ("one", "other"))
        sealed = one.seal(SECRET)
        with pytest.raises(SealRefused, match="0x1df"):  # TPM_RC_INTEGRITY, of the first parameter
            other.unseal(sealed)
        assert one.unseal(sealed) == SECRET
        assert refusal(one.tell(clear(LOCKOUT))) == 0
        with pytest.raises(SealRefused):
            one.unseal(sealed)
        assert one.unseal(one.seal(SECRET)) == SECRET


@pytest.mark.commands
def test_what_was_changed_is_refused(tmp_path: Path) -> None:
    """Any byte of it; and a secret that is too long is none of the TPM's."""
    with soft_tpm(tmp_path / "one") as tpm:
        sealed = tpm.seal(SECRET)
        for at in range(2, len(sealed), 17):
            changed = bytearray(sealed)
            changed[at] ^= 0x40
            with pytest.raises((SealRefused, DecodeError)):
                tpm.unseal(bytes(changed))
        assert tpm.unseal(tpm.seal(bytes(LARGEST_SECRET_BYTES))) == bytes(LARGEST_SECRET_BYTES)
        with pytest.raises(DecodeError):
            tpm.seal(bytes(LARGEST_SECRET_BYTES + 1))


OK = "80020000001800000000"
ANSWERS = ("", "80", OK, OK + "80000000", OK + "80000000" + "ff" * 20, "80010000000a00000922", OK + "00" * 14)


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_that_make_no_sense(answer: str) -> None:
    """Whatever comes instead of a TPM's answer is an error that says so; of an empty secret the asker knows."""
    with pytest.raises((DecodeError, SealRefused)):
        spoken(sealing(SECRET), lambda _: bytes.fromhex(answer))
    try:
        assert spoken(unsealing(b"\0\1x\0\1y"), lambda _: bytes.fromhex(answer)) == b""
    except (DecodeError, SealRefused) as error:
        assert "TPM" in str(error)


@pytest.mark.parametrize("kept", [b"", b"\0", b"\0\2x", b"\0\1x\0", b"\0\1x\0\1yz"])
def test_half_of_what_was_kept(kept: bytes) -> None:
    """Nothing is sent."""
    with pytest.raises(DecodeError):
        spoken(unsealing(kept), lambda command: pytest.fail(command.hex()))


def test_a_device_that_does_not_answer() -> None:
    """It costs the time that an answer may take, and no more: what waits for it in the kernel is a thread of its own,
    and the file is closed behind it."""
    master, slave = os.openpty()
    tty.setraw(slave)
    tpm, before = RealTpm(os.ttyname(slave)), files()
    question = struct.pack(">HII", 0x8001, 22, 0x17A) + bytes(12)
    for _ in range(2):
        began_s = monotonic()
        with pytest.raises(DeviceError, match="no answer within 4 s"):
            tpm.ask(question)
        assert monotonic() - began_s < 10
    ends_s = monotonic() + 20
    while files() > before:
        assert monotonic() < ends_s
        sleep(0.05)
    assert os.read(master, 99) == 2 * question
    os.close(master)
    os.close(slave)


def files() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))

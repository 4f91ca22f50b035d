# SPDX-License-Identifier: Apache-2.0
"""Erasing as values: recorded answers of drives, what they prove, and certificates that cannot be changed."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.errors import DecodeError
from agent.model.erasing import Means, Samples, ata, nvme, scsi, verdict
from agent.model.erasing.certificate import Certificate, signed
from agent.model.hardware.tpm_owner import LOCKOUT, clear

GOOD = Samples(canaries=65, read=65, zero=65)
NOISE = Samples(canaries=65, read=65)
ALIVE = Samples(canaries=65, read=65, zero=64, survived=1)
ONE_CANARY = Samples(canaries=1, read=65, unknown=64)
UNREAD = Samples(canaries=65, read=64, zero=64, unreadable=1)
LOG = "sanitize succeeded"
FIXED_SENSE = bytes([0x70, 0, 2, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x04, 0x1B, 0, 0x80, 0x40, 0x00])
DESCRIBED_SENSE = bytes([0x72, 2, 0x04, 0x1B, 0, 0, 0, 8, 2, 6, 0, 0, 0x80, 0x40, 0x00, 0])


def log_page(state: int, progress: int = 0xFFFF, action: int = 4) -> bytes:
    """The NVMe sanitize log."""
    return struct.pack("<HHI", progress, state, action).ljust(512, b"\0")


CASES = {
    "all zero": ((Means.ZERO, GOOD, None, False), "erased"),
    "noise after a crypto erase": ((Means.NVME_SANITIZE_CRYPTO, NOISE, LOG, False), "erased"),
    "noise after zeroing": ((Means.ZERO, NOISE, None, False), "failed"),
    "a canary lives": ((Means.NVME_FORMAT_ERASE, ALIVE, None, False), "failed"),
    "a canary lives, resumed": ((Means.ATA_SANITIZE_BLOCK, Samples(read=65, survived=1), LOG, True), "failed"),
    "a sample cannot be read": ((Means.ZERO, UNREAD, None, False), "unproven"),
    "no log": ((Means.NVME_SANITIZE_BLOCK, GOOD, None, False), "unproven"),
    "discarded": ((Means.DISCARD, GOOD, None, False), "unproven"),
    "no canaries": ((Means.ATA_SECURE_ERASE, Samples(read=65, zero=65), None, False), "unproven"),
    "resumed, all zero": ((Means.SCSI_SANITIZE_BLOCK, Samples(read=65, zero=65), LOG, True), "erased"),
    "noise where no canary was": ((Means.NVME_FORMAT_CRYPTO, ONE_CANARY, None, False), "unproven"),
    "resumed, noise": ((Means.NVME_SANITIZE_CRYPTO, Samples(read=65), LOG, True), "unproven"),
    "nothing was read": ((Means.NVME_FORMAT_CRYPTO, Samples(canaries=65), None, False), "unproven"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_verdicts(case: str) -> None:
    """What samples and a drive's log prove, and what they do not."""
    (means, samples, log, resumed), outcome = CASES[case]

    assert verdict(means, samples, log, resumed=resumed)[0] == outcome


def test_nist() -> None:
    """Sanitize purges; Format, secure erase and zeroes clear; a hint is nothing."""
    assert {means.nist for means in Means if means.is_sanitize} == {"purge"}
    assert {Means.NVME_FORMAT_CRYPTO.nist, Means.ATA_SECURE_ERASE_ENHANCED.nist, Means.ZERO.nist} == {"clear"}
    assert {Means.DISCARD.nist, Means.METADATA.nist} == {"none"}


def test_nvme_powers() -> None:
    """OACS, FNA and SANICAP of Identify Controller."""
    raw = bytearray(4096)
    raw[256], raw[524], raw[328] = 0x06, 0b101, 0b110
    found = nvme.powers(bytes(raw))

    assert (found.formats, found.formats_crypto, found.format_reaches_all) == (True, True, True)
    assert (found.sanitizes_crypto, found.sanitizes_block) == (False, True)
    raw[256] = 0
    assert not nvme.powers(bytes(raw)).formats_crypto  # the bit alone formats nothing


def test_nvme_sanitize_log() -> None:
    """Running with its share, ended well or badly, by which action."""
    running, done, failed = (nvme.sanitize_status(log_page(*one)) for one in ((2, 0x4000, 2), (0x101, 9), (3, 9)))

    assert (running.is_running, running.progress, running.means) == (True, 0.25, Means.NVME_SANITIZE_BLOCK)
    assert (done.succeeded, done.globally_erased, done.progress) == (True, True, 1.0)
    assert not failed.succeeded and not failed.is_running and failed.failed and "failed" in str(failed)
    assert nvme.sanitize_status(log_page(4)).succeeded and not nvme.sanitize_status(log_page(0)).succeeded


@pytest.mark.parametrize(
    ("flbas", "protection", "word"),
    [(0x00, 0, 0x200), (0x11, 0b1010, 0x200 | 0x11 | 2 << 5 | 1 << 8), (0x23, 0, 0x200 | 3 | 1 << 12)],
)
def test_a_format_keeps_sectors_as_they_are(flbas: int, protection: int, word: int) -> None:
    """The format's number in both its parts, metadata at the end, protection and its place; SES is user data erase."""
    raw = bytearray(4096)
    raw[26], raw[29] = flbas, protection

    assert nvme.format_word(bytes(raw), Means.NVME_FORMAT_ERASE) == word


def test_ata_security() -> None:
    """Words 59 and 128, and how long it may take."""
    raw = bytearray(512)
    raw[118:120], raw[256:258], raw[178:182] = b"\x00\xb0", b"\x2f\x00", bytes([30, 0, 0, 0x81])
    found = ata.security(bytes(raw))

    assert (found.is_enabled, found.is_locked, found.is_frozen, found.has_enhanced) == (True, True, True, True)
    assert (found.sanitizes_crypto, found.sanitizes_block) == (True, True)
    assert (found.erase_s, found.enhanced_s) == (30 * 2 * 60 * 3, 0x100 * 2 * 60 * 3)
    assert ata.patience_s(0x8000 | 1500) == 1.2 * 1500 * 2 * 60  # fifty hours: it is not given up before its own time


def test_ata_sanitize() -> None:
    """Under way with its share; over, and how. After a failure the status itself is aborted, and the address says why;
    an abort without a reason says nothing.
    """
    running, done, never, failed, frozen = (
        ata.sanitize_state(*one) for one in ((0x4000, 0x8000), (0x8000, 0xFFFF), (0, 0xFFFF), (0, 1, 4), (0, 3, 4))
    )
    assert running is not None and (running.running, running.progress, running.completed) == (True, 0.5, False)
    assert done is not None and done.completed and never is not None and not never.completed
    assert failed is not None and (failed.failed, failed.frozen, failed.completed) == (True, False, False)
    assert frozen is not None and (frozen.failed, frozen.frozen) == (False, True)
    assert ata.sanitize_state(0, 0, 4) is None and ata.sanitize_state(0, 1, 0x10) is None


def test_how_a_sanitize_is_ordered() -> None:
    """So that its failure can be left; after a stranger's that cannot, in the one way that is left."""
    assert ata.sanitize_order(Means.ATA_SANITIZE_CRYPTO) == (0x11, 0x43727970, 0x10)
    assert ata.sanitize_order(Means.ATA_SANITIZE_BLOCK, restricted=True) == (0x12, 0x426B4572, 0)
    assert (nvme.sanitize_word(Means.NVME_SANITIZE_BLOCK), nvme.sanitize_word(Means.NVME_SANITIZE_CRYPTO)) == (10, 12)
    assert nvme.sanitize_word(Means.NVME_SANITIZE_BLOCK, restricted=True) == 2
    assert scsi.sanitize_word(Means.SCSI_SANITIZE_BLOCK) == 0xA2
    assert scsi.sanitize_word(Means.SCSI_SANITIZE_CRYPTO, restricted=True) == 0x83


@pytest.mark.parametrize("raw", [FIXED_SENSE, DESCRIBED_SENSE])
def test_scsi_sense(raw: bytes) -> None:
    """In both formats: under way, and how far."""
    found = scsi.sanitize_state(raw)

    assert (found.running, found.failed, found.progress) == (True, False, 0.25)


def test_scsi_ends() -> None:
    """Ready, and the failure that a drive keeps until it is sanitized again; a command that is vendor's own is none."""
    assert scsi.sanitize_state(bytes([0x72, 0, 0, 0, 0, 0, 0, 0])).is_ready
    assert scsi.sanitize_state(bytes([0x72, 3, 0x31, 0x03, 0, 0, 0, 0])).failed
    assert scsi.sanitize_state(bytes([0x72, 0, 0x04, 0x1B, 0, 0, 0, 0])).running  # whatever the key
    assert not scsi.sanitize_state(bytes([0x72, 4, 0x44, 0x00, 0, 0, 0, 0])).is_ready
    waking = scsi.sanitize_state(bytes([0x72, 2, 0x04, 0x01, 0, 0, 0, 0]))
    assert waking.is_waking and not (waking.running or waking.is_ready or waking.failed)
    assert scsi.sanitize_state(bytes([0x72, 6, 0x29, 0x00, 0, 0, 0, 0])).is_news
    assert scsi.supported(bytes([0, 3])) and not any(scsi.supported(raw) for raw in (bytes([0, 1]), bytes([0, 5]), b""))


def test_the_tpms_clear_byte_by_byte() -> None:
    """TPM2_Clear by the lockout hierarchy, with one session of an empty password (TPM 2.0 Library, part 3, 24.6)."""
    assert clear(LOCKOUT).hex() == "80020000001b000001264000000a00000009400000090000000000"


def test_a_certificate_is_what_was_signed() -> None:
    """Any other text, signature or key is refused."""
    text = Certificate(
        node_id="n",
        request_id="r",
        boot_id="b",
        agent_version="1",
        issued_at=datetime(2026, 1, 1, tzinfo=UTC),
        disks=(),
    )
    good, other = (signed(text, Ed25519PrivateKey.generate()) for _ in range(2))

    assert good.opened() == text
    for wrong in (
        good.model_copy(update={"certificate": good.certificate.replace('"n"', '"m"')}),
        good.model_copy(update={"key": other.key}),
        good.model_copy(update={"signature": other.signature}),
        good.model_copy(update={"key": "?"}),
        good.model_copy(update={"signature": "?"}),
    ):
        with pytest.raises(DecodeError):
            wrong.opened()

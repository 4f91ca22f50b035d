# SPDX-License-Identifier: Apache-2.0
"""Signatures: where keys are trusted, one of them must have signed what is written; nothing else has any effect."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from agent.apply.chunked.sign import signing_key
from agent.errors import AgentError, ConfigError, DigestMismatch, SignatureMissing
from agent.host.fake import Page
from agent.model.chunked import FRAME
from agent.model.ed25519 import public_key, trusted_key
from agent.model.image import ImageFormat
from agent.model.image_signature import RAW_BYTES as SIGNATURE_BYTES
from tests.apply import disks
from tests.apply.chunks import MIB, packing, reference, serve, serve_store
from tests.apply.disks import URL, disk_of, gpt_image, machine
from tests.apply.writing import head_of, must_hold, write
from tests.controller.chunks import manifest_of

DISK = 16 * MIB
IMAGE = gpt_image()
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
OURS = public_key(KEY)
OTHERS = public_key(Ed25519PrivateKey.from_private_bytes(bytes(32)))


@pytest.mark.parametrize("put", [serve, serve_store])
def test_signed_by_one_that_is_trusted(put: object) -> None:
    """It is written; and where nobody asks for a signature, it is nothing."""
    assert callable(put)
    for keys in ((OURS,), (OTHERS, OURS), ()):
        made = machine(DISK)
        write(made, put(made, IMAGE, signing_pem=PEM), trusted_keys=keys)
        must_hold(made, IMAGE)


@pytest.mark.parametrize("put", [serve, serve_store])
def test_not_signed_by_one_that_is_trusted(put: object) -> None:
    """Unsigned, or signed by another key: refused, and the disk is as it was."""
    assert callable(put)
    for pem, keys in ((None, (OURS,)), (PEM, (OTHERS,))):
        made = machine(DISK)
        with pytest.raises(SignatureMissing):
            write(made, put(made, IMAGE, signing_pem=pem), trusted_keys=keys)
        assert disk_of(made).content.blank and head_of(made) is None


def test_manifest_of_somebody_else() -> None:
    """A signature of one image under another's manifest is refused, though its digest was asked for."""
    made = machine(DISK)
    _, ours = packing(IMAGE, signing_pem=PEM)
    packed, others = packing(gpt_image(seed=2), signing_pem=PEM)
    length = FRAME.size + SIGNATURE_BYTES
    signature = ours[ours.index(FRAME.pack(0x184D2A5C, SIGNATURE_BYTES)) :][:length]
    at = others.index(FRAME.pack(0x184D2A5C, SIGNATURE_BYTES))
    made.web[URL] = Page(others[:at] + signature + others[at + length :])
    with pytest.raises(SignatureMissing):
        write(made, reference(packed.digest), trusted_keys=(OURS,))

    assert disk_of(made).content.blank


def test_tampered_manifest() -> None:
    """Any bit of it: it has not the digest that was asked for; asked for with its own, its signature is wrong."""
    packed, file = packing(IMAGE, signing_pem=PEM)
    payload = manifest_of(file).payload
    at = file.index(payload)
    for place in (0, 8, 20, 60, len(payload) - 1):
        made = machine(DISK)
        changed = bytearray(file)
        changed[at + place] ^= 1
        made.web[URL] = Page(bytes(changed))
        with pytest.raises(DigestMismatch):
            write(made, reference(packed.digest), trusted_keys=(OURS,))
        its_own = hashlib.sha256(changed[at : at + len(payload)]).hexdigest()
        with pytest.raises(SignatureMissing):
            write(made, reference(its_own), trusted_keys=(OURS,))
        assert disk_of(made).content.blank


def test_what_cannot_be_signed_is_not_trusted() -> None:
    """Where keys are trusted, an image of a format without signatures is refused."""
    for image_format in (ImageFormat.RAW, ImageFormat.RAW_ZST, ImageFormat.QCOW2):
        made = machine(DISK)
        with pytest.raises(SignatureMissing, match="only chunked"):
            write(made, disks.serve(made, IMAGE, image_format), trusted_keys=(OURS,))
        assert disk_of(made).content.blank


def test_keys() -> None:
    """A key that is no Ed25519 key, has a passphrase, or is no key, is refused by name, each of both kinds."""
    with_passphrase = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pw"))
    of_another_kind = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for pem in (b"", b"no key", with_passphrase, of_another_kind):
        with pytest.raises(ConfigError):
            signing_key(pem)
    for text in ("", "x", "!" * 44, b64encode(bytes(31)).decode(), b64encode(bytes(33)).decode()):
        with pytest.raises(AgentError):
            trusted_key(text)
    assert public_key(signing_key(PEM)) == OURS and len(OURS) == 44

# SPDX-License-Identifier: Apache-2.0
"""Known answers: small computations, each on a unit of a processor that can be wrong by itself, and their results.

Floating point is IEEE 754's, whose results are the same everywhere as long as nothing but + - * / and the square root
is used (section 5.4.1): no logarithm, no sine. SHA and AES are what the processor has instructions for.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

from agent.apply.burn_in.cpu import material

STEPS = 4000
MODULUS = 2**1279 - 1
EXPONENT = 2**521 - 1


class Answer(NamedTuple):
    """How it is computed, and what comes out on a processor that is well."""

    compute: Callable[[], str]
    known: str


def integers() -> str:
    """Multiplying, dividing, shifting: a power modulo a Mersenne prime."""
    return hashlib.sha256(str(pow(3, EXPONENT, MODULUS)).encode()).hexdigest()[:32]


def floating() -> str:
    """A chaotic map: one wrong bit, anywhere on the way, changes everything behind it."""
    x, y, total = 0.5, 0.3, 0.0
    for step in range(1, STEPS):
        x = 3.97 * x * (1.0 - x)
        y = math.sqrt(x / (0.5 + y))
        total += y / step - x * y
    return struct.pack("<3d", x, y, total).hex()


def sha() -> str:
    """SHA-1, SHA-256, SHA-512, each over the one before."""
    found = material()
    for name in ("sha1", "sha256", "sha512"):
        found = hashlib.new(name, material() + found, usedforsecurity=False).digest()
    return found.hex()[:32]


def aes() -> str:
    """AES-256, in counter mode and in GCM, whose tag is a product of polynomials (PCLMULQDQ, PMULL)."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = hashlib.sha256(b"bms-agent validation").digest()
    plain = material()
    stream = Cipher(algorithms.AES(key), modes.CTR(key[:16])).encryptor().update(plain)
    sealed = AESGCM(key).encrypt(key[:12], stream, None)
    if AESGCM(key).decrypt(key[:12], sealed, None) != stream:
        return "what was encrypted did not come out again"
    return hashlib.sha256(sealed).hexdigest()[:32]


ANSWERS: Mapping[str, Answer] = {
    "integers": Answer(integers, "49e58669f8c10ace6e5ae9f511968cb1"),
    "floating point": Answer(floating, "0f9bec8f7d0aef3ff1520257523eed3fafc41ced4cd29ac0"),
    "SHA": Answer(sha, "44874709ef2c00a2b45981a5117bf120"),
    "AES": Answer(aes, "0f0690570b6e8b8be99639b8b2ccc386"),
}


def wrong_of(answers: Mapping[str, Answer]) -> tuple[str, ...]:
    """Which of them come out wrong on this processor, now."""
    return tuple(name for name, answer in answers.items() if answer.compute() != answer.known)

# SPDX-License-Identifier: Apache-2.0
"""Bytes for parsers that have to stand anything: good samples that are damaged, cut, joined; and plain noise.

Everything follows from a seed, which a failing test tells; how much of it there is, from a count and from the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from random import Random

SEED = 20261121
EDGES = (0, 1, 2, 7, 8, 9, 0x1F, 0x7F, 0x80, 0xFF, 1 << 15, (1 << 16) - 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1,
         1 << 40, 1 << 56, (1 << 62) - 1, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
MOST_DAMAGES = 4


def damaged(noise: Random, samples: Sequence[bytes]) -> bytes:
    """One input."""
    if noise.random() < 0.05:
        return noise.randbytes(noise.randrange(600))
    data = bytearray(noise.choice(samples))
    for _ in range(noise.randint(1, MOST_DAMAGES)):
        damage(noise, data, samples)
    return bytes(data)


def inputs(
    seed: int | str,
    samples: Sequence[bytes],
    *,
    most: int,
    longest_s: float,
    made: Callable[[Random, Sequence[bytes]], bytes] = damaged,
) -> Iterator[tuple[str, bytes]]:
    """(what makes it again, bytes), until there were enough or the time is over."""
    began_s = time.monotonic()
    for number in range(most):
        if number and time.monotonic() - began_s > longest_s:
            return
        name = f"{seed}-{number}"
        yield name, made(Random(name), samples)


def damage(noise: Random, data: bytearray, samples: Sequence[bytes]) -> None:
    """In place: a bit, a number, a stretch of noise or zeroes, a cut, a stretch twice or gone, another's end."""
    at = place(noise, len(data))
    length = noise.choice((1, 2, 4, 8, 16, 512, noise.randrange(len(data) + 1)))
    match noise.randrange(9):
        case 0 | 1 if data:
            data[at % len(data)] ^= 1 << noise.randrange(8)
        case 2 | 3:
            width = noise.choice((1, 2, 4, 8))
            number = (noise.choice(EDGES) + noise.randint(-1, 1)) % (1 << 8 * width)
            data[at : at + width] = number.to_bytes(width, noise.choice(("big", "little")))
        case 4:
            data[at : at + length] = noise.randbytes(min(length, len(data) - at))
        case 5:
            del data[at:]
        case 6:
            data[at:at] = data[at : at + length]
        case 7:
            del data[at : at + length]
        case _:
            other = noise.choice(samples)
            data[at:] = other[place(noise, len(other)) :]


def place(noise: Random, size: int) -> int:
    """Anywhere; at every second time near the beginning, where headers are."""
    return noise.randrange(min(size, noise.choice((128, 1 << 62))) + 1) if size else 0

# SPDX-License-Identifier: Apache-2.0
"""Loading processors: rounds whose result is known, on each of them.

Integer and vector units, caches, branches: SHA-2, SHA-3, BLAKE2, scrypt (Salsa20 over memory), DEFLATE and LZMA. There
is no floating point in it.
"""

from __future__ import annotations

import hashlib
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from threading import Event

from agent.apply.burn_in.course import Course
from agent.errors import BurnInFailed, TimeOver
from agent.host.doors import Host
from agent.model.burn_in import CpuLoad, Verdict

DATA_BYTES = 512 * 1024
PACKED_BYTES = 64 * 1024
CHAIN = 1
SLOW = 0.5
"""Of the median's rounds: a processor that does fewer is throttled, or shares its time with something."""
ENOUGH = 25
"""Rounds of the median: below, chance is larger than what is looked for."""
KNOWN = "e57d283cfcf539550396316c104861fe90648d324f551ad1d531274e715dd8b4"


@dataclass
class Tally:
    """Of one thread."""

    rounds: int = 0
    wrong: int = 0


def burn_cpu(host: Host, load: CpuLoad, course: Course, rounds: Callable[[], str] | None = None) -> Verdict:
    """Raises `BurnInFailed` for a result that is not the known one, with the processors that gave it."""
    processors = host.processors.numbers()
    count = load.workers or len(processors)
    bound = [processors[place % len(processors)] for place in range(count)]
    tallies = [Tally() for _ in bound]
    data = material()
    turn = rounds or (lambda: one_round(data))

    def worker(number: int, tally: Tally) -> Callable[[Event], None]:
        def work(stop: Event) -> None:
            host.processors.bind(number)
            while True:
                tally.wrong += turn() != KNOWN
                tally.rounds += 1
                if stop.is_set():
                    return

        return work

    workers = {f"cpu-{place}": worker(number, tallies[place]) for place, number in enumerate(bound)}
    try:
        ran_s = course.run("cpu", load.seconds, workers)
    except TimeOver:
        must_be_right(bound, tallies)
        raise
    return verdict(bound, tallies, ran_s)


def must_be_right(bound: list[int], tallies: list[Tally]) -> None:
    """Raises `BurnInFailed` for a result that is not the known one."""
    wrong = sorted({number for number, tally in zip(bound, tallies, strict=True) if tally.wrong})
    if wrong:
        events, rounds = sum(tally.wrong for tally in tallies), sum(tally.rounds for tally in tallies)
        told = f"{events} of {rounds} rounds gave a wrong result, on {', '.join(map(str, wrong))}"
        raise BurnInFailed("loading the processors", told)


def verdict(bound: list[int], tallies: list[Tally], ran_s: float) -> Verdict:
    """Of what all threads did. Raises `BurnInFailed`."""
    must_be_right(bound, tallies)
    figures: dict[str, str | int] = {
        "threads": len(bound),
        "seconds": round(ran_s),
        "rounds": sum(tally.rounds for tally in tallies),
    }
    middle = median(tally.rounds for tally in tallies)
    half = SLOW * middle if middle >= ENOUGH else 0
    slow = sorted({number for number, tally in zip(bound, tallies, strict=True) if tally.rounds < half})
    if slow:
        told = f"less than half as fast as the others: {', '.join(map(str, slow))}"
        return Verdict(part="cpu", state="degraded", told=told, figures=figures)
    return Verdict(part="cpu", state="passed", figures=figures)


def material() -> bytes:
    """What is computed with: the same on every machine."""
    return hashlib.shake_128(b"bms-agent burn-in").digest(DATA_BYTES)


def one_round(data: bytes) -> str:
    """A fraction of a second. Whatever is packed must come out again; the digest at the end is the result."""
    chain = b""
    for _ in range(CHAIN):
        key = hashlib.sha256(data + chain).digest()
        text = hashlib.scrypt(key, salt=chain or b"0", n=2048, r=8, p=1, dklen=PACKED_BYTES // 2) + data[:PACKED_BYTES]
        if zlib.decompress(zlib.compress(text, 1)) != text or lzma.decompress(lzma.compress(text, preset=0)) != text:
            return "what was packed did not come out again"
        chain = hashlib.sha512(data + text).digest() + hashlib.sha3_256(text).digest()
        chain += hashlib.blake2b(data + chain).digest()
    return hashlib.sha256(chain).hexdigest()

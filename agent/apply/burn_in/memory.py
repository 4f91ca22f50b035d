# SPDX-License-Identifier: Apache-2.0
"""Loading memory: patterns written to all of it, then compared, in turns.

Blocks of noise differ from their neighbours', so that an address line that fails is found as well as a cell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from agent.apply.burn_in.course import Course
from agent.errors import BurnInFailed, DecodeError, PreconditionError
from agent.host.doors import Files, Host
from agent.host.memory import aligned, copy, is_same, physical_address
from agent.model.burn_in import MemoryLoad, Verdict

BLOCK_BYTES = 1024 * 1024
SHIFT_BYTES = 64
RESERVE_BYTES = 128 * 1024 * 1024
"""Left for everything else: there is no swap, and who asks for the last page ends another process."""
MEMINFO = "/proc/meminfo"


@dataclass
class Tally:
    """Of one thread."""

    passes: int = 0
    compared_bytes: int = 0


def burn_memory(host: Host, load: MemoryLoad, course: Course, *, at_least_once: bool = False) -> Verdict:
    """For its time, or until every byte was compared once, if that takes longer and is wanted. Raises `BurnInFailed` at
    the first byte that reads as another than was written.
    """
    processors = host.processors.numbers()
    count = load.workers or len(processors)
    blocks = amount(host.files, load) // count // BLOCK_BYTES
    if not blocks:
        told = f"less than {BLOCK_BYTES // 1024} KiB for each of {count} threads"
        raise PreconditionError("loading the memory", told)
    tallies = [Tally() for _ in range(count)]

    def worker(place: int) -> Callable[[Event], None]:
        def work(stop: Event) -> None:
            host.processors.bind(processors[place % len(processors)])
            exercise(aligned(blocks * BLOCK_BYTES), place, tallies[place], stop)

        return work

    def is_enough() -> bool:
        return not at_least_once or all(tally.passes for tally in tallies)

    workers = {f"memory-{place}": worker(place) for place in range(count)}
    ran_s = course.run("memory", load.seconds, workers, is_enough)
    figures: dict[str, str | int] = {
        "threads": count,
        "seconds": round(ran_s),
        "MiB": count * blocks * BLOCK_BYTES // 1024**2,
        "passes": min(tally.passes for tally in tallies),
        "MB compared": sum(tally.compared_bytes for tally in tallies) // 10**6,
    }
    if not figures["passes"]:
        told = "the time was too short to compare every byte of it once"
        some = any(tally.compared_bytes for tally in tallies)
        return Verdict(part="memory", state="degraded" if some else "skipped", told=told, figures=figures)
    return Verdict(part="memory", state="passed", figures=figures)


def amount(files: Files, load: MemoryLoad) -> int:
    """As much as is asked for, and is there. Raises `PreconditionError`."""
    there = available(files)
    asked = load.size_bytes if load.size_bytes is not None else int(there * (load.percent or 100) / 100)
    room = there - RESERVE_BYTES
    if room <= 0:
        raise PreconditionError("loading the memory", f"only {there // 1024**2} MiB are available")
    return min(asked, room)


def available(files: Files) -> int:
    """Without anything having to go (proc_meminfo(5)). Raises `DecodeError`."""
    for line in files.read_text(MEMINFO).splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if name == "MemAvailable" and len(words) == 2 and words[0].isdecimal():
            return int(words[0]) * 1024
    raise DecodeError(f"reading {MEMINFO}", "it has no MemAvailable")


def exercise(memory: memoryview, seed: int, tally: Tally, stop: Event) -> None:
    """Pattern after pattern; what was written is compared, even if the time is over."""
    turn = 0
    while True:
        pattern = pattern_of(seed, turn)
        for at in range(0, len(memory), BLOCK_BYTES):
            if stop.is_set():
                return
            copy(memory[at : at + BLOCK_BYTES], of_block(pattern, at))
        for at in range(0, len(memory), BLOCK_BYTES):
            must_be(memory[at : at + BLOCK_BYTES], of_block(pattern, at), at)
            tally.compared_bytes += BLOCK_BYTES
        tally.passes += 1
        turn += 1
        if stop.is_set():
            return


def pattern_of(seed: int, turn: int) -> memoryview:
    """Noise, its complement, and cells against their neighbours; twice a block, so that it can be shifted."""
    noise = hashlib.shake_128(b"%d %d" % (seed, turn // 4)).digest(BLOCK_BYTES)
    flipped = (int.from_bytes(noise, "little") ^ ((1 << 8 * BLOCK_BYTES) - 1)).to_bytes(BLOCK_BYTES, "little")
    content = (noise, flipped, b"\xaa" * BLOCK_BYTES, b"\x55" * BLOCK_BYTES)[turn % 4]
    pattern = aligned(2 * BLOCK_BYTES)
    pattern[:BLOCK_BYTES] = pattern[BLOCK_BYTES:] = content
    return pattern


def of_block(pattern: memoryview, at: int) -> memoryview:
    """Another piece of it for each block."""
    shift = at // BLOCK_BYTES * SHIFT_BYTES % BLOCK_BYTES
    return pattern[shift : shift + BLOCK_BYTES]


def must_be(block: memoryview, pattern: memoryview, at: int) -> None:
    """Raises `BurnInFailed` with the first byte that differs."""
    if is_same(block, pattern):
        return
    place = next((here for here in range(len(block)) if block[here] != pattern[here]), None)
    if place is None:
        raise BurnInFailed("loading the memory", f"a block at {at} was compared twice, with two results")
    told = f"byte {at + place} of a region{where(block, place)} reads {block[place]:#04x}, "
    told += f"and {pattern[place]:#04x} was written"
    raise BurnInFailed("loading the memory", told)


def where(block: memoryview, place: int) -> str:
    """The address that leads to the module, in words, where the kernel tells it."""
    address = physical_address(block[place:])
    return "" if address is None else f" (physical address {address:#x})"

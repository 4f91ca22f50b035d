# SPDX-License-Identifier: Apache-2.0
"""One parser of the table, and the harness that all of them stand: a value or a refusal, in bounded memory and time."""

from __future__ import annotations

import resource
import signal
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from types import FrameType

from agent.errors import DecodeError
from tests.mutations import damaged, inputs

MIB = 1024 * 1024
MEASURED, SELDOM, AT_FIRST = 25, 500, 10_000
"""Of so many inputs one is measured, at first and later: counting memory costs ten times what most parsers do, and
leaves some KiB behind each time, which after a million inputs would be taken for a parser's.
"""
SHOWN_BYTES = 400
TRIES = 2


@dataclass(frozen=True)
class Row:
    """A parser. `read` gives a value, having asserted what must hold of any, or raises one of `refusals`. Every one of
    `samples` it reads without an error, or damage to them would prove nothing.
    """

    read: Callable[[bytes], object]
    samples: Callable[[], Sequence[bytes]]
    refusals: tuple[type[Exception], ...] = (DecodeError,)
    made: Callable[[Random, Sequence[bytes]], bytes] = damaged
    most_bytes: int = 4 * MIB
    most_s: float = 3.0


class TooLong(BaseException):
    """No parser may answer with this: it was still at work when its time was over."""


class Broken(AssertionError):
    """An input that a parser does not stand, with what makes it again."""


def fuzzed(name: str, row: Row, seed: int, *, most: int, longest_s: float) -> tuple[int, int]:
    """How many inputs there were, and how many of them gave a value. Raises `Broken`."""
    samples, count, accepted = row.samples(), 0, 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for again, data in inputs(f"{seed}-{name}", samples, most=most, longest_s=longest_s, made=row.made):
        try:
            accepted += stood(row, data, is_measured=count % (MEASURED if count < AT_FIRST else SELDOM) == 7)
        except (Exception, TooLong) as error:
            shown = data[:SHOWN_BYTES].hex() + ("…" if len(data) > SHOWN_BYTES else "")
            raise Broken(f"{again} ({len(data)} bytes, {shown}): {type(error).__name__}: {error}") from error
        count += 1
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 64 * MIB + 2 * row.most_bytes, f"after {count} inputs this process is {grown} bytes larger"
    return count, accepted


def stood(row: Row, data: bytes, *, is_measured: bool) -> bool:
    """Whether it gave a value. What took too long is tried again: a virtual machine that stood still for a while counts
    that, too, as time of whoever ran.
    """
    for _ in range(TRIES - 1):
        try:
            with bounded_memory(row.most_bytes, is_on=is_measured), bounded_time(row.most_s):
                return is_read(row, data)
        except TooLong:
            continue
    with bounded_time(row.most_s):
        return is_read(row, data)


def is_read(row: Row, data: bytes) -> bool:
    """Whether it gave a value; `False` for a refusal."""
    try:
        row.read(data)
    except row.refusals:
        return False
    return True


@contextmanager
def bounded_time(most_s: float) -> Iterator[None]:
    """Of this process's own: a busy machine makes no parser slow."""

    def over(_number: int, _frame: FrameType | None) -> None:
        raise TooLong(f"more than {most_s:g} s")

    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, most_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextmanager
def bounded_memory(most_bytes: int, *, is_on: bool) -> Iterator[None]:
    """Of what Python takes meanwhile."""
    if not is_on:
        yield
        return
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most_bytes, f"it took {peak} bytes of memory"

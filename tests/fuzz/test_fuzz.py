# SPDX-License-Identifier: Apache-2.0
"""Every parser of the table: a value or a refusal, nothing else, whatever the bytes; in bounded memory and time.

An input that breaks one is named: `tests/run long -k NAME --seed SEED` makes it again.
"""

from __future__ import annotations

import pytest

from agent.errors import DecodeError
from tests.fuzz.row import MIB, Broken, Row, fuzzed
from tests.fuzz.table import PARTS, ROWS

SOME, SOME_S = 3000, 0.25
LONG_S = 1800.0
"""Of one row: a disk with five filesystems takes fifty times what an answer of a drive does, a millisecond."""
EACH = pytest.mark.parametrize("name", ROWS)


def test_every_row_has_its_name() -> None:
    """None hides another."""
    assert len(ROWS) == sum(len(part.ROWS) for part in PARTS)


@EACH
def test_samples_are_whole(name: str) -> None:
    """What is damaged below is read before."""
    for sample in ROWS[name].samples():
        ROWS[name].read(sample)


@EACH
def test_some_thousand(name: str, pytestconfig: pytest.Config) -> None:
    """As many as a moment has room for."""
    fuzzed(name, ROWS[name], pytestconfig.getoption("--seed"), most=SOME, longest_s=SOME_S)


@pytest.mark.long
@EACH
def test_a_million(name: str, pytestconfig: pytest.Config) -> None:
    """Behind `tests/run long`; a machine that has no time for so many says how many there were, and does not pass. Some
    of them are read: what is always refused proves little.
    """
    seed, most = pytestconfig.getoption("--seed"), pytestconfig.getoption("--inputs")
    count, accepted = fuzzed(name, ROWS[name], seed, most=most, longest_s=LONG_S)

    assert accepted, f"all {count} were refused"
    if count < most:
        pytest.xfail(f"{count} of {most} inputs in {LONG_S:g} s: none broke it, and so many are not what is promised")


def raising(raw: bytes) -> object:
    """A parser with a fault."""
    return raw[5] if raw else None


def without_end(raw: bytes) -> object:
    """Another."""
    while True:
        pass


def greedy(raw: bytes) -> object:
    """Another."""
    return bytearray(8 * MIB)


@pytest.mark.parametrize(
    ("read", "told"), [(raising, "IndexError"), (without_end, "more than 0.05 s"), (greedy, "bytes of memory")]
)
def test_a_fault_is_found(read: object, told: str) -> None:
    """The harness finds each kind of fault, and tells of what input and of which seed."""
    row = Row(read, lambda: [b"0123456"], most_s=0.05)  # type: ignore[arg-type]
    with pytest.raises(Broken, match=rf"7-x-\d+ .*{told}"):
        fuzzed("x", row, 7, most=2000, longest_s=2.0)


def test_a_refusal_is_none() -> None:
    """It is counted as such."""

    def refuse(raw: bytes) -> object:
        raise DecodeError("reading", raw.hex())

    assert fuzzed("x", Row(refuse, lambda: [b"0"]), 7, most=50, longest_s=2.0) == (50, 0)

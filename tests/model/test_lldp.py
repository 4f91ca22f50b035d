# SPDX-License-Identifier: Apache-2.0
"""LLDP data units: what they say, and that no bytes break the parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DecodeError
from agent.model.lldp import Tlv, tlvs
from tests.link.equipped import ANNOUNCED

UNITS = st.lists(st.tuples(st.integers(1, 127), st.binary(max_size=511)), max_size=8)


def test_what_a_switch_says() -> None:
    """Chassis, port, time to live, name, end; the padding of short frames is no TLV."""
    assert tlvs(ANNOUNCED + bytes(30)) == (
        Tlv(1, bytes.fromhex("04a0b1c2d3e4f5")),
        Tlv(2, bytes.fromhex("03a0b1c2d3e401")),
        Tlv(3, b"\0\x78"),
        Tlv(5, b"tor-7"),
        Tlv(0, b""),
    )


@given(UNITS, st.binary(max_size=40))
def test_what_was_written_is_read(unit: list[tuple[int, bytes]], padding: bytes) -> None:
    """Whatever TLVs there are, up to their 511 bytes."""
    written = b"".join((kind << 9 | len(value)).to_bytes(2) + value for kind, value in unit)

    assert list(tlvs(written + b"\0\0" + padding)) == [*unit, (0, b"")]


def test_half_a_unit() -> None:
    """A TLV that ends too early is not passed on as if it were whole."""
    with pytest.raises(DecodeError):
        tlvs(ANNOUNCED[:5])

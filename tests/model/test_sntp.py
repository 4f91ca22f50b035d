# SPDX-License-Identifier: Apache-2.0
"""A time server's answers, and what looks like one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent.errors import DecodeError
from agent.model.sntp import answered, question
from tests.responder import time_answer

COOKIE = b"cookies!"
NOW = datetime(2026, 11, 22, 12, 0, 0, 500_000, tzinfo=UTC)


def test_a_question_and_its_answer() -> None:
    """The question is a client's, of 48 bytes; the time comes back to the microsecond."""
    asked = question(COOKIE)

    assert (len(asked), asked[0] & 7, asked[0] >> 3 & 7, asked[40:]) == (48, 3, 4, COOKIE)
    assert abs(answered(time_answer(asked, NOW), COOKIE) - NOW) < timedelta(microseconds=2)


@pytest.mark.parametrize("year", [1970, 2025, 2035, 2037, 2100])
def test_the_counter_comes_round_in_2036(year: int) -> None:
    """Seconds are counted since 1900, and since 2036 again."""
    then = datetime(year, 6, 1, tzinfo=UTC)

    assert answered(time_answer(question(COOKIE), then), COOKIE) == then


@pytest.mark.parametrize(
    ("packet", "told"),
    [
        (time_answer(question(COOKIE), NOW)[:47], "47 bytes"),
        (time_answer(question(b"another!"), NOW), "another question"),
        (question(COOKIE), "another question"),
        (time_answer(question(COOKIE), NOW, first=0xE4), "does not know the time"),
        (time_answer(question(COOKIE), NOW, stratum=0), "does not know the time"),
        (time_answer(question(COOKIE), NOW, stratum=16), "does not know the time"),
    ],
)
def test_no_answer(packet: bytes, told: str) -> None:
    """Cut off, to another question, a question, out of step, a kiss of death (stratum 0), too far from a clock."""
    with pytest.raises(DecodeError, match=told):
        answered(packet, COOKIE)

# SPDX-License-Identifier: Apache-2.0
"""Opening the rescue account: only a hash is taken, and only an account that is there counts as opened."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import AgentError, InputError, NotAsObserved
from agent.host.doors import Host
from agent.host.fake import Effect, FakeHost, FaultPlan, Machine, Tree
from agent.host.fake.doors import FakeClock
from agent.host.rescue import HASH, MARK, ORDER, open_rescue

SHA512 = "$6$rounds=5000$saltsalt$" + "a/." * 28 + "Z0"
HASHES = (
    SHA512,
    "$5$x$" + "b" * 43,
    "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
    "$2b$12$" + "c" * 53,
)


class Obedient(FakeClock):
    """While somebody waits, the ramdisk's unit does what was ordered."""

    def __init__(self, made: Machine) -> None:
        super().__init__(made)
        self._made = made
        self.took: list[bytes] = []

    def wait(self, stop: object, timeout_s: float) -> bool:
        """The account, then the mark."""
        order = self._made.tree.entries.get(ORDER)
        if isinstance(order, bytes):
            self.took.append(order)
            self._made.tree.drop(ORDER)
            self._made.tree.put(MARK, b"")
        self._made.uptime_s += timeout_s
        return False


def opened(password_hash: str, faults: FaultPlan | None = None) -> tuple[Host, Obedient]:
    """In a ramdisk that has the unit."""
    made = Machine.of(Tree.of({}))
    clock = Obedient(made)
    host: Host = replace(FakeHost.of(made, faults), clock=clock)
    open_rescue(host, password_hash)
    return host, clock


@pytest.mark.parametrize("password_hash", HASHES)
def test_hash_is_handed_on(password_hash: str) -> None:
    """The hash comes to whoever makes the account as it is, in a line, and does not stay behind."""
    host, clock = opened(password_hash)

    assert clock.took == [f"{password_hash}\n".encode()]
    assert not host.files.exists(ORDER)


def test_twice_is_once() -> None:
    """An account that is there is there: asked again, nothing is ordered."""
    host, clock = opened(SHA512)
    open_rescue(host, SHA512)

    assert len(clock.took) == 1


def test_nobody_obeys() -> None:
    """Without the unit it fails within a minute, says where to look, and takes its order back."""
    host = FakeHost.with_files({})
    with pytest.raises(NotAsObserved, match="not done after 45 s") as caught:
        open_rescue(host, SHA512)

    assert "bms-rescue.service" in caught.value.hint
    assert not host.files.exists(ORDER)


@pytest.mark.parametrize(
    "text",
    [
        "", "secret", "$6$", "!", "*", "$1$salt$" + "a" * 22, SHA512 + "\n", SHA512 + ":0:0", SHA512 + "\nroot::0:",
        SHA512 + " ", " " + SHA512, "$6$sa:lt$" + "a" * 86, "$6$salt$" + "a" * 85, "$6$" + "s" * 17 + "$" + "a" * 86,
        "$5$salt$" + "é" * 43, "$6$rounds=1e9$salt$" + "a" * 86,
    ],
)  # fmt: skip
def test_what_is_no_hash(text: str) -> None:
    """Whatever could be another field or line of /etc/shadow, or no password at all, is refused and not repeated."""
    host = FakeHost.with_files({})
    with pytest.raises(InputError) as caught:
        open_rescue(host, text)

    assert not text.strip() or text.strip() not in str(caught.value)
    assert not host.machine.tree.entries


@given(st.text(alphabet=st.characters(max_codepoint=0x250), max_size=140))
def test_no_text_breaks_a_line(text: str) -> None:
    """What passes has no sign that means anything in /etc/shadow or to a shell's `read`."""
    for candidate in (text, f"$6$salt${text}", SHA512 + text):
        if HASH.fullmatch(candidate):
            assert not set(candidate) & set(":\n\r\0 !*\\'\"`")


def test_every_fault() -> None:
    """A call that fails is an error of ours; asked again, the account is opened."""
    _, clock = opened(SHA512)
    faults = FaultPlan()
    opened(SHA512, faults)
    for at in range(1, len(faults.calls) + 1):
        made = Machine.of(Tree.of({}))
        clock = Obedient(made)
        with pytest.raises(AgentError):
            open_rescue(replace(FakeHost.of(made, FaultPlan(at=at, effect=Effect.FAIL)), clock=clock), SHA512)
        open_rescue(replace(FakeHost.of(made), clock=clock), SHA512)

        assert MARK in made.tree.entries

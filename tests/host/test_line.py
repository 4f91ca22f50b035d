# SPDX-License-Identifier: Apache-2.0
"""Pieces between two processes, and the open files that go along: who asked for them has them, and nobody else."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import LinkError
from agent.host.line import SIZES, Line, close_all
from agent.host.room import SMALL_BYTES, Room

WITHIN_S = 20.0


@pytest.fixture
def ends() -> Iterator[tuple[Line, Line]]:
    """Both of a line."""
    one, other = socket.socketpair()
    with Line(one, "talking") as here, Line(other, "talking") as there:
        yield here, there


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """One that is open, with a word in it."""
    path = tmp_path / "file"
    path.write_bytes(b"word")
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def test_files_go_along(ends: tuple[Line, Line], file: int) -> None:
    """With their piece, in their order, closed in children, and still open here; the next piece has none."""
    here, there = ends
    here.send(b"head", b"body", WITHIN_S, (file, file))
    here.send(b"next", b"", WITHIN_S)
    found = there.receive_files(WITHIN_S, 2)

    assert found is not None and found[:2] == (b"head", b"body")
    assert [os.pread(fd, 10, 0) for fd in (*found[2], file)] == [b"word"] * 3
    assert not any(os.get_inheritable(fd) for fd in found[2])
    close_all(found[2])
    assert there.receive_files(WITHIN_S, 2, waits=True) == (b"next", b"", ())


def opened() -> set[str]:
    """The files of this process."""
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_files_that_nobody_asked_for(ends: tuple[Line, Line], file: int) -> None:
    """They are nobody's; and more than were asked for end the line. None stays open."""
    here, there = ends
    before = opened()
    here.send(b"head", b"", WITHIN_S, (file,))
    assert there.receive(WITHIN_S) == (b"head", b"")
    assert opened() == before
    here.send(b"head", b"", WITHIN_S, (file, file))
    with pytest.raises(LinkError, match="more than 1 open files"):
        there.receive_files(WITHIN_S, 1)
    assert len(opened()) == len(before) - 1, "the line is closed, and nothing is open"


@pytest.mark.parametrize(
    ("said", "evidence"),
    [
        (SIZES.pack(2, 0) + b"{", "hung up within a piece"),
        (SIZES.pack(1 << 30, 0), "is announced"),
        (b"\x00", "hung up within a piece"),
    ],
)
def test_files_of_a_piece_that_is_none(file: int, said: bytes, evidence: str) -> None:
    """They are closed."""
    here, other = socket.socketpair()
    with here, Line(other, "talking") as there:
        before = opened()
        socket.send_fds(here, [said], [file])
        here.shutdown(socket.SHUT_WR)
        with pytest.raises(LinkError, match=evidence):
            there.receive_files(WITHIN_S, 1)
        assert len(opened()) == len(before) - 1


def test_how_large_a_body_may_be() -> None:
    """As whoever holds the line says: neither sent nor taken beyond."""
    one, other = socket.socketpair()
    with Line(one, "talking", body_bytes=8) as here, Line(other, "talking", body_bytes=4) as there:
        here.send(b"", b"1234", WITHIN_S)
        assert there.receive(WITHIN_S) == (b"", b"1234")
        here.send(b"", b"12345", WITHIN_S)
        with pytest.raises(LinkError, match="5 bytes is announced"):
            there.receive(WITHIN_S)
        with pytest.raises(LinkError, match="9 bytes is too large"):
            here.send(b"", b"123456789", WITHIN_S)


@pytest.mark.commands
def test_who_speaks_is_held() -> None:
    """Not who listens, which is systemd: another process that sends a piece can be ended from here; one of this very
    process is nobody.
    """
    saying = "import socket, sys, time; s = socket.socket(fileno=int(sys.argv[1])); s.sendall(bytes(8)); time.sleep(60)"
    here, there = socket.socketpair()
    with Line(here, "asking", asks_who=True) as line:
        process = subprocess.Popen([sys.executable, "-c", saying, str(there.fileno())], pass_fds=(there.fileno(),))
        try:
            assert line.receive(WITHIN_S) == (b"", b"") and line.speaker is not None
            with line.speaker as speaker:
                assert not speaker.has_ended(0)
                process.send_signal(signal.SIGSTOP)
                assert speaker.kill(WITHIN_S) and speaker.has_ended(0) and speaker.kill(0)
            assert process.wait(WITHIN_S) == -signal.SIGKILL
        finally:
            process.kill()
            process.wait(WITHIN_S)
            there.close()
    here, there = socket.socketpair()
    with Line(here, "asking", asks_who=True) as line, Line(there, "saying") as other:
        other.send(b"myself", b"", WITHIN_S)
        assert line.receive(WITHIN_S) == (b"myself", b"") and line.speaker is None


def test_files_are_no_way_to_stay_unknown(file: int) -> None:
    """Whoever is asked who he is, and sends files that nobody asked for instead, is hung up on; they are closed."""
    here, there = socket.socketpair()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with Line(here, "asking", asks_who=True) as line, Line(there, "saying") as other:
        other.send(b"word", b"", WITHIN_S, (file,))
        with pytest.raises(LinkError, match="open files came along"):
            line.receive(WITHIN_S)
        assert line.speaker is None
    assert len(list(Path("/proc/self/fd").iterdir())) == before - 2


def test_room_that_lines_share() -> None:
    """What came on one is counted until its next piece is asked for, or it is closed; what is small is not counted."""
    large, small = bytes(2 * SMALL_BYTES), bytes(SMALL_BYTES)
    room = Room(3 * SMALL_BYTES)
    pairs = [socket.socketpair() for _ in range(3)]
    ours = [Line(one, "talking", room=room) for one, _ in pairs]
    theirs = [Line(other, "talking") for _, other in pairs]
    for line in theirs:
        line.send(b"", large, WITHIN_S)

    assert ours[0].receive(WITHIN_S) == (b"", large)
    theirs[0].send(b"", small, WITHIN_S)
    with pytest.raises(LinkError, match="no room for 131072 bytes"):
        ours[1].receive(0.1)
    assert ours[0].receive(WITHIN_S) == (b"", small)
    assert ours[2].receive(WITHIN_S) == (b"", large)
    ours[2].close()
    theirs[0].send(b"", large, WITHIN_S)
    assert ours[0].receive(WITHIN_S) == (b"", large)
    for line in (*ours, *theirs):
        line.close()
    assert room.take(3 * SMALL_BYTES, 0.0) and not room.take(2 * SMALL_BYTES, 0.0)

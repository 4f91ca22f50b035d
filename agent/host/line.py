# SPDX-License-Identifier: Apache-2.0
"""A line between two processes of this machine: pieces of bytes over a Unix socket, each a head and a body.

Who is at the other end the kernel says (SO_PEERCRED), not what it writes; who is not trusted is hung up on. A piece has
a bound, and a time within which all of it is there. Nothing here knows what is said.

Several lines may share a room: what is brought on all of them at a time is bounded, too, and who brings more waits.

Open files may go along (SCM_RIGHTS, unix(7)). Who does not ask for them gets none: the kernel closes them.
"""

from __future__ import annotations

import io
import os
import socket
import struct
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Self
from weakref import finalize

from agent.errors import LinkError
from agent.host.room import Room, Share
from agent.host.speaker import Speaker, ask_who_speaks, speaker_of

SIZES = struct.Struct("!II")
CREDENTIALS = struct.Struct("3i")
"""pid, uid, gid (unix(7))."""
FILE = struct.Struct("i")
HEAD_BYTES = 64 * 1024
BODY_BYTES = 32 * 1024 * 1024
CONNECT_S = 10.0
ROOT = 0


class Line:
    """One end. A line on which anything went wrong is closed: what is left of a piece is no beginning of the next."""

    def __init__(
        self,
        connected: socket.socket,
        doing: str,
        body_bytes: int = BODY_BYTES,
        *,
        asks_who: bool = False,
        room: Room | None = None,
    ) -> None:
        """`body_bytes`: the most that a piece's body has, either way; `asks_who`: see `speaker`. `room`: for all that
        comes, beside other lines; it is given back once the next piece is asked for, or the line is closed.
        """
        self._socket = connected
        self._asks_who = asks_who and ask_who_speaks(connected)
        self.speaker: Speaker | None = None
        """Who sent the first piece, if another process did, and the kernel can tell; whoever has it closes it."""
        self._doing = doing
        self._body_bytes = body_bytes
        self._share = Share(room or Room(body_bytes))
        self._close = finalize(self, _closed, connected, self._share)
        """Who is forgotten has hung up, too."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """The other end is told; and so is a thread of ours that waits here."""
        with suppress(OSError):  # it is over already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._close()

    @property
    def is_left(self) -> bool:
        """Whether the other end has hung up, with nothing more to read."""
        try:
            self._socket.settimeout(0)
            return not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def send(self, head: bytes, body: bytes, within_s: float, files: Sequence[int] = ()) -> None:
        """A piece, with these open files, which stay open here, too. Raises `LinkError`."""
        if len(head) > HEAD_BYTES or len(body) > self._body_bytes:
            raise self._broken(f"a piece of {len(head)} and {len(body)} bytes is too large")
        begin = SIZES.pack(len(head), len(body)) + head
        try:
            self._socket.settimeout(within_s)
            sent = socket.send_fds(self._socket, [begin], files) if files else 0
            for rest in filter(None, (begin[sent:], body)):  # who has all of it may have hung up by now
                self._socket.sendall(rest)
        except OSError as error:
            raise self._broken(error.strerror or str(error)) from error

    def receive(self, within_s: float, *, waits: bool = False) -> tuple[bytes, bytes] | None:
        """Head and body, whole within that time, which begins with the first byte if it `waits` for that. None where
        the other end has hung up. Raises `LinkError`.
        """
        found = self._received(within_s, waits=waits, most_files=0)
        return None if found is None else found[:2]

    def receive_files(
        self, within_s: float, most: int, *, waits: bool = False
    ) -> tuple[bytes, bytes, tuple[int, ...]] | None:
        """The same, with the open files that came along, `most` at most: whoever asks closes them. Raises `LinkError`,
        and has then closed them.
        """
        return self._received(within_s, waits=waits, most_files=most)

    def _received(
        self, within_s: float, *, waits: bool, most_files: int
    ) -> tuple[bytes, bytes, tuple[int, ...]] | None:
        end_s = time.monotonic() + within_s
        files: tuple[int, ...] = ()
        self._share.leave()
        try:
            self._socket.settimeout(None if waits else within_s)
            first, files, is_cut = self._first(most_files)
            if not first:
                return None
            if is_cut:
                raise self._broken(f"more than {most_files} open files came along")
            end_s = time.monotonic() + within_s if waits else end_s
            of_head, of_body = SIZES.unpack(first + self._taken(SIZES.size - 1, end_s))
            if of_head > HEAD_BYTES or of_body > self._body_bytes:
                raise self._broken(f"a piece of {of_head} and {of_body} bytes is announced")
            head = self._taken(of_head, end_s)
            if not self._share.take(of_body, end_s - time.monotonic()):
                raise self._broken(f"no room for {of_body} bytes came within {within_s:.0f} s")
            return head, self._taken(of_body, end_s), files
        except TimeoutError as error:
            close_all(files)
            raise self._broken(f"nothing whole came in {within_s:.0f} s") from error
        except OSError as error:
            close_all(files)
            raise self._broken(error.strerror or str(error)) from error
        except LinkError:
            close_all(files)
            raise

    def _first(self, most_files: int) -> tuple[bytes, tuple[int, ...], bool]:
        """A byte, and the files that came with it, if they are asked for; and whether there were more than that."""
        if not most_files and not self._asks_who:
            return self._socket.recv(1), (), False
        room, files = socket.CMSG_LEN(max(most_files, 1) * FILE.size), list[int]()
        # socket.recv_fds leaves out the flag
        first, beside, flags, _ = self._socket.recvmsg(1, room, socket.MSG_CMSG_CLOEXEC)
        for level, kind, data in beside:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                whole = data[: len(data) - len(data) % FILE.size]
                files += [one for (one,) in FILE.iter_unpack(whole)]
            elif self._asks_who and (speaker := speaker_of(level, kind, data)):
                self.speaker, self._asks_who = speaker, False
                ask_who_speaks(self._socket, asks=False)
        is_cut = bool(flags & socket.MSG_CTRUNC) or len(files) > most_files
        return first, tuple(files), is_cut

    def _taken(self, size: int, end_s: float) -> bytes:
        found, left = io.BytesIO(), size  # whose value is no copy
        while left:
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._socket.settimeout(left_s)
            piece = self._socket.recv(min(left, 1 << 20))
            if not piece:
                raise self._broken("the other end hung up within a piece")
            left -= len(piece)
            found.write(piece)
        return found.getvalue()

    def _broken(self, evidence: str) -> LinkError:
        self.close()
        return LinkError(self._doing, evidence)


def _closed(connected: socket.socket, share: Share) -> None:
    connected.close()
    share.leave()


def close_all(files: Sequence[int]) -> None:
    """Of what came along."""
    for one in files:
        with suppress(OSError):
            os.close(one)


def trusted() -> Collection[int]:
    """Root, and whoever runs this process."""
    return {ROOT, os.geteuid()}


def uid_of(connected: socket.socket) -> int:
    """Of the process at the other end, as it was when it connected, or began to listen."""
    return int(CREDENTIALS.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))[1])


def dialled(
    path: str,
    doing: str,
    trusts: Collection[int] | None = None,
    *,
    body_bytes: int = BODY_BYTES,
    asks_who: bool = False,
    room: Room | None = None,
) -> Line:
    """To who listens there, if that is who may. Raises `LinkError`."""
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connected.settimeout(CONNECT_S)
        connected.connect(path)
        if (uid := uid_of(connected)) not in (trusted() if trusts is None else trusts):
            raise LinkError(doing, f"{path} is listened to by user {uid}, who is not trusted")
    except OSError as error:
        connected.close()
        raise LinkError(doing, f"{path}: {error.strerror or error}") from error
    except LinkError:
        connected.close()
        raise
    return Line(connected, doing, body_bytes, asks_who=asks_who, room=room)


def accepted(
    listener: socket.socket, doing: str, trusts: Collection[int] | None = None, *, body_bytes: int = BODY_BYTES
) -> Line | None:
    """Who calls; None if that is nobody within the listener's time, or is not trusted."""
    try:
        connected, _ = listener.accept()
    except (TimeoutError, ConnectionError):
        return None
    if uid_of(connected) in (trusted() if trusts is None else trusts):
        return Line(connected, doing, body_bytes)
    connected.close()
    return None

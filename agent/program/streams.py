# SPDX-License-Identifier: Apache-2.0
"""The three streams that a command is started with: some may be closed, full, or of a terminal without UTF-8.

In: whatever the shell, a unit or a script left open. Out: streams to which anything can be written, and an error where
what was written got lost. A pipe whose reader has had enough is none: Typer ends such a command silently.
"""

from __future__ import annotations

import codecs
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from agent.errors import HostError
from agent.program.printable import printable

LOST = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
ESCAPED = "as-json-escapes"


@contextmanager
def streams() -> Iterator[None]:
    """For as long as the program runs. Raises `HostError` where the standard output takes no more: every other error of
    the system's is told by the door that it happened at.
    """
    opened()
    codecs.register_error(ESCAPED, escaped)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ESCAPED)
    try:
        yield
    except OSError as error:
        if error.errno not in LOST or error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still held back would fail once more, at the very end
        hint = "Send it to where there is room, and where writing is allowed: what has arrived is not all of it."
        raise HostError("writing to the standard output", os.strerror(error.errno or 0), hint=hint) from error


def opened() -> None:
    """Nothing that is opened later, a disk least of all, shall have the number of a stream that is closed now."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8"))


def escaped(error: UnicodeError) -> tuple[str, int]:
    """What an encoding does not have, as JSON writes it: so JSON stays JSON, and people see that something is there."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)), error.end


def tell(text: str) -> None:
    """Say what went wrong, where anybody can be told."""
    with suppress(OSError):
        sys.stderr.write(printable(text))

# SPDX-License-Identifier: Apache-2.0
"""The door to nf_tables: scripts through libnftables, in this process; single elements by messages of our own.

In: a script in nft's language, or the elements that change. Out: nothing, or names. Each call is one transaction of
the kernel: all of it is done, or nothing. It must not decide.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from agent.errors import HostError, ToolMissing
from agent.host import nfnetlink
from agent.model.network import IPAddress

LIBRARY = "libnftables.so.1"
LINE_CHARS = 300
ONE_AT_A_TIME = Lock()
"""The library has tables of its own that it does not guard."""


class RealNftables:
    """`doors.Nftables` over the kernel of this network namespace."""

    def __call__(self, script: str) -> None:
        """As `nft -f` does it, without a process."""
        with ONE_AT_A_TIME, context() as (library, handle), file_of(script) as path:
            if library.nft_run_cmd_from_filename(handle, path.encode()):
                said = library.nft_ctx_get_error_buffer(handle).decode(errors="replace")
                raise HostError("loading a ruleset", complaint(said, path))

    def chains(self, table: str) -> Mapping[str, int]:
        """By a dump of chains alone."""
        return nfnetlink.chains(table)

    def sets(self, table: str) -> tuple[str, ...]:
        """By a dump of sets without their elements."""
        return nfnetlink.sets(table)

    def remove(self, table: str, chains: Sequence[str], sets: Sequence[str]) -> None:
        """By a message for each: first the sets, since maps may lead to chains."""
        messages = [nfnetlink.delete_set(table, name) for name in sets]
        messages += [nfnetlink.delete_chain(table, name) for name in chains]
        nfnetlink.transact(f"clearing table {table}", messages)

    def change(
        self,
        table: str,
        add: Mapping[str, Sequence[IPAddress]],
        remove: Mapping[str, Sequence[IPAddress]],
        rename: tuple[str, str],
    ) -> None:
        """By a message for each set."""
        old, new = rename
        messages = [
            *(one for name, keys in remove.items() for one in nfnetlink.delete_elements(table, name, packed(keys))),
            *(one for name, keys in add.items() for one in nfnetlink.add_elements(table, name, packed(keys))),
        ]
        if old != new:
            messages += [nfnetlink.delete_chain(table, old), nfnetlink.add_chain(table, new)]
        nfnetlink.transact(f"changing the sets of table {table}", messages)


def packed(addresses: Sequence[IPAddress]) -> list[bytes]:
    """As the kernel compares them."""
    return [address.packed for address in addresses]


@cache
def loaded() -> Any:
    """The library. Raises `ToolMissing`."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise ToolMissing("loading a ruleset", f"{LIBRARY} is not installed (package nftables)") from error
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_run_cmd_from_filename.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    for name in ("buffer_output", "buffer_error", "get_error_buffer", "free"):
        getattr(library, f"nft_ctx_{name}").argtypes = [ctypes.c_void_p]
    return library


@contextmanager
def context() -> Iterator[tuple[Any, Any]]:
    """The library and a context for one script: it has a socket of the thread's network namespace."""
    library = loaded()
    handle = library.nft_ctx_new(0)
    if not handle:
        raise HostError("loading a ruleset", f"{LIBRARY} could not begin")
    try:
        library.nft_ctx_buffer_output(handle)
        library.nft_ctx_buffer_error(handle)
        yield library, handle
    finally:
        library.nft_ctx_free(handle)


@contextmanager
def file_of(script: str) -> Iterator[str]:
    """A file in memory: of a script that is none, the library names another line than the wrong one."""
    fd = os.memfd_create("script", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(fd), "w") as file:
            file.write(script)
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def complaint(said: str, path: str) -> str:
    """The library's first error, with the line that it is about."""
    lines = [line.strip().removeprefix(f"{path}:") for line in said.splitlines()]
    lines = [line for line in lines if line and not set(line) <= set("^~ ")]
    first = next((place for place, line in enumerate(lines) if "Error:" in line), 0)
    return ": ".join(line[:LINE_CHARS] for line in lines[first : first + 2]) or "no reason given"

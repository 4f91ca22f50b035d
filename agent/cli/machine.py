# SPDX-License-Identifier: Apache-2.0
"""Which machine a command is about: this one, or a recorded one (`bms-agent --machine`), which is never changed.

Every command opens its doors here but those that stay (`ramdisk`, `service`, `link`, `writer`, `api`, `controller`):
they have no use for a recording, and are refused one.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from agent.errors import InputError, RecordedMachine

if TYPE_CHECKING:
    from agent.host.doors import Files, Host

RECORDED: ContextVar[str | None] = ContextVar("recorded", default=None)
"""Where the recording is, of this process' command line."""
OF_THIS_MACHINE = frozenset({"ramdisk", "service", "link", "writer", "api", "controller"})


def choose(where: str | None, command: str | None) -> None:
    """Remember the command line's word. Raises `InputError` for a command that would act on this machine anyhow."""
    if where is not None and command in OF_THIS_MACHINE:
        raise InputError("reading the command line", f"{command} cannot be run on a recorded machine")
    RECORDED.set(where)


def host(root: str = "/") -> Host:
    """Its doors; of a recorded machine those that look. What is fetched comes from where the operator is. Raises
    `DecodeError`, `InputError`.
    """
    where = RECORDED.get()
    if where is None:
        from agent.host import real

        return real.host(root)
    from dataclasses import replace

    from agent.host.fake.recorded import opened
    from agent.host.fetch import RealFetch

    return replace(opened(where), fetch=RealFetch())


def own_files() -> Files:
    """Files that the operator names: they are not the recorded machine's."""
    from agent.host.files import RealFiles

    return RealFiles()


def must_be_this(doing: str) -> None:
    """For what makes no sense of a recording. Raises `InputError`."""
    if RECORDED.get() is not None:
        raise InputError(doing, "a recorded machine never changes", hint="Leave --machine out, or the option.")


def must_be_real(doing: str) -> None:
    """For what acts: it says so before it begins. (If it did not, the doors would.) Raises `RecordedMachine`."""
    if RECORDED.get() is not None:
        raise RecordedMachine(doing, "this machine is a recording, which cannot be changed")

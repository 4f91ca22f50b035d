# SPDX-License-Identifier: Apache-2.0
"""What is named on the command line: a thing of the controller's, or a file of this machine."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from agent.errors import ConfigError, InputError

NAMELESS = ("", ".", "..")
"""As a part of a path these lead to something else."""
LIMIT_BYTES = 1024 * 1024
ANOTHER = "Name a file that is there, and that you may read."


def escaped(key: str) -> str:
    """A name or id as a part of a path. Raises `InputError`."""
    if key in NAMELESS:
        hint = "Name it by its id or its name: the command's list has them."
        raise InputError("reading the command line", f"{key!r} is the name of nothing", hint=hint)
    return quote(key, safe="")


def bytes_of(path: Path, doing: str) -> bytes:
    """A small file. Raises `ConfigError`."""
    try:
        with path.expanduser().open("rb") as file:
            content = file.read(LIMIT_BYTES + 1)
    except (OSError, RuntimeError) as error:
        raise unread(doing, error) from None
    if len(content) > LIMIT_BYTES:
        raise ConfigError(doing, f"it is larger than {LIMIT_BYTES} bytes", hint=ANOTHER)
    return content


def text_of(path: Path, doing: str) -> str:
    """A small file's text. Raises `ConfigError`."""
    try:
        return bytes_of(path, doing).decode()
    except UnicodeDecodeError as error:
        raise unread(doing, error) from None


def unread(doing: str, error: Exception) -> ConfigError:
    """A file cannot be read, in the words of whoever named it."""
    if isinstance(error, UnicodeDecodeError):
        return ConfigError(doing, "it is no text", hint=ANOTHER)
    told = "there is no such file" if isinstance(error, FileNotFoundError) else getattr(error, "strerror", None)
    return ConfigError(doing, told or str(error), hint=ANOTHER)

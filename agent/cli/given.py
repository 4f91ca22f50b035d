# SPDX-License-Identifier: Apache-2.0
"""Files that the operator names on the command line: the operator's own, also where the machine is a recorded one."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from agent.cli.machine import own_files
from agent.errors import DecodeError, HostError, InputError
from agent.model.frozen import Frozen, decode

Model = TypeVar("Model", bound=Frozen)


def given(path: Path, model: type[Model], hint: str) -> Model:
    """What such a file says. `hint` is where one comes from. Raises `InputError`."""
    doing = f"reading {path}"
    try:
        return decode(model, own_files().read_bytes(str(path.absolute())), doing)
    except DecodeError as error:
        raise InputError(doing, error.evidence, hint=hint) from None
    except HostError as error:
        raise InputError(doing, error.evidence, hint=hint) from None

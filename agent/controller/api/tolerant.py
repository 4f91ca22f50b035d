# SPDX-License-Identifier: Apache-2.0
"""What an agent says is taken from one that is newer than this controller, too: what is not known of it is left out.

An agent tells what it observes, and a field that came later restricts nothing. Were the whole refused for it, a server
that was brought up to date before its controller would fall silent. Orders go the other way and are not read like this.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, ValidationError, WrapValidator


def tolerant(model: type[BaseModel]) -> WrapValidator:
    """For the body of a route, which is one of `model`. What is wrong besides is refused, and told, as ever."""

    def read(said: object, strictly: Callable[[object], object]) -> object:
        if isinstance(said, dict):
            try:
                return model.model_validate(said, extra="ignore")
            except ValidationError:
                pass
        return strictly(said)

    return WrapValidator(read)

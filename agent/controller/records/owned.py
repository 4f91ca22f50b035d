# SPDX-License-Identifier: Apache-2.0
"""What things are called, and whose they are: a project's, or the cloud's own."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from pydantic import Field

from agent.model.frozen import Frozen

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
NAME = re.compile(NAME_PATTERN)
Name = Annotated[str, Field(pattern=NAME_PATTERN, description="letters, digits, '.', '_', '-'; at most 63")]


class Owned(Frozen):
    """What belongs to a project, or to the cloud itself."""

    shared: ClassVar[bool] = False
    """The cloud's own are there for every project to use, not to change."""

    project: Name | None = Field(default=None, description="whose it is; null: the cloud's own")


class SharedOwned(Owned):
    """The same, of a kind whose cloud's own serve everybody."""

    shared: ClassVar[bool] = True

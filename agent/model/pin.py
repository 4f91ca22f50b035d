# SPDX-License-Identifier: Apache-2.0
"""By which an agent knows its controller's certificate authority, told where nobody can meddle with it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Pin = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$", description="digest of an authority's certificate")]

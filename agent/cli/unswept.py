# SPDX-License-Identifier: Apache-2.0
"""A while in which Python looks for no garbage: what a command imports stays to its end, and would be looked through
again and again while more is made, which takes a seventh of a short command.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unswept() -> Iterator[None]:
    """For imports, and for what ends soon. As it was, afterwards."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()

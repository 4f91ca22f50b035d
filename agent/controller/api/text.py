# SPDX-License-Identifier: Apache-2.0
"""What is sent as JSON is text. Python reads half of a surrogate pair, be it written as an escape or as bytes, and then
can neither keep it nor say it: such a body is refused at the door, before anybody looks for what it names.
"""

from __future__ import annotations

import json

from fastapi.exceptions import RequestValidationError

MAY_HOLD = (b"\\ud", b"\xed", b"\0")
"""One of these is in every body that has one: an escape; UTF-8's bytes of it; UTF-16 and UTF-32, which have NULs."""


def must_be_text(body: bytes) -> None:
    """Raises `RequestValidationError`. What is no JSON at all is the business of whoever reads it."""
    small = body.lower()
    if not any(one in small for one in MAY_HOLD):
        return
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        message = "a text in it has half of a surrogate pair, which is no character"
        raise RequestValidationError([{"type": "text", "loc": ("body",), "msg": message}]) from None
    except (ValueError, RecursionError):
        return

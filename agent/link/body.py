# SPDX-License-Identifier: Apache-2.0
"""What a controller answers, ours or Ironic, taken within bounds: whoever is in its place, or it itself gone mad, sends
neither more than fits in memory nor for longer than anybody waits. Packed answers were not asked for: they would be
larger than they look.
"""

from __future__ import annotations

from time import monotonic

import requests
from urllib3.exceptions import HTTPError

from agent.errors import LinkError

LARGEST_BYTES = 32 * 1024 * 1024
"""An order holds a config drive of 64 MiB at most, of which nearly all is empty, packed."""
PIECE_BYTES = 64 * 1024
PLAIN = {"Accept-Encoding": "identity"}


def taken(response: requests.Response, doing: str, within_s: float, most_bytes: int = LARGEST_BYTES) -> bytes:
    """The whole body. Raises `LinkError`."""
    ends_s = monotonic() + within_s
    packed = response.headers.get("Content-Encoding", "identity")
    body = bytearray()
    try:
        if packed != "identity":
            raise LinkError(doing, f"the answer is packed ({packed}), which nobody asked for")
        while piece := response.raw.read1(PIECE_BYTES, decode_content=False):
            body += piece
            if len(body) > most_bytes:
                raise LinkError(doing, f"the answer has more than {most_bytes} bytes")
            if monotonic() > ends_s:
                raise LinkError(doing, f"only {len(body)} bytes of the answer came in {within_s:.0f} s")
    except (HTTPError, OSError) as error:
        response.close()
        raise LinkError(doing, type(error).__name__) from error
    except BaseException:
        response.close()  # what is left of it is no beginning of the next
        raise
    return bytes(body)

# SPDX-License-Identifier: Apache-2.0
"""How an image's server lets us in, in Ironic's words."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from agent.api.ironic.translate import access
from agent.errors import InputError
from agent.model.destination import authorization

URLS = ["https://registry.example/v2/image/blobs/sha256:abc"]


def header(text: str) -> str:
    """As Ironic packs it (ironic/common/image_service.py, `image_request_authorization`)."""
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"image_request_authorization": header("Bearer abc.def-1~2")}, "Bearer abc.def-1~2"),
        ({"image_request_authorization": header("bearer  x")}, "Bearer x"),
        ({"image_request_authorization": header(f"Basic {header('u:p:q')}")}, f"Basic {header('u:p:q')}"),
        ({"image_server_user": "u", "image_server_password": "p"}, f"Basic {header('u:p')}"),
        (
            {"image_server_user": "u", "image_server_password": "p", "image_request_authorization": header("Bearer x")},
            "Bearer x",
        ),
        ({"image_request_authorization": ""}, None),
        ({}, None),
    ],
)
def test_what_is_sent(given: dict[str, Any], sent: str | None) -> None:
    """The whole header comes from Ironic, and goes to the server as it was; no text that is shown has it."""
    found = access({"urls": URLS, **given})

    assert authorization("fetching", found).get("Authorization") == sent
    assert "abc.def" not in repr(found)


@pytest.mark.parametrize("given", ["Bearer s3cret", header("Digest s3cret"), header("Bearer"), header("Basic s3"), 7])
def test_what_cannot_be_sent(given: object) -> None:
    """No base64, another scheme, a header cut off: refused, without a word of it."""
    with pytest.raises(InputError) as caught:
        access({"urls": URLS, "image_request_authorization": given})

    assert "s3cret" not in str(caught.value)

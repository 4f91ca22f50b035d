# SPDX-License-Identifier: Apache-2.0
"""How an image's server lets us in, in Ironic's words."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from agent.api.ironic.fetched import Login, with_login
from agent.api.ironic.translate import access
from agent.errors import InputError
from agent.model.destination import authorization
from agent.model.ironic.options import words_of_options
from agent.model.ironic.parameters import parsed

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


def configured(text: str) -> Login | None:
    """By a configuration file on virtual media."""
    return parsed(words_of_options(text, "ipa.conf")).image_login


BASIC = "[DEFAULT]\nimage_server_auth_strategy = http_basic\nimage_server_user = u\nimage_server_password = p\n"


def test_the_login_of_this_boot() -> None:
    """An image with which Ironic sends no word about it is fetched with user and password of the configuration file;
    Ironic's own word comes first; without the strategy there is none, as for IPA.
    """
    args = {"image_info": {"urls": URLS}, "configdrive": "x"}
    info = with_login(args, configured(BASIC))["image_info"]
    assert authorization("fetching", access(info)).get("Authorization") == f"Basic {header('u:p')}"
    assert args == {"image_info": {"urls": URLS}, "configdrive": "x"}

    for own in ({"image_server_user": "v", "image_server_password": "q"}, {"image_request_authorization": "Bearer x"}):
        mine = {"image_info": {"urls": URLS, **own}}
        assert with_login(mine, configured(BASIC)) == mine
    assert configured(BASIC.replace("http_basic", "noauth")) is None and configured("[DEFAULT]\n") is None
    assert with_login(args, None) == args and with_login({}, ("u", "p")) == {}


def test_half_a_login() -> None:
    """It is named in the step that would need it, and no word of it is shown."""
    half = configured(BASIC.replace("image_server_user = u\n", ""))
    with pytest.raises(InputError, match="user or password is missing") as caught:
        with_login({"image_info": {"urls": URLS}}, half)

    assert "p" not in str(caught.value.evidence).split()

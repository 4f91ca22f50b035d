# SPDX-License-Identifier: Apache-2.0
"""The step `validate_hardware`: its arguments, what it finds, and that no argument makes it write to a disk."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.api.ironic.steps import STEPS, Asked
from agent.errors import InputError
from agent.model.ironic.wire import Node
from agent.model.request import ValidateRequest
from tests.api.ironic.asked import node

STEP = STEPS["deploy.validate_hardware"]


def asked(**args: Any) -> ValidateRequest:
    """The request that comes of these arguments."""
    request = STEP.request(Asked(request_id="r", node=Node.model_validate(node()), args=args))
    assert isinstance(request, ValidateRequest)
    return request


def test_arguments() -> None:
    """As JSON has them; what is left out is as by hand, and what is null is left out."""
    full = json.loads(
        '{"profile": "long", "only": ["cpu"], "tests": null, "settings": {"seconds": 60}, "time_limit": 900}'
    )
    request = asked(**full)

    assert (request.profile, request.parts, request.tests) == ("long", ("cpu",), ())
    assert (request.settings, request.time_limit_s) == ({"seconds": 60}, 900)
    assert asked().profile == "quick" and not STEP.priority


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"profile": "slow"}, "profile: "),
        ({"only": ["gpu"]}, "parts.0: "),
        ({"settings": {"seconds": "long"}}, "settings.seconds: "),
        ({"time_limit": 0}, "time_limit_s: "),
    ],
)
def test_asked_wrongly(args: dict[str, Any], said: str) -> None:
    """The argument is named."""
    with pytest.raises(InputError) as caught:
        asked(**args)
    assert said in str(caught.value)


def test_it_only_reads() -> None:
    """Whatever else comes with the step."""
    request = asked(wipe=True, disks=["S0"], tests=["disk.read"])

    assert not request.wipe and request.disks == ()

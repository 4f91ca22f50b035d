# SPDX-License-Identifier: Apache-2.0
"""Ironic's step `validate_hardware` into a request of ours. Pure. It is no step of IPA's, which has none like it."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from agent.errors import InputError
from agent.model.frozen import faults
from agent.model.ironic.wire import Node
from agent.model.request import ValidateRequest

ARGUMENTS = {
    "profile": "quick (a minute), standard (half an hour) or long (a day)",
    "only": "a list of cpu, memory, disk, network",
    "tests": "a list of tests, in place of the profile's; bms-agent validate --list names them",
    "settings": "an object of what can be set of tests, by test.parameter, or by parameter",
    "time_limit": "seconds of all tests together",
}


def validate_request(request_id: str, node: Node, args: dict[str, Any]) -> ValidateRequest:
    """No disk is ever written to by this step. Raises `InputError`."""
    given = {
        "profile": args.get("profile"),
        "parts": args.get("only"),
        "tests": args.get("tests"),
        "settings": args.get("settings"),
        "time_limit_s": args.get("time_limit"),
    }
    try:
        return ValidateRequest.model_validate(
            {"request_id": request_id, "node_id": node.uuid}
            | {name: value for name, value in given.items() if value is not None}
        )
    except ValidationError as error:
        raise InputError("reading the arguments of validate_hardware", faults(error)) from None

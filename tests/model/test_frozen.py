# SPDX-License-Identifier: Apache-2.0
"""What is said of a value: no default, and nothing that is read otherwise."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from pydantic import Field, SecretStr

from agent.model.frozen import Frozen, Secret, said
from agent.model.protocol import Desired
from tests.formats.said import LINKS, REQUESTS


class Few(Frozen):
    """One of two."""

    few: int = 1


class Many(Frozen):
    """The other."""

    many: int = 1


class Either(Frozen):
    """Whichever; nothing but its fields tells which."""

    kind: Literal["either"] = "either"
    one: Few | Many
    by_name: dict[str, Few] = Field(default_factory=dict)
    secret: Secret = SecretStr("")


@pytest.mark.parametrize("order", REQUESTS, ids=lambda order: str(order["verb"]))
def test_every_order(order: dict[str, Any]) -> None:
    """What is set is said, what is not is not, and the reader has the same order."""
    told = {"generation": 7, "node_id": "node-1", "request": order, "network": {"links": LINKS}}
    desired = Desired.model_validate(told)
    found = said(desired)

    assert Desired.model_validate_json(json.dumps(found)) == desired
    assert found["request"].keys() <= order.keys() and set(order) - set(found["request"]) <= unset(order)
    assert found["network"]["links"] == LINKS


def unset(order: dict[str, Any]) -> set[str]:
    """What an order names as it is by default."""
    return {"method"} if order.get("method") == "zero" else set()


def test_defaults_and_kinds() -> None:
    """Below what has names, too; a kind is always said, and a secret is spelled out."""
    value = Either(one=Few(few=2), by_name={"a": Few(), "b": Few(few=3)}, secret=SecretStr("s"))

    assert said(value) == {"kind": "either", "one": {"few": 2}, "by_name": {"a": {}, "b": {"few": 3}}, "secret": "s"}
    assert said(Few()) == {}


def test_what_would_be_read_as_something_else() -> None:
    """All of it is said then."""
    value = Either(one=Many())

    assert said(value) == value.model_dump(mode="json") and Either.model_validate(said(value)) == value

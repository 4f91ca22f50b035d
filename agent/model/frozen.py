# SPDX-License-Identifier: Apache-2.0
"""What every model is made of: frozen, and with unknown fields refused.

A field that we do not know may carry a restriction ("but keep disk 2"), so an order that holds one is
refused, not trimmed. Acknowledgements carry no orders: a newer controller may add to them (`Reply`).
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, PlainSerializer, SecretStr, ValidationError

from agent.errors import DecodeError

Model = TypeVar("Model", bound=BaseModel)


class Frozen(BaseModel):
    """A value: compared by content, never changed, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")


class Reply(BaseModel):
    """An acknowledgement: fields that a newer sender adds are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


Secret = Annotated[SecretStr, PlainSerializer(lambda secret: secret.get_secret_value(), when_used="json")]
"""A text that prints as stars and is spelled out only on the wire (`mode="json"`)."""


def decode(model: type[Model], text: str | bytes, doing: str) -> Model:
    """Parse JSON `text` into `model`.

    Raises `DecodeError`, which names each wrong field; no other error leaves, whatever the bytes are.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise DecodeError(doing, faults(error)) from None


def faults(error: ValidationError) -> str:
    """One line for all that is wrong, without the input itself: it may hold a secret."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'body'}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False, include_context=False)[:8]
    )

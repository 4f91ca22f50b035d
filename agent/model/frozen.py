# SPDX-License-Identifier: Apache-2.0
"""What every model is made of: frozen, and with unknown fields refused.

A field that we do not know may carry a restriction ("but keep disk 2"), so an order that holds one is
refused, not trimmed. Acknowledgements carry no orders: a newer controller may add to them (`Reply`). Nor does what an
agent tells, which its controller reads so (`controller/api/tolerant.py`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, PlainSerializer, SecretStr, ValidationError
from pydantic.fields import FieldInfo

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


def said(model: BaseModel) -> dict[str, Any]:
    """As JSON, without what is by default so: a reader that is older than a field need not know it where nothing was
    set. A default means the same for ever. What tells kinds apart stays; all of it does where a reader of today would
    read something else.
    """
    full = model.model_dump(mode="json")
    found = _trimmed(model, full)
    try:
        is_same = type(model).model_validate(found) == model
    except ValidationError:
        is_same = False
    return found if is_same and isinstance(found, dict) else full


def _trimmed(value: object, told: Any) -> Any:
    match value, told:
        case BaseModel(), dict() if told.keys() <= type(value).model_fields.keys():
            fields = ((name, type(value).model_fields[name], getattr(value, name)) for name in told)
            return {name: _trimmed(one, told[name]) for name, field, one in fields if not _goes_without(field, one)}
        case tuple() | list(), list() if len(value) == len(told):
            return [_trimmed(*both) for both in zip(value, told, strict=True)]
        case dict(), dict() if len(value) == len(told):
            return {key: _trimmed(one, told[key]) for key, one in zip(told, value.values(), strict=True)}
        case _:
            return told


def _goes_without(field: FieldInfo, value: object) -> bool:
    is_tag = get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1
    return not is_tag and not field.is_required() and value == field.get_default(call_default_factory=True)


def faults(error: ValidationError) -> str:
    """One line for all that is wrong, without the input itself: it may hold a secret."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'body'}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False, include_context=False)[:8]
    )

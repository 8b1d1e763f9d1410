"""Copies of what clients hand in: as if it had come as JSON."""

from __future__ import annotations

import marshal
from typing import cast

from rayrig_core.errors import ApiError
from rayrig_core.objects import Json, JsonObject, Vouched
from rayrig_fakes.kubernetes import status


def own_copy(body: Json) -> JsonObject:
    """A copy of a caller's object in which no part is shared with another part.

    Raises `ApiError` 400 when it is no JSON object.
    """
    if not isinstance(body, dict):
        raise status.bad_request("the object provided is unrecognized: it is not a JSON object")
    return cast(JsonObject, marshal.loads(packed(body)))


def packed(body: JsonObject) -> bytes:
    """Bytes that are equal for equal objects with fields in the same order. Raises `ApiError` 400 for what is no JSON."""
    if type(body) is Vouched:
        body = dict(body)
    try:
        # Version 2 of the format knows no references: what the caller used twice becomes two objects.
        return marshal.dumps(body, 2)
    except ValueError:
        raise _not_json() from None


def _not_json() -> ApiError:
    return status.bad_request("the object provided is unrecognized: it holds values that JSON does not have")

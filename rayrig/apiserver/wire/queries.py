"""Fields of a request from query parameters, as the gateway reads them (`reference/kuberay-apiserver.md` section 2.3)."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping
from decimal import Decimal

from rayrig.apiserver.wire.decoding import INTEGER_RANGES
from rayrig.apiserver.wire.errors import CallError, Code
from rayrig.apiserver.wire.messages import Field, Message, Scalar
from rayrig_core.objects import JsonObject

_WITH_INDEX = re.compile(r"(.*)\[(.*)\]", re.DOTALL)
_GO_INTEGER = re.compile(r"[+-]?[0-9]+")


def decode_query(message: Message, bound: Container[str], query: Mapping[str, list[str]]) -> JsonObject:
    """Fields of a request from its query, in either spelling; those in `bound` (by JSON name) are the path's or the body's.

    Raises `CallError` 3.
    """
    decoded: JsonObject = {}
    for key, given in query.items():
        path, values = key, given
        if found := _WITH_INDEX.fullmatch(key):
            path, values = found.group(1), [found.group(2), *given]
        name, dot, _ = path.partition(".")
        field = message.by_spelling.get(name)
        if field is None or field.json_name in bound:
            continue
        if dot:
            raise CallError(Code.INVALID_ARGUMENT, f'invalid path: "{name}" is not a message')
        if len(values) > 1:
            raise CallError(Code.INVALID_ARGUMENT, f'too many values for field "{field.name}": {", ".join(values)}')
        if value := _parameter(field, values[0]):
            decoded[field.json_name] = value
    return decoded


def _parameter(field: Field, text: str) -> str | int:
    if field.kind is Scalar.STRING:
        return text
    assert field.kind in (Scalar.INT32, Scalar.INT64)
    lowest, highest = INTEGER_RANGES[field.kind]
    if not _GO_INTEGER.fullmatch(text):
        problem = "invalid syntax"
    # `int` refuses texts that are too long.
    elif not lowest <= (number := Decimal(text)) <= highest:
        problem = "value out of range"
    else:
        return int(number)
    raise CallError(
        Code.INVALID_ARGUMENT,
        f'parsing field "{field.name}": strconv.ParseInt: parsing {json.dumps(text, ensure_ascii=False)}: {problem}',
    )

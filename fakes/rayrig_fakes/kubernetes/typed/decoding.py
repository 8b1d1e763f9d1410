"""JSON into objects of a type: a copy with the fields it has, or what does not fit in the server's words (K8-013, K8-017)."""

from __future__ import annotations

import base64
import binascii
import marshal
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

from rayrig_core.objects import Json, JsonObject, copy_json
from rayrig_core.resources.quantities import canonical
from rayrig_fakes.kubernetes.typed.catalogue import FieldType, fields_of, go_name
from rayrig_fakes.kubernetes.typed.times import read_micro_time, read_time

#: Where a value is: (what holds it, field name, index or key, name of the struct whose field it is or ""); None at the root.
Place: TypeAlias = "tuple[Place, str | int, str] | None"
#: Paths of fields the type does not have, in the order they were met.
Unknown: TypeAlias = "list[str]"
_Decode: TypeAlias = Callable[[Any, Place, Unknown], Any]

#: No amount needs an exponent of more than two digits; greater ones take for ever to write out.
_HUGE = re.compile(r".*[eE][+-]?\d{3,}|.{65,}", re.DOTALL)
_QUANTITY = re.compile(r"[+-]?[0-9.]+[eEinumkKMGTP]*[-+]?[0-9]*")
#: Written back as they are, unless the next greater unit says the same.
_SIMPLE = re.compile(r"([1-9][0-9]{0,8})(m|k|M|G|Ki|Mi|Gi|)")
_QUANTITY_WORDS = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
#: Empty lists and maps of these stay; those of others are left out when they are written.
_KEEPS_EMPTY = frozenset(
    (
        "discovery.v1.EndpointSlice",
        "discovery.v1.Endpoint",
        "rbac.v1.Role",
        "rbac.v1.ClusterRole",
        "meta.v1.ManagedFieldsEntry",
    )
)
#: Read by others: a schema is checked, and its parts compiled, as a schema.
_UNTYPED = frozenset((("apiextensions.v1.CustomResourceValidation", "openAPIV3Schema"),))


class Undecodable(Exception):
    """A value does not fit its type; the text is the server's."""


def place_text(place: Place, field: str = "") -> str:
    """`spec.containers[0].imag`."""
    parts: list[str | int] = [field] if field else []
    while place is not None:
        place, part, _ = place
        parts.append(part)
    text = ""
    for part in reversed(parts):
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def json_type(value: Json) -> str:
    """A JSON type as it shows in `cannot unmarshal …`."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "number"


def _misfit(value: Json, type_text: str, place: Place) -> Undecodable:
    found = json_type(value)
    if found == "number" and type_text in ("int32", "int64"):
        found = f"number {value}"
    struct, names = "", []
    while place is not None:
        place, part, owner = place
        if owner:
            struct = struct or owner.rpartition(".")[2]
            names.append(part)
    wanted = go_name(type_text)
    if not struct:
        return Undecodable(f"json: cannot unmarshal {found} into Go value of type {wanted}")
    path = ".".join(str(name) for name in reversed(names))
    return Undecodable(f"json: cannot unmarshal {found} into Go struct field {struct}.{path} of type {wanted}")


def decode(value: Json, type_name: str, unknown: Unknown, *, whole: bool = True) -> JsonObject:
    """A copy of `value` as an object of the type. Fields it does not have are left out and added to `unknown`.

    A `whole` object is as the server writes it out: with the zero values it always writes, without those it never does.
    Raises `Undecodable`.
    """
    decoded: JsonObject = _decoder(type_name, whole)(value, None, unknown)
    return decoded


@lru_cache(maxsize=1024)
def _decoder(type_text: str, whole: bool) -> _Decode:
    if type_text.startswith("[]"):
        return _list_decoder(type_text, whole)
    if type_text.startswith("map"):
        return _map_decoder(type_text, whole)
    if type_text.startswith("string"):
        return _string_decoder(type_text)
    scalar = _SCALARS.get(type_text)
    return scalar if scalar is not None else _struct_decoder(type_text, whole)


#: What needs no look beyond its Python type.
_PLAIN: dict[str, type] = {"string": str, "bool": bool}


def _plain(type_text: str) -> type | None:
    return str if type_text.startswith("string") else _PLAIN.get(type_text)


def _struct_decoder(type_text: str, whole: bool) -> _Decode:
    known = fields_of(type_text)
    #: By field, compiled when first met: the type that needs no look, the decoder, and whether an empty value is left out.
    fields: dict[str, tuple[type | None, _Decode, bool]] = {}
    keeps_empty = type_text in _KEEPS_EMPTY

    def compiled(field: FieldType) -> tuple[type | None, _Decode, bool]:
        kind = "Any" if (type_text, field.name) in _UNTYPED else field.type
        is_container = kind.startswith(("[]", "map"))
        entry = fields[field.name] = (
            _plain(kind),
            _decoder(kind, whole),
            (whole and field.drops_zero) or (is_container and not field.required and not keeps_empty),
        )
        return entry

    #: What is written even when it was not given; a nested one is made anew each time.
    always = [(each.name, _zero_of(each.type)) for each in known.values() if each.always] if whole else []

    def decode_struct(value: Any, place: Place, unknown: Unknown) -> JsonObject:
        if type(value) is not dict:
            raise _misfit(value, type_text, place)
        decoded: JsonObject = {}
        for name, item in value.items():
            entry = fields.get(name)
            if entry is None:
                field = known.get(name)
                if field is None:
                    unknown.append(place_text(place, str(name)))
                    continue
                entry = compiled(field)
            plain, inner, drops_empty = entry
            if type(item) is plain:
                if item or not drops_empty:
                    decoded[name] = item
            elif item is None:
                if known[name].type in ("Time", "MicroTime"):
                    decoded[name] = None
            else:
                part = inner(item, (place, name, type_text), unknown)
                if part or not drops_empty:
                    decoded[name] = part
        for name, zero in always:
            if name not in decoded:
                decoded[name] = copy_json(zero) if zero.__class__ is dict else zero
        return decoded

    return decode_struct


def zero_field(type_name: str, field: str) -> Json:
    """A field of a type as it is written when nothing was said of it."""
    zero = _zero_of(fields_of(type_name)[field].type)
    return copy_json(zero) if isinstance(zero, dict) else zero


@lru_cache(maxsize=512)
def _zero_of(type_text: str) -> Json:
    """The zero value of a scalar or struct as it is written."""
    zero = _zero(type_text)
    if zero is not None:
        return zero
    fields = fields_of(type_text).values()
    return {each.name: _zero_of(each.type) for each in fields if each.always}


def _list_decoder(type_text: str, whole: bool) -> _Decode:
    item_type = type_text[2:]
    plain, inner, zero = _plain(item_type), _decoder(item_type, whole), _zero(item_type)

    def decode_list(value: Any, place: Place, unknown: Unknown) -> list[Any]:
        if type(value) is not list:
            raise _misfit(value, type_text, place)
        decoded: list[Any] = []
        for index, item in enumerate(value):
            if type(item) is plain:
                decoded.append(item)
            elif item is None:
                decoded.append({} if zero is None else zero)
            else:
                decoded.append(inner(item, (place, index, ""), unknown))
        return decoded

    return decode_list


def _map_decoder(type_text: str, whole: bool) -> _Decode:
    item_type = type_text.partition(" ")[2]
    plain, inner, zero = _plain(item_type), _decoder(item_type, whole), _zero(item_type)

    def decode_map(value: Any, place: Place, unknown: Unknown) -> JsonObject:
        if type(value) is not dict:
            raise _misfit(value, type_text, place)
        decoded: JsonObject = {}
        for name, item in value.items():
            if type(item) is plain:
                decoded[name] = item
            elif item is None:
                decoded[name] = {} if zero is None else zero
            else:
                decoded[name] = inner(item, (place, name, ""), unknown)
        return decoded

    return decode_map


def _zero(type_text: str) -> Json:
    """What null stands for inside a list or map; None for an object."""
    if type_text.startswith("string") or type_text == "bytes":
        return ""
    return {"bool": False, "int32": 0, "int64": 0, "float64": 0, "Quantity": "0", "IntOrString": 0}.get(type_text)


def _string_decoder(type_text: str) -> _Decode:
    def decode_string(value: Any, place: Place, unknown: Unknown) -> str:
        if isinstance(value, str):
            return str(value)
        raise _misfit(value, type_text, place)

    return decode_string


def _bool(value: Any, place: Place, unknown: Unknown) -> bool:
    if isinstance(value, bool):
        return value
    raise _misfit(value, "bool", place)


def _integer(type_text: str, bound: int) -> _Decode:
    def decode_integer(value: Any, place: Place, unknown: Unknown) -> int:
        if type(value) is int and -bound <= value < bound:
            return value
        raise _misfit(value, type_text, place)

    return decode_integer


def _number(value: Any, place: Place, unknown: Unknown) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise _misfit(value, "float64", place)


def _bytes(value: Any, place: Place, unknown: Unknown) -> str:
    if not isinstance(value, str):
        raise _misfit(value, "bytes", place)
    # Line breaks inside are allowed, and gone afterwards.
    packed = value.replace("\n", "").replace("\r", "")
    try:
        base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        bad = (i for i, c in enumerate(packed) if not (c.isascii() and c.isalnum()) and c not in "+/=")
        raise Undecodable(f"illegal base64 data at input byte {next(bad, len(packed) // 4 * 4)}") from None
    return packed


def _time(read: Callable[[str], str]) -> _Decode:
    def decode_time(value: Any, place: Place, unknown: Unknown) -> str:
        if not isinstance(value, str):
            raise _misfit(value, "string", place)
        try:
            return read(value)
        except ValueError as problem:
            raise Undecodable(str(problem)) from None

    return decode_time


@lru_cache(maxsize=4096)
def _canonical(value: str) -> str:
    found = _SIMPLE.fullmatch(value)
    if found is not None:
        number, unit = found.groups()
        if int(number) % (1024 if unit.endswith("i") else 1000):
            return value
    return canonical(value)


def _quantity(value: Any, place: Place, unknown: Unknown) -> str:
    text = value.strip() if isinstance(value, str) else "" if isinstance(value, (bool, list, dict)) else str(value)
    if _HUGE.fullmatch(text):
        raise Undecodable(_QUANTITY_WORDS)
    try:
        return _canonical(text)
    except (ValueError, OverflowError, ArithmeticError):
        known_form = _QUANTITY.fullmatch(text) is not None
        raise Undecodable("unable to parse quantity's suffix" if known_form else _QUANTITY_WORDS) from None


def _int_or_string(value: Any, place: Place, unknown: Unknown) -> int | str:
    if isinstance(value, str):
        return str(value)
    if type(value) is int and -(1 << 31) <= value < 1 << 31:
        return value
    raise _misfit(value, "int32", place)


def _any(value: Any, place: Place, unknown: Unknown) -> Any:
    return marshal.loads(marshal.dumps(value, 2)) if isinstance(value, (dict, list)) else value


_SCALARS: dict[str, _Decode] = {
    "bool": _bool,
    "int32": _integer("int32", 1 << 31),
    "int64": _integer("int64", 1 << 63),
    "float64": _number,
    "bytes": _bytes,
    "Time": _time(read_time),
    "MicroTime": _time(read_micro_time),
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "Any": _any,
}

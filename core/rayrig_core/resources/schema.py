"""Structural schemas (Kubernetes API, "Custom resources") in two notations: combinators, and annotated `TypedDict` classes.

A resource of ours is a `TypedDict`: the type checker sees its fields, the value stays the plain JSON object that the API keeps,
and `structural` turns the annotations into the schema the CRD publishes. Types of Kubernetes that Ray resources merely embed are
written with the combinators. Schemas share their parts; whoever holds one must not change it. Modules with such
classes do without postponed annotations, which would hide them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, Required, TypeAlias, get_args, get_origin, is_typeddict

from rayrig_core.objects import Json, JsonObject

Schema: TypeAlias = JsonObject

#: What the schema of a quantity admits: a number with a decimal or binary suffix or an exponent (Kubernetes API, "Quantity").
_DECIMAL = r"(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
QUANTITY_PATTERN = rf"^(\+|-)?{_DECIMAL}(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?{_DECIMAL}))?$"

STR: Schema = {"type": "string"}
BOOL: Schema = {"type": "boolean"}
INT32: Schema = {"type": "integer", "format": "int32"}
INT64: Schema = {"type": "integer", "format": "int64"}
TIME: Schema = {"type": "string", "format": "date-time"}
INT_OR_STRING: Schema = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
QUANTITY: Schema = {**INT_OR_STRING, "pattern": QUANTITY_PATTERN}
ANY_OBJECT: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def with_default(schema: Schema, value: Json) -> Schema:
    """The schema with a default that the API server fills in."""
    return {**schema, "default": value}


def atomic(schema: Schema) -> Schema:
    """An object or map that server-side apply replaces as a whole."""
    return {**schema, "x-kubernetes-map-type": "atomic"}


def array(items: Schema) -> Schema:
    """A list without further promises."""
    return {"type": "array", "items": items}


def atomic_array(items: Schema) -> Schema:
    """A list that server-side apply replaces as a whole."""
    return {"type": "array", "items": items, "x-kubernetes-list-type": "atomic"}


def set_array(items: Schema) -> Schema:
    """A list whose items are unique."""
    return {"type": "array", "items": items, "x-kubernetes-list-type": "set"}


def keyed_array(keys: str, items: Schema) -> Schema:
    """A list of objects merged by the fields named in `keys` (separated by blanks)."""
    return {**array(items), "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys.split()}


def map_of(values: Schema) -> Schema:
    """An object with free keys."""
    return {"type": "object", "additionalProperties": values}


def obj(required: str = "", /, **properties: Schema) -> Schema:
    """An object with these fields; `required` names those that must be there (separated by blanks)."""
    return _object(properties, required.split())


def _object(properties: Mapping[str, Schema], required: list[str]) -> Schema:
    schema: Schema = {"type": "object", "properties": {name: properties[name] for name in sorted(properties)}}
    if required:
        schema["required"] = sorted(required)
    return schema


@dataclass(frozen=True, slots=True)
class Keywords:
    """Schema keywords an annotation adds to the type it annotates."""

    values: JsonObject


@dataclass(frozen=True, slots=True)
class Written:
    """The schema of a type, written out with the combinators."""

    schema: Schema


@dataclass(frozen=True, slots=True)
class OnlyIn:
    """The field exists only in these API versions: `v1alpha1` gets no new fields."""

    versions: frozenset[str]


def only_in(*versions: str) -> OnlyIn:
    """The mark of a field that exists in these versions and no other."""
    return OnlyIn(frozenset(versions))


@dataclass(frozen=True, slots=True)
class RequiredIn:
    """The field must be there in these API versions only."""

    versions: frozenset[str]


def required_in(*versions: str) -> RequiredIn:
    """The mark of a field that must be there in these versions."""
    return RequiredIn(frozenset(versions))


def default(value: Json) -> Keywords:
    """The API server fills in this value."""
    return Keywords({"default": value})


def minimum(value: int) -> Keywords:
    """Smallest value that is admitted."""
    return Keywords({"minimum": value})


def rules(*pairs: tuple[str, str]) -> Keywords:
    """CEL rules, each with the message of its refusal."""
    return Keywords({"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]})


Int32 = Annotated[int, Written(INT32)]
Int64 = Annotated[int, Written(INT64)]
Quantity = Annotated[int | str, Written(QUANTITY)]
Time = Annotated[str, Written(TIME)]

_SCALARS: dict[Any, Schema] = {str: STR, bool: BOOL, int: {"type": "integer"}}


def structural(annotation: Any, version: str = "v1") -> Schema:
    """The structural schema of an annotation, as published in `version`.

    Raises `TypeError` for annotations that have no structural schema.
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        base, *marks = get_args(annotation)
        written = next((mark.schema for mark in marks if isinstance(mark, Written)), None)
        schema = structural(base, version) if written is None else written
        added = [mark.values for mark in marks if isinstance(mark, Keywords)]
        if added:
            schema = dict(schema)
            for keywords in added:
                schema.update(keywords)
        return schema
    if annotation == dict[str, Any]:
        return ANY_OBJECT
    if origin is list:
        return array(structural(get_args(annotation)[0], version))
    if origin is dict:
        return map_of(structural(get_args(annotation)[1], version))
    if origin is Literal:
        return {"type": "string", "enum": list(get_args(annotation))}
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if is_typeddict(annotation):
        return _of_typed_dict(annotation, version)
    raise TypeError(f"no structural schema for {annotation!r}")


def fields_of(type_: Any, version: str) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Fields that a `TypedDict` has in `version`: annotation and its marks, by name."""
    found: dict[str, tuple[Any, tuple[Any, ...]]] = {}
    for name, annotation in type_.__annotations__.items():
        if get_origin(annotation) in (Required, NotRequired):
            annotation = get_args(annotation)[0]
        marks: tuple[Any, ...] = annotation.__metadata__ if get_origin(annotation) is Annotated else ()
        if not any(isinstance(mark, OnlyIn) and version not in mark.versions for mark in marks):
            found[name] = annotation, marks
    return found


def _of_typed_dict(type_: Any, version: str) -> Schema:
    properties: dict[str, Schema] = {}
    required: list[str] = []
    for name, (annotation, marks) in fields_of(type_, version).items():
        properties[name] = structural(annotation, version)
        if name in type_.__required_keys__ or any(
            isinstance(mark, RequiredIn) and version in mark.versions for mark in marks
        ):
            required.append(name)
    return _object(properties, required)

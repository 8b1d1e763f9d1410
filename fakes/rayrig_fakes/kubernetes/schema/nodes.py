"""Compiled schemas: each node prunes, defaults and validates its value in place, in one pass."""

from __future__ import annotations

import marshal
from typing import Any, TypeAlias

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.metadata_fields import METADATA_FIELDS
from rayrig_fakes.kubernetes.schema.embedded import coerce
from rayrig_fakes.kubernetes.schema.embedded import problems as embedded_problems
from rayrig_fakes.kubernetes.schema.values import Check, checks_of
from rayrig_fakes.kubernetes.status import Cause

#: Where a value is: (path of what holds it, field name or index); None at the root. Rendered only when something is wrong.
Path: TypeAlias = "tuple[Path, str | int] | None"

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "object": (dict,),
    "array": (list,),
}
_EMBEDDED: tuple[str, ...] = ("apiVersion", "kind", "metadata")


#: Greatest whole number that a float holds exactly.
_EXACT = (1 << 53) - 1


def _is_huge(value: int) -> bool:
    """No 64 bits hold it: it was read as a number with a fraction."""
    return not -(1 << 63) <= value < 1 << 63


class Key(str):
    """Key of a map, which shows in brackets."""

    __slots__ = ()


def render(path: Path) -> str:
    """`spec.ports[0].name`."""
    parts: list[str | int] = []
    while path is not None:
        path, part = path
        parts.append(part)
    text = ""
    for part in reversed(parts):
        if isinstance(part, (int, Key)):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def type_name(value: Json) -> str:
    """JSON type as it shows in messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    return "array" if isinstance(value, list) else "object"


class SchemaNode:
    """One node of a structural schema. Parts are compiled when a value first visits them."""

    __slots__ = (
        "_additional",
        "_alternatives",
        "_checks",
        "_children",
        "_defaults",
        "_embedded",
        "_items",
        "_keys",
        "_prunes",
        "_required",
        "_schema",
        "_structural",
        "_types",
        "default",
        "nullable",
        "plain",
    )

    def __init__(self, schema: JsonObject, *, structural: bool = True) -> None:
        """`structural` is False inside `anyOf` and the like, where nothing is pruned or defaulted."""
        self._schema = schema
        self._structural = structural
        name = schema.get("type")
        self.nullable = bool(schema.get("nullable"))
        if schema.get("x-kubernetes-int-or-string"):
            self._types: tuple[type, ...] = (int, str)
        else:
            self._types = _TYPES.get(str(name), ())
        checks = checks_of(schema)
        self._checks: tuple[Check, ...] = checks
        self._alternatives = _alternatives(schema)
        #: A value of exactly this type needs no further look.
        self.plain: type | None = None
        if len(self._types) == 1 and self._types[0] in (str, bool, int) and not checks and not self._alternatives:
            self.plain = self._types[0]
        self.default: bytes | None = None
        if structural and schema.get("default") is not None:
            self.default = marshal.dumps(schema["default"], 2)
        self._required: tuple[str, ...] = tuple(schema.get("required") or ())
        self._children: dict[str, SchemaNode | None] = {}
        self._additional: SchemaNode | None = None
        self._items: SchemaNode | None = None
        self._defaults: list[tuple[str, SchemaNode]] = []
        self._embedded = embedded = bool(schema.get("x-kubernetes-embedded-resource"))
        self._prunes = (
            structural
            and name == "object"
            and not schema.get("x-kubernetes-preserve-unknown-fields")
            and schema.get("additionalProperties") in (None, False)
        )
        properties = schema.get("properties")
        if properties and structural:
            for field, part in properties.items():
                if part.get("default") is not None:
                    self._defaults.append((field, self._compile(field, part)))
        additional = schema.get("additionalProperties")
        if isinstance(additional, dict):
            self._additional = SchemaNode(additional, structural=structural)
        self._keys: tuple[str, ...] | None = None
        if schema.get("x-kubernetes-list-type") == "map":
            self._keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        if embedded:
            self._required = tuple(dict.fromkeys((*self._required, "apiVersion", "kind")))
            for field in _EMBEDDED:
                if field == "metadata" or not properties or field not in properties:
                    self._children[field] = _EMBEDDED_METADATA if field == "metadata" else _EMBEDDED_STRING

    @property
    def schema(self) -> JsonObject:
        """What it was compiled from."""
        return self._schema

    def _compile(self, field: str, schema: JsonObject) -> SchemaNode:
        node = self._children[field] = SchemaNode(schema, structural=self._structural)
        return node

    def child(self, field: str) -> SchemaNode | None:
        """Node of a property; None when there is none of that name."""
        try:
            return self._children[field]
        except KeyError:
            part = (self._schema.get("properties") or {}).get(field)
            if part is None:
                self._children[field] = None
                return None
            return self._compile(field, part)

    def admit(self, value: Json, path: Path, causes: list[Cause]) -> None:
        """Prune and default `value` in place, and add to `causes` what is wrong with it. A null in a field that
        admits none is dropped like an unknown field."""
        kind = type(value)
        if kind is self.plain and not (kind is int and _is_huge(value)):
            return
        types = self._types
        if types and (kind not in types or (kind is int and _is_huge(value))) and not self._admits_whole_number(value):
            self._refuse_type(value, path, causes)
        elif kind is dict:
            self._admit_object(value, path, causes)
        elif kind is list:
            self._admit_list(value, path, causes)
        for check in self._checks:
            cause = check(value, lambda: render(path))
            if cause is not None:
                causes.append(cause)
        if self._alternatives:
            self._check_alternatives(value, path, causes)

    def _admits_whole_number(self, value: Json) -> bool:
        """2.0 is an integer, as far as such numbers are exact; greater ones are numbers."""
        if isinstance(value, float):
            return int in self._types and value.is_integer() and abs(value) <= _EXACT
        return type(value) is int and float in self._types

    def _refuse_type(self, value: Json, path: Path, causes: list[Cause]) -> None:
        at = render(path)
        schema = self._schema
        wanted, found = str(schema.get("type", "")), type_name(value)
        if schema.get("x-kubernetes-int-or-string"):
            wanted = "integer,string"
        elif wanted == "integer" and type(value) in (int, float):
            form, found = schema.get("format"), "number"
            if form in ("int32", "int64"):
                wanted, found = form, "float64"
            causes.append(status.wrong_type(at, found, f'{at} in body must be of type {wanted}: "{found}"'))
            text = f"with format {form}" if found == "float64" else "(default format)"
            causes.append(status.invalid_value("<nil>", "", f"Checked value must be of type integer {text} in {at}"))
            return
        causes.append(status.wrong_type(at, found, f'{at} in body must be of type {wanted}: "{found}"'))

    def admit_fields(self, value: JsonObject, settled: JsonObject, causes: list[Cause]) -> None:
        """As `admit` for an object at the root of which the fields in `settled` are known to be good and left out."""
        self._admit_object(value, None, causes, settled)
        for check in self._checks:
            cause = check(value, str)
            if cause is not None:
                causes.append(cause)
        if self._alternatives:
            self._check_alternatives({**settled, **value}, None, causes)

    def _admit_object(
        self, value: JsonObject, path: Path, causes: list[Cause], settled: JsonObject | None = None
    ) -> None:
        for field, node in self._defaults:
            if settled and field in settled:
                continue
            present = value.get(field)
            if present is None and (field not in value or not node.nullable):
                assert node.default is not None
                value[field] = marshal.loads(node.default)
        children, prunes, additional = self._children, self._prunes, self._additional
        unwanted: list[str] = []
        for field, item in value.items():
            try:
                node_or_none = children[field]
            except KeyError:
                node_or_none = self.child(field)
            if node_or_none is None:
                if additional is None:
                    if prunes:
                        unwanted.append(field)
                    continue
                node_or_none = additional
            if item is None:
                if self._structural and not node_or_none.nullable:
                    unwanted.append(field)
                continue
            if type(item) is not node_or_none.plain or type(item) is int:
                node_or_none.admit(item, (path, field), causes)
        for field in unwanted:
            del value[field]
        for field in self._required:
            if settled and field in settled:
                continue
            if field not in value:
                causes.append(status.required(render((path, field))))
        if self._embedded:
            causes += embedded_problems(value, render(path))

    def nulls(self, value: Json, path: Path, causes: list[Cause]) -> None:
        """Add what is wrong with nulls that no default takes the place of, where they are not dropped: in what an applied
        configuration makes."""
        if isinstance(value, dict):
            for field, item in value.items():
                node = self.child(field) or self._additional
                if node is None or (item is None and self._embedded and field == "metadata"):
                    continue
                if item is not None:
                    node.nulls(item, (path, field), causes)
                elif node._types and not node.nullable and node.default is None:
                    node._refuse_type(item, (path, field), causes)
        elif isinstance(value, list) and isinstance(items := self._schema.get("items"), dict):
            node = self._items = self._items or SchemaNode(items, structural=self._structural)
            for index, item in enumerate(value):
                if item is not None:
                    node.nulls(item, (path, index), causes)
                elif node._types and not node.nullable:
                    node._refuse_type(item, (path, index), causes)

    def _admit_list(self, value: list[Json], path: Path, causes: list[Cause]) -> None:
        node = self._items
        if node is None:
            items = self._schema.get("items")
            if not isinstance(items, dict):
                return
            node = self._items = SchemaNode(items, structural=self._structural)
        for index, item in enumerate(value):
            if item is None:
                if not node.nullable and node._types:
                    node._refuse_type(item, (path, index), causes)
            elif type(item) is not node.plain:
                node.admit(item, (path, index), causes)
        if self._schema.get("x-kubernetes-list-type") == "set" or self._schema.get("uniqueItems"):
            for index, item in enumerate(value):
                # Each value is spoken of once, where it comes for the second time.
                if value[:index].count(item) == 1:
                    causes.append(status.duplicate(render((path, index)), item))
        elif self._keys is not None:
            self._check_keys(value, path, causes)

    def _check_keys(self, value: list[Json], path: Path, causes: list[Cause]) -> None:
        keys = self._keys or ()
        seen: list[JsonObject] = []
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                text = "must be an object for an array of list-type map"
                causes.append(status.invalid_value(render((path, index)), item, text))
                continue
            identity = {key: item[key] for key in keys if key in item}
            if seen.count(identity) == 1:
                causes.append(status.duplicate(render((path, index)), identity))
            seen.append(identity)

    def _check_alternatives(self, value: Json, path: Path, causes: list[Cause]) -> None:
        kind = type(value)
        for keyword, nodes in self._alternatives:
            is_plain = keyword == "anyOf" and any(kind is node.plain for node in nodes)
            if is_plain and not (kind is int and _is_huge(value)):
                # As in `admit`, one of them has nothing against it: most often an amount, which may be a text.
                continue
            failures: list[list[Cause]] = []
            for node in nodes:
                found: list[Cause] = []
                node.admit(value, path, found)
                failures.append(found)
            good = sum(1 for found in failures if not found)
            text = ""
            if keyword == "allOf":
                if good != len(failures):
                    text = "must validate all the schemas (allOf)" + ("" if good else ". None validated")
                    causes += [cause for found in failures for cause in found]
            elif keyword == "anyOf":
                text = "" if good else "must validate at least one schema (anyOf)"
            elif keyword == "oneOf":
                if good != 1:
                    found_text = "Found none valid" if not good else f"Found {good} valid alternatives"
                    text = f"must validate one and only one schema (oneOf). {found_text}"
            elif good:
                text = "must not validate the schema (not)"
            if text:
                causes.append(status.invalid_value("<nil>", "", f'"{render(path)}" {text}'))
                if keyword in ("anyOf", "oneOf") and not good:
                    # Of the alternatives the one that came nearest is explained.
                    nearest: list[Cause] = min(failures, key=_distance)
                    causes += nearest

    def coerce_embedded(self, value: Json, unknown: list[str], path: Path = None) -> None:
        """As `embedded.coerce`, of all embedded objects. Raises `Undecodable`."""
        if isinstance(value, dict):
            if self._embedded:
                coerce(value, render(path), unknown)
            for field, item in value.items():
                node = self.child(field) or self._additional
                if node is not None and isinstance(item, (dict, list)):
                    node.coerce_embedded(item, unknown, (path, field))
        elif isinstance(value, list) and isinstance(self._schema.get("items"), dict):
            if self._items is None:
                self._items = SchemaNode(self._schema["items"], structural=self._structural)
            for index, item in enumerate(value):
                self._items.coerce_embedded(item, unknown, (path, index))

    def unknown_fields(self, value: Json, path: Path = None) -> list[str]:
        """Paths of the fields `admit` would prune, for fieldValidation (K8-017)."""
        found: list[str] = []
        if isinstance(value, dict):
            for field, item in value.items():
                if self._embedded and field == "metadata":
                    continue
                node = self.child(field) or self._additional
                if node is not None:
                    found += node.unknown_fields(item, (path, field))
                elif self._prunes:
                    found.append(render((path, field)))
        elif isinstance(value, list) and isinstance(self._schema.get("items"), dict):
            if self._items is None:
                self._items = SchemaNode(self._schema["items"], structural=self._structural)
            for index, item in enumerate(value):
                found += self._items.unknown_fields(item, (path, index))
        return found

    def prune(self, value: Json) -> None:
        """Take out, in place, the fields that the schema does not know; nothing is defaulted or checked."""
        if isinstance(value, dict):
            for field in list(value):
                if self._embedded and field == "metadata":
                    continue
                node = self.child(field) or self._additional
                if node is not None:
                    node.prune(value[field])
                elif self._prunes:
                    del value[field]
        elif isinstance(value, list) and isinstance(self._schema.get("items"), dict):
            if self._items is None:
                self._items = SchemaNode(self._schema["items"], structural=self._structural)
            for item in value:
                self._items.prune(item)


def _alternatives(schema: JsonObject) -> tuple[tuple[str, tuple[SchemaNode, ...]], ...]:
    found = []
    for keyword in ("allOf", "anyOf", "oneOf", "not"):
        parts = schema.get(keyword)
        if parts is None:
            continue
        listed: list[Any] = parts if isinstance(parts, list) else [parts]
        found.append((keyword, tuple(SchemaNode(part, structural=False) for part in listed)))
    return tuple(found)


def _distance(causes: list[Cause]) -> int:
    return sum(1 for cause in causes if cause.field != "<nil>")


def has_embedded(schema: Json) -> bool:
    """Whether objects are embedded anywhere in what a schema describes."""
    if isinstance(schema, dict):
        return bool(schema.get("x-kubernetes-embedded-resource")) or any(map(has_embedded, schema.values()))
    return isinstance(schema, list) and any(map(has_embedded, schema))


def has_rules(schema: Json) -> bool:
    """Whether CEL rules occur anywhere in a schema."""
    if isinstance(schema, dict):
        return "x-kubernetes-validations" in schema or any(has_rules(part) for part in schema.values())
    if isinstance(schema, list):
        return any(has_rules(part) for part in schema)
    return False


_EMBEDDED_STRING = SchemaNode({"type": "string"})
_EMBEDDED_METADATA = SchemaNode(
    {
        "type": "object",
        "properties": {field: {"x-kubernetes-preserve-unknown-fields": True} for field in METADATA_FIELDS},
    }
)

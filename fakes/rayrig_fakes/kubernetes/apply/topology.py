"""How the parts of an object merge: field by field, item by item, or as a whole.

A `Place` stands for one place in all objects of a kind. Places are made when they are first met and then kept, so that what is
known of them, and what was worked out for objects of one shape, is found again.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes.typed.catalogue import FieldType, atomic_types, fields_of

#: `atomic`: owned and replaced whole; `set`: by value; `map`: by key fields.
ListKind: TypeAlias = Literal["atomic", "set", "map"]

#: What an absent key field of a built-in list stands for.
_KEY_DEFAULTS = {"protocol": "TCP"}
_SCALARS = frozenset(("bool", "int32", "int64", "float64", "bytes", "Time", "MicroTime", "Quantity", "IntOrString"))
_SCHEMA_SCALARS = frozenset(("string", "integer", "number", "boolean"))
#: A FieldsV1 tree in which nothing lies below. Shared by many trees, which nobody changes.
LEAF: JsonObject = {}
#: Not there.
ABSENT: Any = object()
#: Nobody owns these, and nobody owns the root and `metadata` themselves.
UNOWNED_AT_ROOT = frozenset(("apiVersion", "kind"))
UNOWNED_IN_METADATA = frozenset(
    (
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "managedFields",
    )
)
_NOTHING: frozenset[str] = frozenset()
#: Shapes and item keys kept of one place. There are few of them where they are worth keeping.
_KEPT_PLANS, _KEPT_STEPS, _LONGEST_PLAN = 64, 2048, 64


class Plan(NamedTuple):
    """What an object with certain fields owns at a place."""

    #: Complete, but for what lies below the fields of `below`.
    template: JsonObject
    #: Step, field and place of fields that may have others below them.
    below: tuple[tuple[str, str, Place], ...]
    #: The same of those which an empty object has, too.
    present: tuple[tuple[str, str, Place], ...]


class Place:
    """One place. This one is of no known type: maps merge field by field, lists are replaced."""

    __slots__ = ("_item", "_key", "_steps", "empty", "is_atomic", "is_scalar", "keys", "list_kind", "plans", "unowned")

    def __init__(
        self,
        *,
        is_atomic: bool = False,
        list_kind: ListKind = "atomic",
        keys: JsonObject | None = None,
        empty: Json = ABSENT,
        unowned: frozenset[str] = _NOTHING,
    ) -> None:
        #: An object here is owned and replaced as a whole.
        self.is_atomic = is_atomic
        self.is_scalar = False
        self.list_kind: ListKind = list_kind
        #: Key fields of a list of kind `map`, with the value that an absent one stands for (None: must be there).
        self.keys = keys or {}
        self._key = next(iter(self.keys)) if len(self.keys) == 1 else None
        #: What an empty object of the kind has here: nobody makes it, nor the place itself.
        self.empty = empty
        #: Fields nobody owns. Where there are some, nobody owns the place itself.
        self.unowned = unowned
        self._item: Place | None = None
        #: By the names of fields, as far as they were met. Of no use where objects are atomic: none are made there.
        self.plans: dict[tuple[str, ...], Plan] = {}
        self._steps: dict[Any, str] = {}

    def field(self, name: str) -> Place:
        return UNKNOWN

    def declares(self, name: str) -> bool:
        """A field of that name is spoken of; others are keys of a map, which are owned with all that is below them."""
        return False

    def _make_item(self) -> Place:
        return UNKNOWN

    @property
    def item(self) -> Place:
        """An item of the list here."""
        found = self._item
        if found is None:
            found = self._item = self._make_item()
        return found

    def step(self, item: Json) -> str:
        """The step to an item of the list here, of kind `map` or `set`."""
        if self.list_kind == "set" or item.__class__ is not dict:
            return f"v:{text(item)}"
        key = self._key
        values: Any = item.get(key) if key is not None else tuple([item.get(name) for name in self.keys])
        try:
            found = self._steps.get(values)
        except TypeError:
            return self._step_text(item)
        if found is None:
            if len(self._steps) >= _KEPT_STEPS:
                self._steps.clear()
            found = self._steps[values] = self._step_text(item)
        return found

    def _step_text(self, item: JsonObject) -> str:
        keys = {name: item.get(name, default) for name, default in self.keys.items()}
        return f"k:{text({name: value for name, value in keys.items() if value is not None})}"

    def plan(self, value: JsonObject) -> Plan:
        """For an object, not empty, that is here and not atomic."""
        names = tuple(value)
        found = self.plans.get(names)
        if found is None:
            found = self._make_plan(names)
            if len(names) <= _LONGEST_PLAN:
                if len(self.plans) >= _KEPT_PLANS:
                    self.plans.clear()
                self.plans[names] = found
        return found

    def _make_plan(self, names: tuple[str, ...]) -> Plan:
        template: JsonObject = {} if self.unowned or self.empty is not ABSENT else {".": LEAF}
        below: list[tuple[str, str, Place]] = []
        present: list[tuple[str, str, Place]] = []
        for name in sorted(names):
            if name in self.unowned:
                continue
            step, place = f"f:{name}", self.field(name)
            template[step] = LEAF
            if place.empty is not ABSENT:
                present.append((step, name, place))
            elif not place.is_scalar:
                below.append((step, name, place))
        return Plan(template, tuple(below), tuple(present))


def text(value: Json) -> str:
    """A value or keys as they show in a step."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


UNKNOWN = Place()
_SCALAR = Place()
_SCALAR.is_scalar = True


# Built-in kinds


class StructPlace(Place):
    """Of a struct of the catalogue."""

    __slots__ = ("_fields", "_type")

    def __init__(
        self,
        type_name: str,
        *,
        is_atomic: bool = False,
        empty: Json = ABSENT,
        unowned: frozenset[str] = _NOTHING,
    ) -> None:
        super().__init__(is_atomic=is_atomic or type_name in atomic_types(), empty=empty, unowned=unowned)
        self._type = type_name
        self._fields: dict[str, Place] = {}

    def field(self, name: str) -> Place:
        found = self._fields.get(name)
        if found is None:
            kind = fields_of(self._type).get(name)
            if kind is None:
                return UNKNOWN
            empty = self.empty.get(name, ABSENT) if self.empty.__class__ is dict else ABSENT
            if name == "metadata" and self.unowned is UNOWNED_AT_ROOT:
                found = StructPlace(kind.type, empty=empty, unowned=UNOWNED_IN_METADATA)
            else:
                found = _typed(kind, empty)
            self._fields[name] = found
        return found

    def declares(self, name: str) -> bool:
        return name in fields_of(self._type)


class MapPlace(Place):
    """Of a map with values of one type, or of a list with items of one type."""

    __slots__ = ("_inner",)

    def __init__(
        self,
        inner: str,
        *,
        is_atomic: bool = False,
        list_kind: ListKind = "atomic",
        keys: JsonObject | None = None,
        empty: Json = ABSENT,
    ) -> None:
        super().__init__(is_atomic=is_atomic, list_kind=list_kind, keys=keys, empty=empty)
        self._inner = inner

    def _make_item(self) -> Place:
        return _typed(FieldType("", self._inner), ABSENT)

    def field(self, name: str) -> Place:
        return self.item


def _typed(kind: FieldType, empty: Json) -> Place:
    type_text = kind.type
    if type_text.startswith("[]"):
        if kind.list_keys is None:
            return MapPlace(type_text[2:], empty=empty)
        keys = {name: _KEY_DEFAULTS.get(name) for name in kind.list_keys}
        return MapPlace(type_text[2:], list_kind="map" if keys else "set", keys=keys, empty=empty)
    if type_text.startswith("map"):
        return MapPlace(type_text.partition(" ")[2], is_atomic=kind.atomic, empty=empty)
    if type_text in _SCALARS or type_text.startswith("string"):
        return _SCALAR if empty is ABSENT else _scalar(empty)
    if type_text == "Any":
        # Nobody looks into it.
        return Place(is_atomic=True, empty=empty)
    return StructPlace(type_text, is_atomic=kind.atomic, empty=empty)


def _scalar(empty: Json) -> Place:
    place = Place(empty=empty)
    place.is_scalar = True
    return place


@lru_cache(maxsize=512)
def builtin_root(type_name: str) -> Place:
    """Root of the objects of a type of the catalogue; "" for a kind that is not in it."""
    if not type_name:
        return CustomRoot({})
    return StructPlace(type_name, empty=_empty(type_name), unowned=UNOWNED_AT_ROOT)


def _empty(type_name: str) -> JsonObject:
    """An object of which nothing is given, as it is written."""
    found: JsonObject = {}
    for field in fields_of(type_name).values():
        kind = field.type
        if kind.startswith(("[]", "map")):
            if field.required and not field.atomic:
                found[field.name] = None
        elif kind in ("Time", "MicroTime"):
            # Where null is written at all, it is for a time that was not given.
            found[field.name] = None
        elif kind == "Any":
            if field.always or field.required:
                found[field.name] = None
        elif not field.always:
            continue
        elif kind.startswith("string") or kind == "bytes":
            found[field.name] = ""
        elif kind in _SCALARS:
            found[field.name] = {"bool": False, "Quantity": "0"}.get(kind, 0)
        else:
            found[field.name] = _empty(kind)
    return found


# Custom resources


class SchemaPlace(Place):
    """By the schema; where it says nothing, maps are granular and lists atomic."""

    __slots__ = ("_additional", "_fields", "_schema")

    def __init__(self, schema: JsonObject) -> None:
        kind = schema.get("x-kubernetes-list-type")
        list_kind: ListKind = kind if kind in ("set", "map") else "atomic"
        properties = (schema.get("items") or {}).get("properties") or {}
        names = schema.get("x-kubernetes-list-map-keys") or ()
        super().__init__(
            is_atomic=schema.get("x-kubernetes-map-type") == "atomic",
            list_kind=list_kind,
            keys={name: (properties.get(name) or {}).get("default") for name in names},
        )
        self.is_scalar = schema.get("type") in _SCHEMA_SCALARS
        self._schema = schema
        self._fields: dict[str, Place] = {}
        self._additional: Place | None = None

    def field(self, name: str) -> Place:
        found = self._fields.get(name)
        if found is None:
            schema = (self._schema.get("properties") or {}).get(name)
            if schema is None:
                return self._other()
            found = self._fields[name] = SchemaPlace(schema)
        return found

    def declares(self, name: str) -> bool:
        return name in self._fields or name in (self._schema.get("properties") or {})

    def _other(self) -> Place:
        if self._additional is None:
            schema = self._schema.get("additionalProperties")
            self._additional = SchemaPlace(schema) if isinstance(schema, dict) else UNKNOWN
        return self._additional

    def _make_item(self) -> Place:
        schema = self._schema.get("items")
        return SchemaPlace(schema) if isinstance(schema, dict) else UNKNOWN


class CustomRoot(SchemaPlace):
    """Root of a custom resource: its metadata merges as everybody's does."""

    __slots__ = ()

    def __init__(self, schema: JsonObject) -> None:
        super().__init__(schema)
        self.unowned = UNOWNED_AT_ROOT
        self.empty = {}
        self._fields["metadata"] = _metadata()


@lru_cache(maxsize=1)
def _metadata() -> Place:
    return StructPlace("meta.v1.ObjectMeta", empty={}, unowned=UNOWNED_IN_METADATA)

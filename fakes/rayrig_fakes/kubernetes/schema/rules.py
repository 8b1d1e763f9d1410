"""CEL rules (`x-kubernetes-validations`) of a schema, on the values they stand at (`kubernetes-api.md` section 4; K8-039).

A rule that speaks of `oldSelf` is checked only where there is an old value. Rules of the forms that `small_rules` knows are
evaluated by plain functions; others by the CEL library, which is imported when the first of them is compiled.
"""

from __future__ import annotations

import marshal
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.schema.cel_errors import RuleError
from rayrig_fakes.kubernetes.schema.cel_library import compile_with_library
from rayrig_fakes.kubernetes.schema.cel_rewriting import rewritten
from rayrig_fakes.kubernetes.schema.escaping import escaped
from rayrig_fakes.kubernetes.schema.nodes import Key, Path, render, type_name
from rayrig_fakes.kubernetes.schema.small_rules import compile_small
from rayrig_fakes.kubernetes.status import Cause

#: From `self` and `oldSelf` to the outcome. Raises `RuleError`.
Program = Callable[[Json, Json], Any]
_MARK = b"x-kubernetes-validations"
_OLD_SELF = re.compile(r"\boldSelf\b")
_QUOTED_KEY = re.compile(r"\['([^']*)'\]")


@lru_cache(maxsize=1024)
def program(rule: str, optional_old: bool = False) -> Program:
    """Compiled once per text. Raises `RuleError` with the compiler's complaint."""
    small = None if optional_old else compile_small(rule)
    return small if small is not None else compile_with_library(rule, optional_old)


class RuleNode:
    """Rules of one place of a schema and of what is below it; None of it for places without any."""

    __slots__ = ("_below", "_every", "_items", "_keys", "_rules", "_schema", "compares")

    def __init__(self, schema: JsonObject, below: dict[str, RuleNode], every: RuleNode | None, items: RuleNode | None):
        self._schema = schema
        self._rules: list[JsonObject] = [
            {
                **rule,
                "compares": _OLD_SELF.search(str(rule.get("rule", ""))) is not None,
                "compiled": rewritten(str(rule.get("rule", "")), schema),
                "said": rewritten(str(rule.get("messageExpression") or ""), schema),
            }
            for rule in schema.get("x-kubernetes-validations") or ()
        ]
        self._below = below
        self._every = every
        self._items = items
        #: Whether any rule here or below looks at what was there before.
        self.compares: bool = any(rule["compares"] for rule in self._rules) or any(
            node.compares for node in (*below.values(), every, items) if node is not None
        )
        is_map = schema.get("x-kubernetes-list-type") == "map"
        self._keys: tuple[str, ...] = tuple(schema.get("x-kubernetes-list-map-keys") or ()) if is_map else ()

    def check(
        self, value: Json, old: Json, has_old: bool, path: Path, causes: list[Cause], tolerated: list[Cause] | None
    ) -> None:
        """Add what the rules say of `value`. `old` is what stood here, when `has_old`; what they have against a value that is
        as it was is only `tolerated` (None: nobody asks)."""
        if value is None:
            return
        unchanged = has_old and value == old
        if unchanged and tolerated is None and not self.compares:
            return
        for rule in self._rules:
            found = causes if not unchanged or rule["compares"] else tolerated
            if found is not None and (cause := self._violation(rule, value, old, has_old, path)) is not None:
                found.append(cause)
        if isinstance(value, dict):
            was: JsonObject = old if has_old and isinstance(old, dict) else {}
            for field, item in value.items():
                node = self._below.get(field)
                step = field
                if node is None and self._every is not None:
                    node, step = self._every, Key(field)
                if node is not None:
                    node.check(item, was.get(field), was.get(field) is not None, (path, step), causes, tolerated)
        elif isinstance(value, list) and self._items is not None:
            for index, item in enumerate(value):
                match = self._correlated(item, old) if has_old else None
                self._items.check(item, match, match is not None, (path, index), causes, tolerated)

    def check_root(
        self,
        obj: JsonObject,
        changed: JsonObject,
        old: JsonObject | None,
        causes: list[Cause],
        tolerated: list[Cause] | None,
    ) -> None:
        """As `check` for a whole object, below the root only of its fields in `changed`."""
        for rule in self._rules:
            cause = self._violation(rule, obj, old, old is not None, None)
            if cause is not None:
                causes.append(cause)
        for field, value in changed.items():
            node = self._below.get(field)
            if node is not None:
                was = old.get(field) if old is not None else None
                node.check(value, was, was is not None, (None, field), causes, tolerated)

    def _correlated(self, item: Json, old: Json) -> Json:
        """The old item with the same keys; items of other lists are not the same from one version to the next."""
        if not self._keys or not isinstance(item, dict) or not isinstance(old, list):
            return None
        identity = [item.get(key) for key in self._keys]
        return next(
            (each for each in old if isinstance(each, dict) and [each.get(key) for key in self._keys] == identity), None
        )

    def _violation(self, rule: JsonObject, value: Json, old: Json, has_old: bool, path: Path) -> Cause | None:
        text, optional_old = str(rule.get("rule", "")), bool(rule.get("optionalOldSelf"))
        if _OLD_SELF.search(text) and not has_old and not optional_old:
            return None
        at = render(path) or "<nil>"
        words = str(rule.get("message") or "").strip()
        try:
            holds = program(rule["compiled"], optional_old)(self._shown(value), self._shown(old) if has_old else None)
            if holds is True:
                return None
        except RuleError as problem:
            why = f"{problem} evaluating rule: {words or text.strip()}"
            if isinstance(value, (dict, list)):
                return Cause(at, "FieldValueInvalid", f'Invalid value: "{type_name(value)}": {why}')
            return status.invalid_value(at, value, why)
        expression = rule["said"]
        if expression:
            try:
                made = program(str(expression), optional_old)(self._shown(value), self._shown(old) if has_old else None)
                if isinstance(made, str) and made.strip() and "\n" not in made:
                    words = made.strip()
            except RuleError:
                pass
        where = rule.get("fieldPath")
        if where:
            where = _QUOTED_KEY.sub(r"[\1]", str(where))
            at = f"{at}{where}" if at != "<nil>" else str(where).lstrip(".")
        return _invalid(at, value, words or f"failed rule: {text.strip()}", str(rule.get("reason") or ""))

    def _shown(self, value: Json) -> Json:
        return shown(value, self._schema)


def _invalid(at: str, value: Json, text: str, reason: str) -> Cause:
    if reason == "FieldValueForbidden":
        return status.forbidden_field(at, text)
    if reason == "FieldValueRequired":
        return status.required(at, text)
    if reason == "FieldValueDuplicate":
        # The value says it, where it is shown.
        return Cause(at, reason, "Duplicate value") if isinstance(value, (dict, list)) else status.duplicate(at, value)
    if isinstance(value, (dict, list)):
        # Whole objects are not shown.
        return Cause(at, "FieldValueInvalid", f"Invalid value: {text}")
    return status.invalid_value(at, value, text)


def rule_tree(schema: Json) -> RuleNode | None:
    """The rules in a schema; None when there are none."""
    if not isinstance(schema, dict) or _MARK not in marshal.dumps(schema, 2):
        return None
    below = {
        field: node for field, part in (schema.get("properties") or {}).items() if (node := rule_tree(part)) is not None
    }
    every, items = rule_tree(schema.get("additionalProperties")), rule_tree(schema.get("items"))
    if not below and every is None and items is None and not schema.get("x-kubernetes-validations"):
        return None
    return RuleNode(schema, below, every, items)


class PlacedRule(NamedTuple):
    """A rule of a definition."""

    #: `.properties[spec]`, …
    place: str
    rule: JsonObject
    #: Where it stands.
    schema: JsonObject
    #: The list around it, if any, whose items are not the same from one version to the next.
    loose: str | None
    #: As often as the lists and maps around it let it be evaluated; None when nothing limits them.
    times: int | None


def rules_of(schema: Json, path: str = "", loose: str | None = None, times: int | None = 1) -> Iterator[PlacedRule]:
    """Every rule of a schema."""
    if not isinstance(schema, dict):
        return
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        yield PlacedRule(f"{path}.x-kubernetes-validations[{index}]", rule, schema, loose, times)
    for field, part in (schema.get("properties") or {}).items():
        yield from rules_of(part, f"{path}.properties[{field}]", loose, times)
    most = schema.get("maxProperties")
    more = times * max(0, most) if times is not None and most is not None else None
    yield from rules_of(schema.get("additionalProperties"), f"{path}.additionalProperties", loose, more)
    if loose is None and schema.get("x-kubernetes-list-type") != "map":
        loose = path
    most = schema.get("maxItems")
    more = times * max(0, most) if times is not None and most is not None else None
    yield from rules_of(schema.get("items"), f"{path}.items", loose, more)


def shown(value: Json, schema: JsonObject) -> Json:
    """A value as rules see it: fields whose names are no identifiers are escaped."""
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        additional = schema.get("additionalProperties")
        below: JsonObject = additional if isinstance(additional, dict) else {}
        if not any(_needs_escape(field) for field in properties) and not _has_structure(schema):
            return value
        return {
            (escaped(field) if field in properties else field): shown(item, properties.get(field) or below)
            for field, item in value.items()
        }
    if isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, dict) and _has_structure(items):
            return [shown(item, items) for item in value]
    return value


def _has_structure(schema: JsonObject) -> bool:
    return bool(schema.get("properties") or schema.get("items") or schema.get("additionalProperties"))


@lru_cache(maxsize=4096)
def _needs_escape(field: str) -> bool:
    return escaped(field) != field

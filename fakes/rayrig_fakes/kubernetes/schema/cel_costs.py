"""What rules may cost at most, judged by the sizes that a schema allows (K8-040).

The unit is about one comparison of numbers. Texts count by a tenth of their length, patterns by a quarter of it, and what is done
for every item as often as there may be items. Where a schema says nothing of a size, as much is taken as fits into a request.
What is not understood here costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import ceil
from typing import Any, NamedTuple

from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes.schema.cel_types import TOKEN, Type, type_of
from rayrig_fakes.kubernetes.schema.escaping import escaped

#: For one expression, as often as it may be evaluated, and for all of a schema.
EXPRESSION_LIMIT = 10_000_000
SCHEMA_LIMIT = 100_000_000
_MOST_BYTES = 3 * 1024 * 1024
_ENDLESS = 2**64 - 1
_LIST, _MAP = 10, 30
_TEXT_SIZES = {"date": 12, "date-time": 36, "datetime": 36, "duration": 32}
_LEAST_TEXTS = {"date": 12, "date-time": 22, "datetime": 22, "duration": 3}
_LEAST = {"integer": 1, "number": 1, "boolean": 4}
#: `opaque`: addresses, quantities, versions and the like.
_SCALARS = ("bool", "int", "uint", "double", "timestamp", "duration", "opaque")
_STEPS = {"all": 3, "exists": 4}
_NAMESPACES = ("sets", "math", "optional", "format", "base64", "strings", "lists")


class _NotUnderstood(Exception):
    """Not a rule that is understood here."""


class _Part(NamedTuple):
    """An expression. `size` is known of literals and of what functions make; `schema` of what stands in the object."""

    type: Type
    cost: int
    size: int | None = None
    schema: JsonObject | None = None
    number: Any = None


def least_size(schema: JsonObject) -> int:
    """The fewest bytes a value may have in JSON."""
    kind = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        return 1
    if kind == "string":
        return _LEAST_TEXTS.get(str(schema.get("format")), 2)
    if kind == "object" and not isinstance(schema.get("additionalProperties"), dict):
        properties = schema.get("properties") or {}
        needed = [
            name for name in schema.get("required") or () if "default" not in properties.get(name, {"default": 0})
        ]
        return 2 + sum(len(name) + least_size(properties[name]) + 4 for name in needed)
    return _LEAST.get(str(kind), 2)


def most_items(schema: JsonObject) -> int:
    """How many items or characters a value may have; 0 for what has none."""
    kind = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        return _MOST_BYTES - 2
    if kind == "string":
        form = str(schema.get("format"))
        if form in _TEXT_SIZES:
            return _TEXT_SIZES[form]
        if schema.get("maxLength") is not None:
            return max(0, int(schema["maxLength"])) * (1 if form == "byte" else 4)
        if schema.get("enum") and form != "byte":
            return max(len(str(value).encode()) for value in schema["enum"])
        return _MOST_BYTES - 2
    if kind == "array" and isinstance(schema.get("items"), dict):
        most = schema.get("maxItems")
        return max(0, most) if most is not None else (_MOST_BYTES - 2) // (least_size(schema["items"]) + 1)
    additional = schema.get("additionalProperties")
    if kind == "object" and isinstance(additional, dict):
        most = schema.get("maxProperties")
        return max(0, most) if most is not None else (_MOST_BYTES - 2) // (least_size(additional) + 6)
    return 0


def expression_cost(expression: str, schema: JsonObject, *, whole: bool) -> int:
    """What one evaluation costs at most, where `schema` stands; `whole` for the root of an object."""
    try:
        cost = _Costs(expression, schema, whole).whole()
    except (_NotUnderstood, IndexError, RecursionError):
        return 0
    return min(cost, _ENDLESS)


def times_at_most(schema: JsonObject, around: int | None) -> int:
    """How often a rule at `schema` may be evaluated; `around` is what the limits of lists and maps around it say."""
    return around if around is not None else _MOST_BYTES // (least_size(schema) + 1)


def budget_text(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = "more than 100" if factor > 100 else f"{factor:f}" if factor < 1.5 else f"{factor:.1f}"
    return (
        f"{what} exceeds budget by factor of {shown}x (try simplifying the rule, or adding maxItems, maxProperties, "
        "and maxLength where arrays, maps, and strings are declared)"
    )


def _part_of(size: int, factor: float) -> int:
    return _ENDLESS if size >= _ENDLESS else ceil(round(size * factor, 6))


def _tenth(size: int) -> int:
    return _part_of(size, 0.1)


def _length(text: str) -> int:
    prefix, body = re.match(r"([bBrR]?)(.*)", text, re.S).groups()  # type: ignore[union-attr]
    body = body[1:-1]
    return len(body) if prefix in ("r", "R") else len(re.sub(r"\\.", "x", body))


class _Costs:
    """Reads an expression and adds up on the way."""

    def __init__(self, expression: str, schema: JsonObject, whole: bool) -> None:
        self.root = schema
        kind = type_of(schema, whole=whole)
        if whole and not isinstance(kind, str):
            self.root = kind[1]
        self.scope: dict[str, _Part] = {name: _Part(kind, 1, None, self.root) for name in ("self", "oldSelf")}
        self.tokens: list[tuple[str, str]] = []
        place, text = 0, expression.rstrip()
        while place < len(text):
            found = TOKEN.match(text, place)
            if found is None:
                raise _NotUnderstood
            self.tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))
            place = found.end()
        self.tokens.reverse()

    # Tokens

    def peek(self) -> str:
        return self.tokens[-1][1] if self.tokens and self.tokens[-1][0] != "text" else ""

    def take(self, *signs: str) -> str:
        return self.tokens.pop()[1] if self.peek() in signs and self.tokens else ""

    def expect(self, sign: str) -> None:
        if not self.take(sign):
            raise _NotUnderstood

    # Sizes

    def size(self, part: _Part) -> int:
        if part.size is not None:
            return part.size
        if part.schema is not None:
            return most_items(part.schema)
        return 1 if part.type in _SCALARS else _ENDLESS

    # Operators

    def whole(self) -> int:
        found = self.choice()
        if self.tokens:
            raise _NotUnderstood
        return found.cost

    def choice(self) -> _Part:
        first = self.either()
        if not self.take("?"):
            return first
        good = self.choice()
        self.expect(":")
        other = self.choice()
        kind = good.type if good.type not in ("dyn", "null") else other.type
        return _Part(kind, first.cost + max(good.cost, other.cost), max(self.size(good), self.size(other)))

    def either(self) -> _Part:
        return self.logic("||", self.both)

    def both(self) -> _Part:
        return self.logic("&&", self.relation)

    def logic(self, sign: str, below: Callable[[], _Part]) -> _Part:
        first = below()
        while self.take(sign):
            first = _Part("bool", first.cost + below().cost)
        return first

    def relation(self) -> _Part:
        left = self.sum()
        while sign := self.take("==", "!=", "<", "<=", ">", ">=", "in"):
            right = self.sum()
            cost = 1
            if sign == "in":
                is_map = not isinstance(right.type, str) and right.type[0] == "map"
                cost = 1 if is_map else self.size(right)
            elif sign in ("==", "!=") or left.type in ("string", "bytes") or right.type in ("string", "bytes"):
                cost = _tenth(min(self.size(left), self.size(right)))
            elif left.type == right.type == "dyn":
                cost = max(1, _tenth(min(self.size(left), self.size(right))))
            left = _Part("bool", left.cost + right.cost + cost)
        return left

    def sum(self) -> _Part:
        left = self.product()
        while sign := self.take("+", "-"):
            right = self.product()
            kind = left.type if left.type != "dyn" else right.type
            cost, size = 1, None
            if sign == "+" and (not isinstance(kind, str) or kind in ("string", "bytes", "dyn")):
                size = min(self.size(left) + self.size(right), _ENDLESS)
                cost = _tenth(size) if isinstance(kind, str) else 1
            left = _Part(kind, left.cost + right.cost + cost, size)
        return left

    def product(self) -> _Part:
        left = self.unary()
        while self.take("*", "/", "%"):
            right = self.unary()
            left = _Part(left.type, left.cost + right.cost + 1)
        return left

    def unary(self) -> _Part:
        if self.take("!"):
            return _Part("bool", self.unary().cost + 1)
        if self.take("-"):
            if self.tokens[-1][0] == "number":
                return self.unary()
            below = self.unary()
            return _Part(below.type, below.cost + 1)
        return self.member(self.primary())

    def member(self, part: _Part) -> _Part:
        while True:
            if self.take(".?"):
                self.tokens.pop()
                part = _Part("dyn", part.cost + 1)
            elif self.take("."):
                name = self.tokens.pop()[1]
                part = self.method(part, name) if self.take("(") else self.select(part, name)
            elif sign := self.take("[", "[?"):
                index = self.choice()
                self.expect("]")
                part = self.at_index(part, index, sign)
            else:
                return part

    def select(self, part: _Part, name: str) -> _Part:
        kind = part.type
        if isinstance(kind, str):
            # Nothing is known of it.
            return _Part("dyn", part.cost)
        if kind[0] == "map":
            inner = part.schema.get("additionalProperties") if part.schema else None
            return _Part(kind[2], part.cost + 1, None, inner if isinstance(inner, dict) else None)
        made = next(
            (type_of(each) for known, each in (kind[1].get("properties") or {}).items() if escaped(known) == name),
            "dyn",
        )
        below = _property(part.schema, name)
        return _Part(made, part.cost + 1, None, below)

    def at_index(self, part: _Part, index: _Part, sign: str) -> _Part:
        cost = part.cost + index.cost + 1
        kind = part.type
        if isinstance(kind, str) or sign == "[?":
            return _Part("dyn", cost)
        # What no path leads to is looked up at the root.
        inner = _inner(part.schema, kind) if part.schema is not None else self.root
        return _Part(kind[-1] if kind[0] in ("list", "map") else "dyn", cost, None, inner)

    # Functions

    def arguments(self) -> list[_Part]:
        found: list[_Part] = []
        if self.take(")"):
            return found
        found.append(self.choice())
        while self.take(","):
            found.append(self.choice())
        self.expect(")")
        return found

    def method(self, part: _Part, name: str) -> _Part:
        if name in ("all", "exists", "exists_one", "existsOne", "map", "filter", "transformList", "transformMap"):
            return self.macro(part, name)
        given = self.arguments()
        made, cost, size = self.called(name, part, given)
        return _Part(made, part.cost + sum(each.cost for each in given) + cost, size)

    def called(self, name: str, part: _Part, given: list[_Part]) -> tuple[Type, int, int | None]:
        """What a method gives, what it costs, and the size of that."""
        size = self.size(part)
        kind = part.type
        is_list = not isinstance(kind, str) and kind[0] == "list"
        if name in ("startsWith", "endsWith") and given:
            return "bool", _tenth(self.size(given[0])), None
        if name == "contains" and given:
            return "bool", _tenth(size) * _tenth(self.size(given[0])), None
        if name in ("matches", "find", "findAll") and given:
            cost = _tenth(size + 1) * _part_of(self.size(given[0]), 0.25)
            made: Type = {"matches": "bool", "find": "string"}.get(name, ("list", "string"))
            return made, cost, None if name == "matches" else size
        if name in ("isSorted", "sum", "min", "max", "indexOf", "lastIndexOf"):
            result: Type = "bool" if name == "isSorted" else "int"
            if not is_list:
                return result, _tenth(size), None
            each = _Part(kind[1], 0, None, _inner(part.schema, kind))
            cost = size * (1 + (_tenth(self.size(each)) if kind[1] in ("string", "bytes") else 0))
            return kind[1] if name in ("sum", "min", "max") else result, cost, None
        if name in ("lowerAscii", "upperAscii", "substring", "trim"):
            return "string", _tenth(size), size
        if name == "replace" and len(given) >= 2:
            return "string", _part_of(size, 0.2), self.replaced(size, given)
        if name == "split":
            return ("list", "string"), _part_of(size, 0.2), size
        if name == "join" and is_list:
            each = _Part(kind[1], 0, None, _inner(part.schema, kind))
            between = self.size(given[0]) * max(0, size - 1) if given else 0
            length = min(self.size(each) * size + between, _ENDLESS)
            return "string", _tenth(length), length
        if name == "format":
            return "string", _tenth(size), None
        if name == "reverse" and is_list:
            return kind, size + _LIST + 1, size
        if name == "slice" and is_list:
            return kind, self.taken(size, given) + _LIST + 1, self.taken(size, given)
        if name in ("distinct", "sort") and is_list:
            return kind, 2 * size * size + _LIST + 1, size
        if name in ("containsIP", "containsCIDR") and given:
            return (
                "bool",
                (4 if name == "containsIP" else 7) + (_tenth(self.size(given[0])) if given[0].type == "string" else 0),
                None,
            )
        if name == "validate" and given:
            return "dyn", _tenth(self.size(given[0])) * 32, None
        if name == "size":
            return "int", 1, None
        if name.startswith("get") and kind in ("timestamp", "duration"):
            return "int", 1, None
        return _RESULTS.get(name, "dyn"), 1, None

    def taken(self, size: int, given: list[_Part]) -> int:
        """How many items of a list are between two places."""
        ends = [each.number for each in given]
        return max(0, ends[1] - ends[0]) if len(ends) == 2 and None not in ends else size

    def replaced(self, size: int, given: list[_Part]) -> int:
        old, new = self.size(given[0]), self.size(given[1])
        if old == 0:
            return min(size + (size + 1) * new, _ENDLESS)
        return min(max(size, ceil(size * new / old)), _ENDLESS)

    def call(self, name: str) -> _Part:
        if name == "has":
            operand = self.choice()
            self.expect(")")
            # To look whether it is there costs nothing.
            return _Part("bool", operand.cost - (0 if operand.type == "dyn" and operand.schema is None else 1))
        given = self.arguments()
        cost = sum(each.cost for each in given)
        size = self.size(given[0]) if given else 0
        if name in ("quantity", "isQuantity", "url", "ip", "isIP", "cidr", "isCIDR", "semver", "isSemver"):
            kind = "bool" if name.startswith("is") else "opaque"
            return _Part(kind, cost + _tenth(size))
        if name == "bytes" or (name == "string" and given and given[0].type == "bytes"):
            return _Part(name, cost + _tenth(size))
        if name == "dyn":
            return _Part("dyn", cost + 1, size)
        kinds = ("string", "int", "uint", "double", "bool", "timestamp", "duration")
        return _Part(name if name in kinds else _RESULTS.get(name, "dyn"), cost + 1)

    def of_namespace(self, space: str, name: str) -> _Part:
        given = self.arguments()
        cost = sum(each.cost for each in given)
        if space == "sets" and len(given) == 2:
            pairs = self.size(given[0]) * self.size(given[1])
            return _Part("bool", cost + 1 + pairs * (2 if name == "equivalent" else 1))
        if space == "lists" and name == "range" and given:
            size = given[0].number if given[0].number is not None else _ENDLESS
            return _Part(("list", "int"), cost + size + _LIST + 1, size)
        if space == "strings" and given:
            return _Part("string", cost + _tenth(self.size(given[0])))
        return _Part("opaque", cost + 1)

    def macro(self, part: _Part, name: str) -> _Part:
        kind = part.type
        is_map = not isinstance(kind, str) and kind[0] == "map"
        inner = _inner(part.schema, kind)
        value_type: Type = kind[-1] if not isinstance(kind, str) and kind[0] in ("list", "map") else "dyn"
        # What no path leads to is looked up at the root.
        value = _Part(value_type, 1, None, inner if part.schema is not None else self.root)
        key = _Part("string" if is_map else "int", 1, 0 if is_map else 1)
        first = self.tokens.pop()[1]
        self.expect(",")
        before = self.scope
        two = len(self.tokens) > 1 and self.tokens[-1][0] == "word" and self.tokens[-2][1] == ","
        if two and (name != "map" or self.tokens[-1][1] not in before):
            second = self.tokens.pop()[1]
            self.expect(",")
            self.scope = {**before, first: key, second: value}
        else:
            self.scope = {**before, first: key if is_map else value}
        parts = [self.choice()]
        while self.take(","):
            parts.append(self.choice())
        self.expect(")")
        self.scope = before
        size, inside = self.size(part), sum(each.cost for each in parts)
        each = inside + 12
        if name in _STEPS:
            return _Part("bool", part.cost + size * (inside + _STEPS[name]) + 1)
        if name in ("exists_one", "existsOne"):
            return _Part("bool", part.cost + size * (inside + 2) + 2)
        if name == "transformMap":
            return _Part(("map", "string", parts[-1].type), part.cost + _MAP + size * (inside + 3) + 1, size)
        if name == "filter":
            each = inside + 13
            made: Type = ("list", key.type) if is_map else kind
        else:
            made = ("list", parts[-1].type)
        return _Part(made, part.cost + _LIST + size * each + 1, size)

    # Literals

    def primary(self) -> _Part:
        if not self.tokens:
            raise _NotUnderstood
        kind, text = self.tokens.pop()
        if kind == "text":
            return _Part("bytes" if text[0] in "bB" else "string", 0, _length(text))
        if kind == "number":
            whole = text.isdigit()
            return _Part(
                "int" if whole else "uint" if text.endswith("u") else "double", 0, number=int(text) if whole else None
            )
        if text == "(":
            inner = self.choice()
            self.expect(")")
            return inner
        if text == "[":
            return self.listed()
        if text == "{":
            return self.mapped()
        if kind != "word":
            raise _NotUnderstood
        if text in ("true", "false", "null"):
            return _Part("null" if text == "null" else "bool", 0, None if text != "null" else 1)
        if self.take("("):
            return self.call(text)
        if text in _NAMESPACES and text not in self.scope and self.peek() == ".":
            self.tokens.pop()
            name = self.tokens.pop()[1]
            self.expect("(")
            return self.of_namespace(text, name)
        return self.scope.get(text, _Part("dyn", 1, None, self.root))

    def listed(self) -> _Part:
        items: list[_Part] = []
        while not self.take("]"):
            items.append(self.choice())
            if not self.take(",") and self.peek() != "]":
                raise _NotUnderstood
        kind = items[0].type if items else "dyn"
        return _Part(("list", kind), _LIST + sum(each.cost for each in items), len(items))

    def mapped(self) -> _Part:
        cost, count = _MAP, 0
        values: Type = "dyn"
        while not self.take("}"):
            key = self.choice()
            self.expect(":")
            value = self.choice()
            values, cost, count = value.type, cost + key.cost + value.cost, count + 1
            if not self.take(",") and self.peek() != "}":
                raise _NotUnderstood
        return _Part(("map", "string", values), cost, count)


_RESULTS: dict[str, Type] = {
    "isURL": "bool",
    "getHost": "string",
    "getHostname": "string",
    "getScheme": "string",
    "getPort": "string",
    "getEscapedPath": "string",
    "getQuery": ("map", "string", ("list", "string")),
    "compareTo": "int",
    "asInteger": "int",
    "masked": "opaque",
    "ip": "opaque",
    "add": "opaque",
    "sub": "opaque",
    "asApproximateFloat": "double",
    "family": "int",
    "prefixLength": "int",
    "major": "int",
    "minor": "int",
    "patch": "int",
}


def _property(schema: JsonObject | None, name: str) -> JsonObject | None:
    for known, below in ((schema or {}).get("properties") or {}).items():
        if escaped(known) == name:
            return below if isinstance(below, dict) else None
    return None


def _inner(schema: JsonObject | None, kind: Type) -> JsonObject | None:
    if schema is None or isinstance(kind, str):
        return None
    below: Json = schema.get("items" if kind[0] == "list" else "additionalProperties")
    return below if isinstance(below, dict) else None

"""Types in rules: a rule may speak only of fields that its schema has, and compare only what is of one type (K8-040).

The library that evaluates rules does not know the schema they stand at. What is not understood here is taken to be right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes.schema.escaping import escaped

#: `int`, `string`, …, `dyn` for all that is not known; `("list", T)`, `("map", K, V)`, `("object", schema)`.
Type: TypeAlias = Any

TOKEN = re.compile(
    r"\s*(?:(?P<text>[bBrR]?(?:'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"))|(?P<number>\d+\.\d+(?:[eE][+-]?\d+)?|\d+u?)"
    r"|(?P<word>[A-Za-z_]\w*)|(?P<sign>\[\?|\.\?|==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,()\[\]{}]))"
)
_FORMATS = {
    "date-time": "timestamp",
    "date": "timestamp",
    "datetime": "timestamp",
    "duration": "duration",
    "byte": "bytes",
}
_SCALARS = {"string": "string", "integer": "int", "number": "double", "boolean": "bool"}
_METADATA: JsonObject = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}},
}
_ENVELOPE: JsonObject = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": _METADATA}
_NUMBERS = ("int", "uint", "double")
#: What functions give, as far as it is always the same.
_RESULTS: dict[str, Type] = {
    "size": "int",
    "startsWith": "bool",
    "endsWith": "bool",
    "contains": "bool",
    "matches": "bool",
    "isSorted": "bool",
    "indexOf": "int",
    "lastIndexOf": "int",
    "lowerAscii": "string",
    "upperAscii": "string",
    "replace": "string",
    "trim": "string",
    "substring": "string",
    "charAt": "string",
    "join": "string",
    "find": "string",
    "split": ("list", "string"),
    "findAll": ("list", "string"),
    "string": "string",
    "int": "int",
    "double": "double",
    "bool": "bool",
    "timestamp": "timestamp",
    "duration": "duration",
    "isURL": "bool",
    "isIP": "bool",
    "isCIDR": "bool",
    "isQuantity": "bool",
    "isSemver": "bool",
}


class _NotUnderstood(Exception):
    """Not a rule that is understood here."""


class _Part(NamedTuple):
    """An expression: its type, and where the server points to when it speaks of it."""

    type: Type
    at: int


def type_of(schema: JsonObject, *, whole: bool = False) -> Type:
    """Of a place. `whole`: the root of an object."""
    kind = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        return "dyn"
    if kind == "string":
        return _FORMATS.get(str(schema.get("format")), "string")
    if kind in _SCALARS:
        return _SCALARS[kind]
    if kind == "array" and isinstance(schema.get("items"), dict):
        return ("list", type_of(schema["items"]))
    if kind == "object":
        additional = schema.get("additionalProperties")
        if isinstance(additional, dict):
            return ("map", "string", type_of(additional))
        if additional:
            return ("map", "string", "dyn")
        if whole or schema.get("x-kubernetes-embedded-resource"):
            properties = {**(schema.get("properties") or {}), **_ENVELOPE}
            return ("object", {"type": "object", "properties": properties})
        return ("object", schema)
    return "dyn"


def type_text(kind: Type) -> str:
    if isinstance(kind, str):
        return kind
    if kind[0] == "object":
        raise _NotUnderstood
    return f"{kind[0]}({', '.join(type_text(part) for part in kind[1:])})"


def _fits(left: Type, right: Type) -> bool:
    if "dyn" in (left, right) or left == right:
        return True
    if isinstance(left, str) or isinstance(right, str):
        nullable = [kind for kind in (left, right) if kind != "null"]
        return len(nullable) == 1 and not isinstance(nullable[0], str)
    return left[0] == right[0] and all(map(_fits, left[1:], right[1:])) if left[0] != "object" else False


@dataclass
class _Checker:
    rule: str
    scope: dict[str, Type]
    tokens: list[tuple[str, str, int]] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)
    #: Lists may have items of several types: what is formatted.
    mixed: bool = False

    def __post_init__(self) -> None:
        place = 0
        text = self.rule.rstrip()
        while place < len(text):
            found = TOKEN.match(text, place)
            if found is None:
                raise _NotUnderstood
            kind = str(found.lastgroup)
            self.tokens.append((kind, found[kind], found.start(kind)))
            place = found.end()

    def peek(self) -> str:
        return self.tokens[0][1] if self.tokens and self.tokens[0][0] != "text" else ""

    def take(self, *signs: str) -> int:
        """Where one of these stands, when it comes next; else -1."""
        if self.peek() in signs and signs:
            return self.tokens.pop(0)[2]
        return -1

    def expect(self, sign: str) -> int:
        at = self.take(sign)
        if at < 0:
            raise _NotUnderstood
        return at

    def wrong(self, at: int, text: str) -> Type:
        self.problems.append((at, text))
        return "dyn"

    def no_overload(self, at: int, name: str, *kinds: Type) -> Type:
        return self.wrong(
            at, f"found no matching overload for '{name}' applied to '({', '.join(map(type_text, kinds))})'"
        )

    def whole(self) -> Type:
        found = self.choice().type
        if self.tokens:
            raise _NotUnderstood
        return found

    def choice(self) -> _Part:
        first = self.logic("||", self.both)
        at = self.take("?")
        if at < 0:
            return first
        good = self.choice()
        self.expect(":")
        other = self.choice()
        kinds = (first.type, good.type, other.type)
        if first.type not in ("bool", "dyn") or not _fits(good.type, other.type):
            return _Part(self.no_overload(at, "_?_:_", *kinds), at)
        return _Part(good.type if good.type != "dyn" else other.type, at)

    def both(self) -> _Part:
        return self.logic("&&", self.relation)

    def logic(self, sign: str, below: Any) -> _Part:
        first: _Part = below()
        while True:
            at = self.take(sign)
            if at < 0:
                return first
            second: _Part = below()
            for part in (first, second):
                if part.type not in ("bool", "dyn"):
                    self.wrong(part.at, f"expected type 'bool' but found '{type_text(part.type)}'")
            first = _Part("bool", at)

    def relation(self) -> _Part:
        left = self.sum()
        while self.peek() in ("==", "!=", "<", "<=", ">", ">=", "in"):
            sign = self.peek()
            at = self.take(sign)
            right = self.sum()
            kinds = (left.type, right.type)
            if sign == "in":
                good = self._holds(right.type, left.type)
                name = "@in"
            elif sign in ("==", "!="):
                good, name = _fits(*kinds), f"_{sign}_"
            else:
                good = "dyn" in kinds or (all(kind in _NUMBERS for kind in kinds)) or kinds[0] == kinds[1]
                name = f"_{sign}_"
            left = _Part("bool" if good else self.no_overload(at, name, *kinds), at)
        return left

    @staticmethod
    def _holds(place: Type, value: Type) -> bool:
        if isinstance(place, str):
            return place == "dyn"
        return place[0] in ("list", "map") and _fits(place[1], value)

    def sum(self) -> _Part:
        return self.arithmetic(("+", "-"), self.product)

    def product(self) -> _Part:
        return self.arithmetic(("*", "/", "%"), self.unary)

    def arithmetic(self, signs: tuple[str, ...], below: Any) -> _Part:
        left: _Part = below()
        while self.peek() in signs:
            sign = self.peek()
            at = self.take(sign)
            right: _Part = below()
            kinds = (left.type, right.type)
            adds = ("string", "bytes", "duration") if sign == "+" else ()
            times = any(kind in ("timestamp", "duration") for kind in kinds)
            if "dyn" in kinds or times:
                made: Type = "dyn"
            elif (kinds[0] == kinds[1] and (kinds[0] in _NUMBERS or kinds[0] in adds)) or (
                sign == "+" and all(not isinstance(kind, str) and kind[0] == "list" for kind in kinds) and _fits(*kinds)
            ):
                made = kinds[0]
            else:
                made = self.no_overload(at, f"_{sign}_", *kinds)
            left = _Part(made, at)
        return left

    def unary(self) -> _Part:
        at = self.take("!")
        if at >= 0:
            below = self.unary().type
            return _Part("bool" if below in ("bool", "dyn") else self.no_overload(at, "!_", below), at)
        at = self.take("-")
        if at >= 0:
            below = self.unary().type
            return _Part(below if below in ("int", "double", "dyn") else self.no_overload(at, "-_", below), at)
        return self.member(self.primary())

    def member(self, part: _Part) -> _Part:
        while True:
            if self.take(".?") >= 0:
                self.tokens.pop(0)
                part = _Part("dyn", part.at)
                continue
            at = self.take(".")
            if at >= 0:
                name = self.tokens.pop(0)[1]
                opened = self.take("(")
                part = self.method(part, name, opened) if opened >= 0 else _Part(self.select(part.type, name, at), at)
                continue
            at = self.take("[", "[?")
            if at >= 0:
                self.choice()
                self.expect("]")
                kind = part.type
                inner = kind[-1] if not isinstance(kind, str) and kind[0] in ("list", "map") else "dyn"
                part = _Part(inner if self.rule[at : at + 2] != "[?" else "dyn", at)
                continue
            return part

    def select(self, kind: Type, name: str, at: int) -> Type:
        if kind == "dyn":
            return "dyn"
        if isinstance(kind, str):
            return self.wrong(at, f"type '{kind}' does not support field selection")
        if kind[0] == "map":
            return kind[2]
        if kind[0] != "object":
            return "dyn"
        for known, schema in (kind[1].get("properties") or {}).items():
            if escaped(known) == name:
                return type_of(schema)
        return self.wrong(at, f"undefined field '{name}'")

    def method(self, part: _Part, name: str, at: int) -> _Part:
        kind = part.type
        if name in ("all", "exists", "exists_one", "existsOne", "map", "filter", "transformList"):
            return _Part(self.macro(kind, name, at), at)
        if name in ("transformMap", "transformMapEntry"):
            raise _NotUnderstood
        mixed, self.mixed = self.mixed, self.mixed or name == "format"
        self.arguments()
        self.mixed = mixed
        if name in ("sum", "min", "max") and not isinstance(kind, str):
            return _Part(kind[1], at)
        if name == "size" and kind in ("int", "double", "bool"):
            self.wrong(at, f"found no matching overload for 'size' applied to '{kind}.()'")
        return _Part(_RESULTS.get(name, "dyn"), at)

    def macro(self, kind: Type, name: str, at: int) -> Type:
        inner: Type = "dyn"
        keys: Type = "int"
        if not isinstance(kind, str) and kind[0] == "list":
            inner = kind[1]
        elif not isinstance(kind, str) and kind[0] == "map":
            inner, keys = kind[2], kind[1]
        variable = self.tokens.pop(0)[1]
        self.expect(",")
        two = len(self.tokens) > 1 and self.tokens[0][0] == "word" and self.tokens[1][1] == ","
        names = {variable: keys if not isinstance(kind, str) and kind[0] == "map" else inner}
        if two and (name != "map" or self._is_fresh(self.tokens[0][1])):
            names = {variable: keys, self.tokens.pop(0)[1]: inner}
            self.expect(",")
        before = self.scope
        self.scope = {**before, **names}
        parts = [self.choice()]
        while self.take(",") >= 0:
            parts.append(self.choice())
        self.expect(")")
        self.scope = before
        condition = parts[0].type
        if name == "filter":
            return kind if condition in ("bool", "dyn") else "dyn"
        if name in ("map", "transformList"):
            return ("list", parts[-1].type)
        return "bool"

    def _is_fresh(self, name: str) -> bool:
        return name not in self.scope

    def arguments(self) -> None:
        if self.take(")") >= 0:
            return
        self.choice()
        while self.take(",") >= 0:
            self.choice()
        self.expect(")")

    def primary(self) -> _Part:
        if not self.tokens:
            raise _NotUnderstood
        kind, text, at = self.tokens.pop(0)
        if kind == "text":
            return _Part("bytes" if text[0] in "bB" else "string", at)
        if kind == "number":
            return _Part("uint" if text.endswith("u") else "double" if "." in text else "int", at)
        if text == "(":
            inner = self.choice()
            self.expect(")")
            return inner
        if text == "[":
            return _Part(self.listed(), at)
        if text == "{":
            return _Part(self.mapped(), at)
        if kind != "word":
            raise _NotUnderstood
        if text in ("true", "false", "null"):
            return _Part("null" if text == "null" else "bool", at)
        opened = self.take("(")
        if opened >= 0:
            return self.call(text, opened)
        return _Part(self.scope.get(text, "dyn"), at)

    def call(self, name: str, at: int) -> _Part:
        if name == "has":
            before = len(self.problems)
            self.choice()
            self.expect(")")
            if len(self.problems) > before:
                # The last field is the macro's.
                self.problems[-1] = (at, self.problems[-1][1])
            return _Part("bool", at)
        first = self.tokens[0] if self.tokens else ("", "", 0)
        if name == "size" and first[1] != ")":
            given = self.choice().type
            self.expect(")")
            return _Part("int" if given not in ("int", "double", "bool") else self.no_overload(at, "size", given), at)
        self.arguments()
        return _Part("dyn" if name == "dyn" else _RESULTS.get(name, "dyn"), at)

    def listed(self) -> Type:
        items: list[_Part] = []
        while self.take("]") < 0:
            items.append(self.choice())
            if not self.mixed and items[0].type != "dyn" and not _fits(items[0].type, items[-1].type):
                self.wrong(
                    items[-1].at, f"expected type '{type_text(items[0].type)}' but found '{type_text(items[-1].type)}'"
                )
            if self.take(",") < 0 and self.peek() != "]":
                raise _NotUnderstood
        return ("list", items[0].type if items else "dyn")

    def mapped(self) -> Type:
        while self.take("}") < 0:
            self.choice()
            self.expect(":")
            self.choice()
            if self.take(",") < 0 and self.peek() != "}":
                raise _NotUnderstood
        return ("map", "dyn", "dyn")


def type_problems(rule: str, schema: JsonObject, *, whole: bool, optional_old: bool) -> tuple[str, Type]:
    """What is wrong with the types of a rule, in the compiler's words, and what it evaluates to."""
    if "\n" in rule:
        return "", "dyn"
    kind = type_of(schema, whole=whole)
    try:
        checker = _Checker(rule, {"self": kind, "oldSelf": "dyn" if optional_old else kind})
        found = checker.whole()
    except (_NotUnderstood, IndexError, RecursionError):
        return "", "dyn"
    texts = [f"ERROR: <input>:1:{at + 1}: {text}\n | {rule}\n | {'.' * at}^" for at, text in sorted(checker.problems)]
    return "\n".join(texts), found

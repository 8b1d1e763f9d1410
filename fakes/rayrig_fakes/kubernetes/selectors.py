"""Label and field selectors, parsed once and compiled to predicates (`kubernetes-api.md` section 5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from rayrig_core.kubernetes_names import label_value, qualified_name
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status

Labels: TypeAlias = Mapping[str, str]
LabelPredicate: TypeAlias = Callable[[Labels], bool]
ObjectPredicate: TypeAlias = Callable[[JsonObject], bool]
#: Selectable fields of a kind: name to what reads it out of an object.
Fields: TypeAlias = Mapping[str, Callable[[JsonObject], str]]

_TOKEN = re.compile(r"\s*(==|!=|=|!|>|<|\(|\)|,|[^\s=!<>(),]+)")
_SYMBOLS = frozenset(("==", "!=", "=", "!", ">", "<", "(", ")", ","))


class _Parser:
    """Recursive descent over `key`, `!key`, `key op value`, `key in (a, b)`, joined by commas."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        place = 0
        stripped = text.rstrip()
        while place < len(stripped):
            found = _TOKEN.match(stripped, place)
            assert found is not None  # the token expression matches any character
            self._tokens.append(found.group(1))
            place = found.end()
        self._next = 0

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._next += 1
        return token

    def parse(self) -> list[LabelPredicate]:
        requirements: list[LabelPredicate] = []
        while token := self._peek():
            if token in _SYMBOLS and token != "!":
                raise _Unparsable(f"found '{token}', expected: !, identifier, or 'end of string'")
            try:
                requirements.append(self._requirement())
            except _Unparsable as problem:
                raise _Unparsable(f"unable to parse requirement: {problem}") from None
            if not self._peek():
                break
            if (token := self._take()) != ",":
                raise _Unparsable(f"found '{token}', expected: ',' or 'end of string'")
            if ((token := self._peek()) in _SYMBOLS and token != "!") or not token:
                raise _Unparsable(f"found '{token}', expected: identifier after ','")
        return requirements

    def _requirement(self) -> LabelPredicate:
        if self._peek() == "!":
            self._take()
            return _absent(self._key())
        key = self._key()
        operator = self._peek()
        if operator in ("", ","):
            return _present(key)
        self._take()
        if operator in ("in", "notin"):
            values = self._values()
            for place, value in enumerate(sorted(values)):
                _check_value(key, value, place)
            return _one_of(key, values) if operator == "in" else _none_of(key, values)
        if operator in ("=", "==", "!="):
            value = "" if self._peek() in ("", ",") else self._identifier()
            _check_value(key, value)
            return _one_of(key, (value,)) if operator != "!=" else _none_of(key, (value,))
        if operator in (">", "<"):
            return _ordered(key, operator, "" if self._peek() in ("", ",") else self._identifier())
        raise _Unparsable(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")

    def _key(self) -> str:
        key = self._take()
        if not key or key in _SYMBOLS:
            raise _Unparsable(f"found '{key}', expected: identifier")
        if problems := qualified_name(key):
            raise _Unparsable(f'<nil>: Invalid value: "{key}": {"; ".join(problems)}')
        return key

    def _identifier(self) -> str:
        token = self._take()
        if not token or token in _SYMBOLS:
            raise _Unparsable(f"found '{token}', expected: identifier")
        return token

    def _values(self) -> tuple[str, ...]:
        if (token := self._take()) != "(":
            raise _Unparsable(f"found '{token}' expected: '('")
        values: list[str] = []
        while True:
            token = self._peek()
            if token == ")":
                self._take()
                if not values:
                    values.append("")
                return tuple(values)
            if token == ",":
                self._take()
                if not values:
                    values.append("")
                if self._peek() in (")", ","):
                    values.append("")
                continue
            values.append(self._identifier())
            if self._peek() not in (",", ")"):
                raise _Unparsable(f"found '{self._peek()}', expected: ',' or ')'")


class _Unparsable(Exception):
    """What is wrong with a selector."""


def _check_value(key: str, value: str, place: int = 0) -> None:
    if problems := label_value(value):
        raise _Unparsable(f'values[{place}][{key}]: Invalid value: "{value}": {"; ".join(problems)}')


def _absent(key: str) -> LabelPredicate:
    return lambda labels: key not in labels


def _present(key: str) -> LabelPredicate:
    return lambda labels: key in labels


def _one_of(key: str, values: tuple[str, ...]) -> LabelPredicate:
    if len(values) == 1:
        only = values[0]
        return lambda labels: labels.get(key) == only
    return lambda labels: labels.get(key) in values


def _none_of(key: str, values: tuple[str, ...]) -> LabelPredicate:
    """True also when the label is absent."""
    return lambda labels: labels.get(key) not in values


def _ordered(key: str, operator: str, bound: str) -> LabelPredicate:
    try:
        limit = int(bound)
    except ValueError:
        raise _Unparsable(
            f"values[0]: Invalid value: \"{bound}\": for 'Gt', 'Lt' operators, the value must be an integer"
        ) from None

    def holds(labels: Labels) -> bool:
        try:
            value = int(labels[key])
        except (KeyError, ValueError):
            return False
        return value > limit if operator == ">" else value < limit

    return holds


@lru_cache(maxsize=1024)
def label_predicate(selector: str) -> LabelPredicate | None:
    """Compiled label selector; None when it selects everything. Raises `ApiError` 400 (K8-046)."""
    try:
        requirements = _Parser(selector).parse()
    except _Unparsable as problem:
        raise status.bad_request(str(problem)) from None
    if not requirements:
        return None
    if len(requirements) == 1:
        return requirements[0]
    return lambda labels: all(requirement(labels) for requirement in requirements)


def equal_label(selector: str) -> tuple[str, str] | None:
    """A label that everything selected has; None when the selector does not ask for one. The selector has been parsed before."""
    tokens = [",", *_TOKEN.findall(selector.rstrip()), ","]
    for at in range(len(tokens) - 4):
        before, key, operator, value, after = tokens[at : at + 5]
        if before == after == "," and operator in ("=", "==") and not _SYMBOLS & {key, value}:
            return key, value
    return None


def matches_labels(selector: str, labels: Labels) -> bool:
    predicate = label_predicate(selector)
    return predicate is None or predicate(labels)


def parse_field_selector(selector: str) -> list[tuple[str, str, str]]:
    """(field, `=` or `!=`, value) for each term. Raises `ApiError` 400."""
    terms = []
    for part in _split_terms(selector):
        if not part:
            continue
        for operator in ("!=", "==", "="):
            field, found, value = part.partition(operator)
            if found:
                terms.append((field, "!=" if operator == "!=" else "=", _unescape(value)))
                break
        else:
            raise status.bad_request(f"invalid selector: '{selector}'; can't understand '{part}'")
    return terms


def _split_terms(selector: str) -> list[str]:
    return re.split(r"(?<!\\),", selector)


def _unescape(value: str) -> str:
    """Raises `ApiError` 400 for what should have been escaped."""
    for found in _SPECIAL.finditer(value):
        text = found.group()
        if text in (",", "="):
            raise status.bad_request(f"invalid field selector: unescaped character in value: {ord(text)}")
        if text[1:] not in ("\\", ",", "="):
            raise status.bad_request(f"invalid field selector: invalid escape sequence: {text}")
    return re.sub(r"\\(.)", r"\1", value)


_SPECIAL = re.compile(r"\\.?|[,=]", re.DOTALL)


def object_predicate(
    label_selector: str, field_selector: str, fields: Fields, unsupported: Callable[[str], str]
) -> ObjectPredicate | None:
    """Both selectors as one predicate on objects; None when everything matches.

    Raises `ApiError` 400 for what cannot be parsed and for fields the kind does not know; `unsupported` words the latter.
    """
    by_labels = label_predicate(label_selector) if label_selector else None
    tests: list[ObjectPredicate] = []
    if by_labels is not None:
        tests.append(lambda obj: by_labels(obj["metadata"].get("labels") or {}))
    for field, operator, value in parse_field_selector(field_selector) if field_selector else ():
        read = fields.get(field)
        if read is None:
            raise status.bad_request(unsupported(field))
        tests.append(_field_test(read, operator, value))
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda obj: all(test(obj) for test in tests)


def _field_test(read: Callable[[JsonObject], str], operator: str, value: str) -> ObjectPredicate:
    if operator == "=":
        return lambda obj: read(obj) == value
    return lambda obj: read(obj) != value


def field_reader(path: str, default: str = "") -> Callable[[JsonObject], str]:
    """Reads a dotted path as the string a selector compares with."""
    *parts, last = path.split(".")

    def read(obj: JsonObject) -> str:
        value: Any = obj
        for part in parts:
            value = value.get(part)
            if not isinstance(value, dict):
                return default
        value = value.get(last, default)
        if type(value) is str:
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value)

    return read

"""CEL rules of the everyday forms as plain functions, without a library: fields, literals, `has`, `in`, comparisons, logic.

`compile_small` gives up (None) on everything else, and where types decide in CEL what they do not decide in Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from rayrig_fakes.kubernetes.schema.cel_errors import RuleError

#: An expression of `self` and `oldSelf`.
_Expression = Callable[[Any, Any], Any]

_TOKEN = re.compile(
    r"\s*(?:(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<text>'[^'\\\n]*'|\"[^\"\\\n]*\")|(?P<number>-?\d+(?![\d.uxeE]))"
    r"|(?P<sign>==|!=|<=|>=|&&|\|\||[<>!().,\[\]]))"
)


class _TooHard(Exception):
    """Not one of the forms known here."""


class _Compiler:
    """Recursive descent, lowest precedence first."""

    def __init__(self, rule: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        rest = rule.strip()
        while rest:
            found = _TOKEN.match(rest)
            if found is None:
                raise _TooHard
            self._tokens.append((str(found.lastgroup), str(found[str(found.lastgroup)])))
            rest = rest[found.end() :].lstrip()

    def compile(self) -> _Expression:
        made = self._either()
        if self._tokens:
            raise _TooHard
        return made

    def _next(self) -> str:
        return self._tokens[0][1] if self._tokens and self._tokens[0][0] in ("sign", "word") else ""

    def _take(self, *wanted: str) -> bool:
        if self._next() in wanted:
            del self._tokens[0]
            return True
        return False

    def _expect(self, wanted: str) -> None:
        if not self._take(wanted):
            raise _TooHard

    def _either(self) -> _Expression:
        made = self._both()
        while self._take("||"):
            made = _or(made, self._both())
        return made

    def _both(self) -> _Expression:
        made = self._compared()
        while self._take("&&"):
            made = _and(made, self._compared())
        return made

    def _compared(self) -> _Expression:
        left = self._negated()
        sign = self._next()
        if sign in ("==", "!=", "<", "<=", ">", ">=", "in"):
            self._take(sign)
            return _relation(sign, left, self._negated())
        return left

    def _negated(self) -> _Expression:
        if self._take("!"):
            below = self._negated()
            return lambda new, old: not _truth(below(new, old))
        return self._value()

    def _value(self) -> _Expression:
        if self._take("("):
            made = self._either()
            self._expect(")")
            return made
        if self._take("["):
            return self._list()
        if not self._tokens:
            raise _TooHard
        kind, text = self._tokens.pop(0)
        if kind == "text":
            return _constant(text[1:-1])
        if kind == "number":
            return _constant(int(text))
        if text in ("true", "false"):
            return _constant(text == "true")
        if text == "has":
            self._expect("(")
            *path, last = self._path()
            self._expect(")")
            return _has(tuple(path), last)
        if text in ("self", "oldSelf"):
            self._tokens.insert(0, (kind, text))
            return _field(tuple(self._path()))
        raise _TooHard

    def _list(self) -> _Expression:
        items: list[_Expression] = []
        while not self._take("]"):
            kind, text = self._tokens.pop(0) if self._tokens else ("", "")
            if kind not in ("text", "number"):
                raise _TooHard
            items.append(_constant(text[1:-1] if kind == "text" else int(text)))
            if not self._take(",") and self._next() != "]":
                raise _TooHard
        values = [item(None, None) for item in items]
        return _constant(values)

    def _path(self) -> list[str]:
        """`self.a.b` as its names."""
        path: list[str] = []
        while True:
            if not self._tokens or self._tokens[0][0] != "word":
                raise _TooHard
            path.append(self._tokens.pop(0)[1])
            if not self._take("."):
                break
        if path[0] not in ("self", "oldSelf") or self._next() in ("(", "["):
            raise _TooHard
        return path


def compile_small(rule: str) -> _Expression | None:
    """None for what needs the library."""
    try:
        return _Compiler(rule).compile()
    except _TooHard:
        return None


def _constant(value: Any) -> _Expression:
    return lambda new, old: value


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise RuleError("no such overload")


def _or(left: _Expression, right: _Expression) -> _Expression:
    def either(new: Any, old: Any) -> bool:
        try:
            if _truth(left(new, old)):
                return True
        except RuleError:
            # One side that holds is enough.
            if _truth(right(new, old)):
                return True
            raise
        return _truth(right(new, old))

    return either


def _and(left: _Expression, right: _Expression) -> _Expression:
    def both(new: Any, old: Any) -> bool:
        try:
            if not _truth(left(new, old)):
                return False
        except RuleError:
            # One side that does not hold is enough.
            if not _truth(right(new, old)):
                return False
            raise
        return _truth(right(new, old))

    return both


def _read(value: Any, name: str) -> Any:
    if not isinstance(value, dict):
        raise RuleError("no such overload")
    if name not in value:
        raise RuleError(f"no such key: {name}")
    return value[name]


def _field(path: tuple[str, ...]) -> _Expression:
    root, *names = path
    is_old = root == "oldSelf"

    def read(new: Any, old: Any) -> Any:
        value = old if is_old else new
        for name in names:
            value = _read(value, name)
        return value

    return read


def _has(path: tuple[str, ...], last: str) -> _Expression:
    if not path:
        raise _TooHard
    read = _field(path)

    def has(new: Any, old: Any) -> bool:
        value = read(new, old)
        if not isinstance(value, dict):
            raise RuleError("no such overload")
        return value.get(last) is not None

    return has


def same(left: Any, right: Any) -> bool:
    """Equal, a truth value being no number."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[name]) for name, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def _relation(sign: str, left: _Expression, right: _Expression) -> _Expression:
    if sign == "==":
        return lambda new, old: same(left(new, old), right(new, old))
    if sign == "!=":
        return lambda new, old: not same(left(new, old), right(new, old))
    if sign == "in":
        return lambda new, old: _within(left(new, old), right(new, old))

    def ordered(new: Any, old: Any) -> bool:
        first, second = left(new, old), right(new, old)
        numbers = isinstance(first, (int, float)) and isinstance(second, (int, float))
        if not (numbers or (isinstance(first, str) and isinstance(second, str))):
            raise RuleError("no such overload")
        less, equal = bool(first < second), bool(first == second)
        return {"<": less, "<=": less or equal, ">": not less and not equal, ">=": not less}[sign]

    return ordered


def _within(value: Any, place: Any) -> bool:
    if isinstance(place, dict):
        return isinstance(value, str) and value in place
    if isinstance(place, list):
        return any(same(value, each) for each in place)
    raise RuleError("no such overload")

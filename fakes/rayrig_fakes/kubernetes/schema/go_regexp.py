"""Regular expressions as Go reads them: what is wrong with one, and the same in Python's words."""

from __future__ import annotations

import re
from functools import lru_cache

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
#: Classes of letters outside ASCII, as far as Python has words for them.
_UNICODE = {"L": r"[^\W\d_]", "N": r"\d", "Lu": "[A-Z\u00c0-\u00de]", "Ll": "[a-z\u00df-\u00ff]"}
_REPEAT = re.compile(r"\{(\d+)(,(\d*))?\}")
_GROUP = re.compile(r"\(\?(P?<[A-Za-z_]\w*>|[imsU-]*[:)])")
_MOST_REPEATS = 1000

_KNOWN_ESCAPES = "aftnrvbBdDsSwWAzxCQEpP0"


@lru_cache(maxsize=512)
def problem(pattern: str) -> str:
    """What is wrong with a pattern, in the server's words; empty when it can be read."""
    at, depth, last = 0, 0, ""
    while at < len(pattern):
        char, step = pattern[at], 1
        if char == "\\":
            if at + 1 == len(pattern):
                return "trailing backslash at end of expression: ``"
            escaped = pattern[at + 1]
            if escaped.isascii() and escaped.isalnum() and escaped not in _KNOWN_ESCAPES:
                return f"invalid escape sequence: `\\{escaped}`"
            step, last = 2, "item"
        elif char == "[":
            end = _end_of_class(pattern, at)
            if end < 0:
                return f"missing closing ]: `{pattern[at:]}`"
            step, last = end - at, "item"
        elif char == "(":
            if pattern.startswith("(?", at):
                found = _GROUP.match(pattern, at)
                if found is None:
                    return f"invalid or unsupported Perl syntax: `{pattern[at : at + 3]}`"
                step = len(found[0])
                depth += 0 if found[0].endswith(")") else 1
            else:
                depth += 1
            last = ""
        elif char == ")":
            if not depth:
                return f"unexpected ): `{pattern}`"
            depth, last = depth - 1, "item"
        elif char == "|":
            last = ""
        elif char in "*+?" or (char == "{" and _REPEAT.match(pattern, at)):
            found = _REPEAT.match(pattern, at)
            text = found[0] if found else char
            if found:
                least, most = int(found[1]), int(found[3]) if found[3] else 0
                if least > _MOST_REPEATS or most > _MOST_REPEATS or (found[3] and most < least):
                    return f"invalid repeat count: `{text}`"
            if not last:
                return f"missing argument to repetition operator: `{text}`"
            if last != "item":
                return f"invalid nested repetition operator: `{last}{text}`"
            step = len(text)
            if pattern.startswith("?", at + step):
                step += 1
            last = pattern[at : at + step]
        else:
            last = "item"
        at += step
    return f"missing closing ): `{pattern}`" if depth else ""


def _end_of_class(pattern: str, at: int) -> int:
    """Behind the `]` that closes the class which begins at `at`; -1 when nothing does."""
    at += 1
    if pattern.startswith("^", at):
        at += 1
    first = True
    while at < len(pattern):
        if pattern[at] == "]" and not first:
            return at + 1
        first = False
        if pattern.startswith("[:", at):
            end = pattern.find(":]", at)
            if end > 0:
                at = end + 2
                continue
        at += 2 if pattern[at] == "\\" else 1
    return -1


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern in Python. Raises `re.error` for what Python has no words for."""
    made: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\" and at + 1 < len(pattern):
            text, at = _escape(pattern, at)
            made.append(text)
        elif char == "[":
            end = _end_of_class(pattern, at)
            made.append(_class(pattern[at:end]) if end > 0 else pattern[at:])
            at = end if end > 0 else len(pattern)
        elif char == "$":
            made.append(r"\Z")
            at += 1
        elif char == "(" and (found := _GROUP.match(pattern, at)) is not None and found[0].endswith(")"):
            # Flags from here on.
            made.append(f"(?{found[1][:-1]}:")
            rest = compiled(pattern[found.end() :]).pattern
            return re.compile("".join(made) + rest + ")", re.ASCII)
        elif pattern.startswith("(?<", at):
            made.append("(?P<")
            at += 3
        else:
            made.append(char)
            at += 1
    return re.compile("".join(made), re.ASCII)


def _escape(pattern: str, at: int) -> tuple[str, int]:
    escaped = pattern[at + 1]
    if escaped == "z":
        return r"\Z", at + 2
    if escaped == "Q":
        end = pattern.find("\\E", at)
        end = len(pattern) if end < 0 else end
        return re.escape(pattern[at + 2 : end]), end + 2
    if escaped in "pP":
        found = re.match(r"\{(\w+)\}|(\w)", pattern[at + 2 :])
        if found is not None:
            known = _UNICODE.get(found[1] or found[2], r"[^\W\d_]")
            return f"(?u:{known})" if escaped == "p" else f"(?!(?u:{known}))(?s:.)", at + 2 + found.end()
    if escaped == "x" and pattern.startswith("{", at + 2):
        end = pattern.find("}", at)
        return re.escape(chr(int(pattern[at + 3 : end], 16))), end + 1
    return pattern[at : at + 2], at + 2


def _class(text: str) -> str:
    for name, members in _POSIX.items():
        text = text.replace(f"[:{name}:]", members)
    inner = text[1:-1]
    # A bracket inside needs no escape in Go.
    return "[" + re.sub(r"(?<!\\)\[", r"\\[", inner) + "]"

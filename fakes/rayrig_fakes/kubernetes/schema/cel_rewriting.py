"""Rules as the library can read them: texts that stand for times, and macros with two variables, put in other words."""

from __future__ import annotations

import marshal
import re

from rayrig_core.objects import Json, JsonObject

_PATH = re.compile(r"(\bhas\(\s*)?\b(self|oldSelf)((?:\.[A-Za-z_]\w*)*)(\()?")
_CONVERSIONS = {
    "date-time": "timestamp({})",
    "datetime": "timestamp({})",
    "date": 'timestamp({} + "T00:00:00Z")',
    "duration": "duration({})",
    "byte": "base64.decode({})",
}


_MACRO = re.compile(
    r"([A-Za-z_][\w.]*)\.(all|exists|exists_one|existsOne|transformList)\(\s*([A-Za-z_]\w*)\s*,\s*([A-Za-z_]\w*)\s*,"
)


def rewritten(rule: str, schema: JsonObject) -> str:
    """The same rule in words that the library knows."""
    return _with_conversions(_with_sets(_with_one_variable(rule, schema), schema), schema)


def _schema_at(path: str, schema: JsonObject) -> Json:
    place: Json = schema
    for name in path.split(".")[1:]:
        place = (place.get("properties") or {}).get(name) if isinstance(place, dict) else None
    return place


def _with_one_variable(rule: str, schema: JsonObject) -> str:
    """`list.all(i, v, …)` over the indices of a list, or the keys of a map."""
    while (found := _MACRO.search(rule)) is not None:
        end = _closing(rule, found.end())
        parts = _arguments(rule[found.end() : end])
        receiver, macro, index, value = found[1], found[2], found[3], found[4]
        if macro in ("all", "exists", "exists_one", "existsOne") and len(parts) != 1:
            return rule
        if not parts or len(parts) > 2 or end < 0:
            return rule
        place = _schema_at(receiver, schema) if receiver.split(".")[0] in ("self", "oldSelf") else None
        is_map = isinstance(place, dict) and place.get("type") == "object"
        over = receiver if is_map else f"lists.range({receiver}.size())"
        bodies = [re.sub(rf"(?<![\w.]){value}\b", f"{receiver}[{index}]", part.strip()) for part in parts]
        name = {"existsOne": "exists_one", "transformList": "map"}.get(macro, macro)
        rule = f"{rule[: found.start()]}{over}.{name}({index}, {', '.join(bodies)}){rule[end + 1 :]}"
    return rule


_EQUALS = re.compile(r"\b((?:self|oldSelf)[\w.]*)\s*(==|!=)\s*(\[[^\[\]]*\]|(?:self|oldSelf)[\w.]*)(?![\w.(\[])")


def _with_sets(rule: str, schema: JsonObject) -> str:
    """Lists that are sets are equal in any order."""

    def compare(found: re.Match[str]) -> str:
        place = _schema_at(found[1], schema)
        if not isinstance(place, dict) or place.get("x-kubernetes-list-type") != "set":
            return found[0]
        return f"{'!' if found[2] == '!=' else ''}sets.equivalent({found[1]}, {found[3]})"

    return _EQUALS.sub(compare, rule) if "==" in rule or "!=" in rule else rule


def _closing(text: str, at: int) -> int:
    """Where the bracket closes that is open at `at`; -1 when it does not."""
    depth, quote = 1, ""
    while at < len(text):
        char = text[at]
        if quote:
            at += char == "\\"
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if not depth:
                return at
        at += 1
    return -1


def _arguments(text: str) -> list[str]:
    parts, start, at = [], 0, 0
    while at < len(text):
        char = text[at]
        if char in "([{":
            at = _closing(text, at + 1)
        elif char in "'\"":
            end = text.find(char, at + 1)
            at = end if end >= 0 else len(text)
        elif char == ",":
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return [*parts, text[start:]]


def _with_conversions(rule: str, schema: JsonObject) -> str:
    """A rule in which texts that stand for times, amounts of time and bytes are read as such."""
    if not rule or not any(form.encode() in marshal.dumps(schema, 2) for form in ("date", "duration", "byte")):
        return rule

    def convert(found: re.Match[str]) -> str:
        path, call = found[3], ""
        if found[4]:
            # The last word is a function's.
            path, _, call = path.rpartition(".")
            call = f".{call}("
        place = _schema_at(path, schema)
        form = _CONVERSIONS.get(str(place.get("format"))) if isinstance(place, dict) else None
        if found[1] or form is None or not isinstance(place, dict) or place.get("type") != "string":
            return found[0]
        return form.format(f"{found[2]}{path}") + call

    return _PATH.sub(convert, rule)

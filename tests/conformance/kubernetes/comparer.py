"""How a recorded answer and a given one are compared: placeholders, null and absent alike, subsets, loose order of causes."""

from __future__ import annotations

import json
import re
from typing import Any

TOKENS = {
    "<uid>": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "<rv>": r"[0-9]+",
    "<n>": r"[0-9]+",
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "<microtime>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z",
    "<gen5>": r"[a-z0-9]{5}",
    "<hash>": r"[a-z0-9]{6,10}",
    "<ip>": r"\d{1,3}(?:\.\d{1,3}){3}",
    "<dur>": r"(?:\d+[smhdy])+",
    "<continue>": r"[A-Za-z0-9_=-]+",
    "<version>": r"v?\d[\w.+-]*",
    "<any>": r"(?s:.*)",
}
_TOKEN = re.compile("|".join(re.escape(token) for token in TOKENS))
_VARIABLE = re.compile(r"\$\{([A-Za-z0-9_]+)(:int)?\}")


def fill(value: Any, variables: dict[str, Any]) -> Any:
    """`${name}` in every string of a JSON value; `"${name:int}"` alone gives a number."""
    if isinstance(value, str):
        whole = _VARIABLE.fullmatch(value)
        if whole and whole.group(2):
            return int(variables[whole.group(1)])
        return _VARIABLE.sub(lambda found: str(variables.get(found.group(1), found.group(0))), value)
    if isinstance(value, dict):
        return {fill(key, variables): fill(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, variables) for item in value]
    return value


def text_matches(expected: str, actual: str) -> bool:
    if expected == actual:
        return True
    if not _TOKEN.search(expected):
        return False
    pattern, place = [], 0
    for found in _TOKEN.finditer(expected):
        pattern += [re.escape(expected[place : found.start()]), TOKENS[found.group(0)]]
        place = found.end()
    pattern.append(re.escape(expected[place:]))
    return re.fullmatch("".join(pattern), actual) is not None


def pointer(value: Any, path: str) -> Any:
    """JSON pointer; a list index may also be `[key=value]`."""
    for part in [piece for piece in path.split("/") if piece]:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            found = re.fullmatch(r"\[(\w+)=(.*)\]", part)
            value = next(e for e in value if e.get(found[1]) == found[2]) if found else value[int(part)]
        else:
            value = value[part]
    return value


def differences(expected: Any, actual: Any, mode: str = "exact", path: str = "") -> list[str]:
    """What is not as recorded, a line each."""
    if expected == "<any>":
        return []
    here = path or "/"
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            return [f"{here}: expected an object, got {_short(actual)}"]
        found: list[str] = []
        for key, value in expected.items():
            if value is None and actual.get(key) is None:
                continue
            if key not in actual:
                found.append(f"{path}/{key}: missing, expected {_short(value)}")
            else:
                found += differences(value, actual[key], mode, f"{path}/{key}")
        if mode == "exact":
            surplus = [key for key in actual if key not in expected and actual[key] is not None]
            found += [f"{path}/{key}: unexpected {_short(actual[key])}" for key in surplus]
        return found
    if isinstance(expected, list):
        if not isinstance(actual, list):
            return [f"{here}: expected a list, got {_short(actual)}"]
        if mode == "subset":
            missing = [e for e in expected if not any(not differences(e, a, mode) for a in actual)]
            return [f"{path}: no element matches {_short(e)}" for e in missing]
        if len(expected) != len(actual):
            return [f"{here}: expected {len(expected)} elements, got {len(actual)}: {_short(actual)}"]
        pairs = enumerate(zip(expected, actual, strict=True))
        return [line for at, (e, a) in pairs for line in differences(e, a, mode, f"{path}/{at}")]
    if isinstance(expected, str):
        if isinstance(actual, str) and text_matches(expected, actual):
            return []
    elif isinstance(expected, bool) or isinstance(actual, bool) or expected is None:
        if expected is actual:
            return []
    elif expected == actual:
        return []
    return [f"{here}: expected {_short(expected)}, got {_short(actual)}"]


def compare(expected: Any, actual: Any, how: dict[str, Any]) -> list[str]:
    """Bodies, by the settings of an expectation: managedFields, ignore, sort_items, match."""
    expected, actual = json.loads(json.dumps(expected)), json.loads(json.dumps(actual))
    if not how.get("managedFields"):
        expected, actual = _without_managed(expected), _without_managed(actual)
    for path in how.get("ignore") or []:
        _drop(expected, path.split("/")[1:])
        _drop(actual, path.split("/")[1:])
    _loosen_causes(expected)
    _loosen_causes(actual)
    by = how.get("sort_items")
    if by and isinstance(expected, dict) and isinstance(actual, dict):
        for body in (expected, actual):
            body["items"] = _sorted_items(body.get("items"), by)
    return differences(expected, actual, how.get("match", "exact"))


def _sorted_items(items: Any, by: str) -> Any:
    try:
        return sorted(items, key=lambda item: str(pointer(item, by)))
    except (KeyError, TypeError, IndexError):
        return items


def _without_managed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_managed(item) for key, item in value.items() if key != "managedFields"}
    if isinstance(value, list):
        return [_without_managed(item) for item in value]
    return value


def _drop(value: Any, parts: list[str]) -> None:
    part = parts[0].replace("~1", "/").replace("~0", "~")
    below: list[Any] = []
    if part == "*":
        below = list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
    elif isinstance(value, dict) and part in value:
        if len(parts) == 1:
            del value[part]
            return
        below = [value[part]]
    elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
        below = [value[int(part)]]
    if len(parts) > 1:
        for each in below:
            _drop(each, parts[1:])


def _loosen_causes(body: Any) -> None:
    """Several causes come in any order, in the list and in the message."""
    if not isinstance(body, dict) or body.get("kind") != "Status" or not isinstance(body.get("details"), dict):
        return
    causes = body["details"].get("causes")
    if isinstance(causes, list) and len(causes) > 1:
        causes.sort(key=lambda cause: json.dumps(cause, sort_keys=True))
        if isinstance(body.get("message"), str):
            body["message"] = body["message"].split(": [")[0]


def _short(value: Any, limit: int = 160) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= limit else text[:limit] + "…"

"""What of an answer counts, and how two differ."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

#: Kubernetes' own account, different in every run.
_LEFT_OUT = ("managedFields", "resourceVersion", "uid")
_TOKENS = ("continue", "nextPageToken")
_TIME = re.compile(r"(?!1969|1970|2020)\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?: ?\+0000 UTC|Z)(?: m=\+[0-9.]+)?")
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def normal(value: Any, namespaces: dict[str, str], key: str = "") -> Any:
    """With placeholders for what differs from run to run. `namespaces` has their names by placeholder."""
    if isinstance(value, dict):
        return {
            normal(name, namespaces): normal(each, namespaces, name)
            for name, each in value.items()
            if name not in _LEFT_OUT
        }
    if isinstance(value, list):
        return [normal(each, namespaces) for each in value]
    if not isinstance(value, str):
        return value
    if key in _TOKENS:
        return "<CONTINUE>"
    for placeholder, name in namespaces.items():
        value = value.replace(name, f"${{{placeholder}}}")
    return _UID.sub("<UID>", _TIME.sub("<TIME>", value))


def differences(expected: Any, found: Any, path: str = "$") -> Iterator[str]:
    """Each with its path; null and absent are the same."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in [*expected, *(key for key in found if key not in expected)]:
            yield from differences(expected.get(key), found.get(key), f"{path}.{key}")
    elif isinstance(expected, list) and isinstance(found, list):
        for index in range(max(len(expected), len(found))):
            left = expected[index] if index < len(expected) else None
            right = found[index] if index < len(found) else None
            yield from differences(left, right, f"{path}[{index}]")
    elif expected != found:
        yield f"{path}: expected {expected!r}, found {found!r}"

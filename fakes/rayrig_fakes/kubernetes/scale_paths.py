"""What is wrong with the places a scale subresource reads (K8-044)."""

from __future__ import annotations

from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.status import Cause

_MOST = 2**31 - 1


def scale_problems(obj: JsonObject, paths: JsonObject) -> list[Cause]:
    """Causes against the replica counts of a custom resource."""
    causes: list[Cause] = []
    for name in ("specReplicasPath", "statusReplicasPath"):
        path = paths.get(name)
        if path and path.strip(".").partition(".")[0] in obj:
            causes += _count_problems(obj, path)
    return causes


def _count_problems(obj: JsonObject, path: str) -> list[Cause]:
    value: Any = obj
    for part in path.strip(".").split("."):
        if not isinstance(value, dict):
            return [_wrong_access(path, value, "map[string]interface{}")]
        if part not in value:
            return []
        value = value[part]
    if isinstance(value, bool) or not isinstance(value, int):
        if isinstance(value, float) and value.is_integer():
            return []
        return [_wrong_access(path, value, "int64")]
    if value < 0:
        return [status.invalid_value(path, value, "should be a non-negative integer")]
    if value > _MOST:
        return [status.invalid_value(path, value, f"should be less than or equal to {_MOST}")]
    return []


def _wrong_access(path: str, value: Any, wanted: str) -> Cause:
    text = f"{path} accessor error: {status.go_map(value)} is of the type {_go_type(value)}, expected {wanted}"
    return status.invalid_value(path, 0, text)


def _go_type(value: Any) -> str:
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int):
        return "int64"
    if isinstance(value, float):
        return "float64"
    return "[]interface {}" if isinstance(value, list) else "map[string]interface {}"

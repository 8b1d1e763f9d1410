"""JSON merge patch (RFC 7386): applying one, and the patch that leads from one object to another."""

from __future__ import annotations

from rayrig_core.objects import Json


def merge_patch(target: Json, patch: Json) -> Json:
    """A copy of `target` with the patch applied."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def merge_patch_between(old: Json, new: Json) -> Json:
    """The patch that turns `old` into `new`; empty when they are the same. Lists are replaced whole."""
    patch = {}
    for name, value in new.items():
        before = old.get(name)
        if name in old and before == value and type(before) is type(value):
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            inner = merge_patch_between(before, value)
            if inner:
                patch[name] = inner
        else:
            patch[name] = value
    for name in old:
        if name not in new:
            patch[name] = None
    return patch

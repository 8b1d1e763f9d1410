"""JSON merge patch (RFC 7386): applying one, and the patch that leads from one object to another."""

from __future__ import annotations

import marshal

from rayrig_core.objects import Json, JsonObject


def apply_merge_patch(target: Json, patch: Json) -> Json:
    """`target` after the patch: null deletes, lists are replaced whole. `target` is changed; `patch` is not."""
    if not isinstance(patch, dict):
        return marshal.loads(marshal.dumps(patch, 2)) if isinstance(patch, list) else patch
    if not isinstance(target, dict):
        target = {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            target[key] = apply_merge_patch(target.get(key), value)
        elif isinstance(value, list):
            target[key] = marshal.loads(marshal.dumps(value, 2))
        else:
            target[key] = value
    return target


def merge_patch_between(old: JsonObject, new: JsonObject) -> JsonObject:
    """The patch that turns `old` into `new`; empty when they are the same. Lists are replaced whole."""
    patch: JsonObject = {}
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

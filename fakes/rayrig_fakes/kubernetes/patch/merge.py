"""JSON merge patch (RFC 7386)."""

from __future__ import annotations

import marshal

from rayrig_core.objects import Json


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

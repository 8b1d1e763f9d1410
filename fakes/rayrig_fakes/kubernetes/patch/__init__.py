"""The kinds of patch: JSON patch, merge patch, strategic merge patch (`kubernetes-api.md` section 6).

Server-side apply is more than a patch (it keeps track of who owns which field) and has its own package, `apply`.
"""

from __future__ import annotations

from rayrig_core.errors import ApiError
from rayrig_core.merge_patch import apply_merge_patch
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.patch.json_patch import PatchFailed, apply_json_patch
from rayrig_fakes.kubernetes.patch.strategic import apply_strategic_patch
from rayrig_fakes.kubernetes.registry import Served

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def unsupported_patch(served: Served) -> ApiError:
    """415 for a patch type the kind does not take (K8-029)."""
    if served.rules.is_custom:
        return status.unsupported_media_type((JSON_PATCH, MERGE_PATCH, APPLY_PATCH))
    return status.error(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def apply_patch(served: Served, obj: JsonObject, call: ApiCall) -> JsonObject:
    """The patched object; `obj` is changed. Raises `ApiError` 400, 415, 422."""
    patch = call.body
    if call.patch_type == "json":
        if not isinstance(patch, list):
            text = "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
            raise status.bad_request(f"error decoding patch: {text}")
        try:
            patched = apply_json_patch(obj, patch)
        except PatchFailed:
            text = "the server rejected our request due to an error in our request"
            raise status.error(422, "Invalid", text, {}) from None
        if not isinstance(patched, dict):
            raise status.error(422, "Invalid", "the server rejected our request due to an error in our request", {})
        return patched
    if not isinstance(patch, dict):
        found = "array" if isinstance(patch, list) else "string" if isinstance(patch, str) else "number"
        text = f"json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
        raise status.bad_request(f"error decoding patch: {text}")
    if call.patch_type == "strategic":
        if served.rules.is_custom:
            raise unsupported_patch(served)
        return apply_strategic_patch(obj, patch, served.type.kind)
    patched = apply_merge_patch(obj, patch)
    assert isinstance(patched, dict)
    return patched

"""The kinds of patch: JSON patch, merge patch, strategic merge patch (`kubernetes-api.md` section 6).

Server-side apply is more than a patch (it keeps track of who owns which field) and has its own package, `apply`.
"""

from __future__ import annotations

from rayrig_core.errors import ApiError
from rayrig_core.merge_patch import apply_merge_patch
from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.bodies import Malformed
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.patch.json_patch import PatchFailed, apply_json_patch
from rayrig_fakes.kubernetes.patch.strategic import apply_strategic_patch
from rayrig_fakes.kubernetes.registry import Served
from rayrig_fakes.kubernetes.typed.catalogue import type_of
from rayrig_fakes.kubernetes.typed.decoding import json_type

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
    if isinstance(patch, Malformed):
        raise status.bad_request(str(patch) if call.patch_type == "strategic" else f"error decoding patch: {patch}")
    if call.patch_type == "json":
        try:
            patched = apply_json_patch(obj, _operations(patch))
        except PatchFailed:
            text = "the server rejected our request due to an error in our request"
            raise status.error(422, "Invalid", text, {}) from None
        if not isinstance(patched, dict):
            raise status.error(422, "Invalid", "the server rejected our request due to an error in our request", {})
        return patched
    if patch is None and call.patch_type == "strategic":
        return obj
    if patch is None:
        raise status.bad_request("Invalid JSON Patch")
    if not isinstance(patch, dict):
        text = f"json: cannot unmarshal {json_type(patch)} into Go value of type map[string]interface {{}}"
        raise status.bad_request(text if call.patch_type == "strategic" else f"error decoding patch: {text}")
    if call.patch_type == "strategic":
        if served.rules.is_custom:
            raise unsupported_patch(served)
        patched = apply_strategic_patch(obj, patch, type_of(served.type) or "")
        # The type is the path's, whatever the patch says.
        return {**patched, "apiVersion": served.type.api_version, "kind": served.type.kind}
    patched = apply_merge_patch(obj, _without_nulls_in_lists(patch))
    assert isinstance(patched, dict)
    return patched


def _without_nulls_in_lists(patch: JsonObject) -> JsonObject:
    """Fields that are null in the items of a list are left out, as they are everywhere in what is new."""
    return {field: _pruned(value) if isinstance(value, (dict, list)) else value for field, value in patch.items()}


def _pruned(value: Json, *, listed: bool = False) -> Json:
    if isinstance(value, dict):
        return {
            field: _pruned(inner, listed=listed) if isinstance(inner, (dict, list)) else inner
            for field, inner in value.items()
            if inner is not None or not listed
        }
    return [_pruned(item, listed=True) for item in value] if isinstance(value, list) else value


def _operations(patch: Json) -> list[Json]:
    """Raises `ApiError` 400 for what is no list of operations by its types."""
    if patch is None:
        return []
    wrong = ""
    if not isinstance(patch, list):
        wrong = f"{json_type(patch)} into Go value of type []handlers.jsonPatchOp"
    else:
        for operation in patch:
            if operation is not None and not isinstance(operation, dict):
                wrong = wrong or f"{json_type(operation)} into Go value of type handlers.jsonPatchOp"
                continue
            for field in ("op", "path", "from"):
                value = (operation or {}).get(field)
                if value is not None and not isinstance(value, str):
                    wrong = wrong or f"{json_type(value)} into Go struct field jsonPatchOp.{field} of type string"
    if wrong:
        raise status.bad_request(f"error decoding patch: json: cannot unmarshal {wrong}")
    assert isinstance(patch, list)
    return patch

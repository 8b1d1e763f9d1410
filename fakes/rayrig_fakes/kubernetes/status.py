"""`Status` bodies and the exceptions that carry them (`kubernetes-api.md` section 2)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rayrig_core.errors import ApiError as ApiError
from rayrig_core.errors import api_error
from rayrig_core.objects import Json, JsonObject
from rayrig_core.resource_types import ResourceType


def status_body(
    code: int,
    reason: str,
    message: str,
    details: JsonObject | None = None,
    *,
    metadata: JsonObject | None = None,
) -> JsonObject:
    """A `Status` of status Failure."""
    body: JsonObject = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": metadata or {},
        "status": "Failure",
        "message": message,
    }
    if reason:
        body["reason"] = reason
    if details is not None:
        body["details"] = details
    body["code"] = code
    return body


def success(details: JsonObject | None = None) -> JsonObject:
    """A `Status` of status Success."""
    body: JsonObject = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details is not None:
        body["details"] = details
    return body


def _details(resource: ResourceType, name: str) -> JsonObject:
    details: JsonObject = {}
    if name:
        details["name"] = name
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.plural
    return details


def error(code: int, reason: str, message: str, details: JsonObject | None = None) -> ApiError:
    return api_error(status_body(code, reason, message, details))


def not_found(resource: ResourceType, name: str) -> ApiError:
    return error(404, "NotFound", f'{resource.group_resource} "{name}" not found', _details(resource, name))


def unknown_resource() -> ApiError:
    """A path of a known group version that names nothing served."""
    return error(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource: ResourceType, name: str, *, generated: bool = False) -> ApiError:
    """`generated`: a prefix was given to make a name from."""
    text = f'{resource.group_resource} "{name}" already exists'
    details = _details(resource, name)
    if generated:
        text += ", the server was not able to generate a unique name for the object"
        details["retryAfterSeconds"] = 1
    return error(409, "AlreadyExists", text, details)


def being_deleted(resource: ResourceType, name: str) -> ApiError:
    """Create of a name whose object still waits for its finalizers."""
    text = f'object is being deleted: {resource.group_resource} "{name}" already exists'
    return error(409, "AlreadyExists", text, _details(resource, name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: ResourceType, name: str, why: str = MODIFIED) -> ApiError:
    text = f'Operation cannot be fulfilled on {resource.group_resource} "{name}": {why}'
    return error(409, "Conflict", text, _details(resource, name))


def other_object(resource: ResourceType, namespace: str, name: str, wanted: str, found: str) -> ApiError:
    """409: an update or a subresource speaks of another object of that name."""
    key = "/".join(["/registry", _place(resource), *((namespace,) if namespace else ()), name])
    text = (
        f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: "
        f"UID in precondition: {wanted}, UID in object meta: {found}"
    )
    return conflict(resource, name, text)


#: Resources whose place in the store is called otherwise.
_PLACES = {
    "services": "services/specs",
    "endpoints": "services/endpoints",
    "nodes": "minions",
    "replicationcontrollers": "controllers",
    "ingresses": "ingress",
}
_GROUPS_WITH_PLACES = ("apiextensions.k8s.io", "apiregistration.k8s.io")


def _place(resource: ResourceType) -> str:
    """Where the store keeps objects of a resource: those of most built-in groups side by side."""
    group = resource.group
    if "." in group and (group in _GROUPS_WITH_PLACES or not group.endswith(".k8s.io")):
        return f"{group}/{resource.plural}"
    return _PLACES.get(resource.plural, resource.plural)


def failed_precondition(resource: ResourceType, name: str, what: str, wanted: str, found: str) -> ApiError:
    """409 on a delete. `what` is `UID` or `ResourceVersion`."""
    text = (
        f"the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). "
        "The object might have been "
    )
    text += "deleted and then recreated" if what == "UID" else "modified"
    details: JsonObject = {"name": name}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.kind
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    return error(409, "Conflict", f'Operation cannot be fulfilled on {kind} "{name}": {text}', details)


def bad_request(message: str, details: JsonObject | None = None) -> ApiError:
    return error(400, "BadRequest", message, details)


def other_object_type(api_version: str, kind: str) -> ApiError:
    """400: what is applied is not of the path's kind."""
    group, _, version = api_version.rpartition("/")
    return bad_request(f"invalid object type: {group}/{version}, Kind={kind}")


def forbidden(resource: ResourceType, name: str, why: str, causes: Sequence[JsonObject] = ()) -> ApiError:
    details = _details(resource, name)
    if causes:
        details["causes"] = list(causes)
    return error(403, "Forbidden", f'{resource.group_resource} "{name}" is forbidden: {why}', details)


def expired(message: str, continue_token: str = "") -> ApiError:
    """410. `continue_token`: where a paged list may go on, at the present state."""
    metadata = {"continue": continue_token} if continue_token else None
    return api_error(status_body(410, "Expired", message, metadata=metadata))


def method_not_allowed() -> ApiError:
    return error(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    text = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return error(415, "UnsupportedMediaType", text)


# What is wrong with a field


def go_value(value: Json) -> str:
    """A JSON value the way it shows in `Invalid value: …`."""
    if value is None:
        return "null"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def go_map(value: Json) -> str:
    """As Go prints a value out of JSON: `map[status:map[phase:x]]`."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{field}:{go_map(value[field])}" for field in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(go_map(item) for item in value) + "]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing wrong with one field. `message` without the field's name."""

    field: str
    reason: str
    message: str

    def text(self) -> str:
        return f"{self.field}: {self.message}"


def required(field: str, text: str = "") -> Cause:
    return Cause(field, "FieldValueRequired", f"Required value: {text}" if text else "Required value")


def invalid_value(field: str, value: Json, text: str) -> Cause:
    return Cause(field, "FieldValueInvalid", f"Invalid value: {go_value(value)}{': ' if text else ''}{text}")


def wrong_type(field: str, value: Json, text: str) -> Cause:
    return Cause(field, "FieldValueTypeInvalid", f"Invalid value: {go_value(value)}: {text}")


def not_supported(field: str, value: Json, supported: Sequence[Json]) -> Cause:
    choices = ", ".join(go_value(choice) for choice in supported)
    text = f"Unsupported value: {go_value(value)}: supported values: {choices}"
    return Cause(field, "FieldValueNotSupported", text)


def duplicate(field: str, value: Json) -> Cause:
    return Cause(field, "FieldValueDuplicate", f"Duplicate value: {go_value(value)}")


def forbidden_field(field: str, text: str) -> Cause:
    return Cause(field, "FieldValueForbidden", f"Forbidden: {text}")


def too_long(field: str, limit: int, unit: str = "bytes") -> Cause:
    return Cause(field, "FieldValueTooLong", f"Too long: may not be more than {limit} {unit}")


def too_many(field: str, count: int, limit: int) -> Cause:
    return Cause(field, "FieldValueTooMany", f"Too many: {count}: must have at most {limit} items")


def missing_reference(field: str, value: Json) -> Cause:
    return Cause(field, "FieldValueNotFound", f"Not found: {go_value(value)}")


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422 with its causes; equal texts show once in the message."""
    texts = list(dict.fromkeys(cause.text() for cause in causes))
    what = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    qualified = f"{kind}.{group}" if group else kind
    details: JsonObject = {"name": name} if name else {}
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    details["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    return error(422, "Invalid", f'{qualified} "{name}" is invalid: {what}', details)

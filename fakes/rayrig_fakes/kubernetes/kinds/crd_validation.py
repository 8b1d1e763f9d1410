"""What is wrong with a CustomResourceDefinition, apart from its schemas' insides (K8-040).

What all versions have in common is spoken of once and without a version: the server keeps it so.
"""

from __future__ import annotations

import re
from typing import Any

from rayrig_core.kubernetes_names import dns_subdomain
from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.status import Cause

_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DNS_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and "
    "end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_MOST_SELECTABLE = 8
_WARNING_LIMIT = 256
_APPROVAL = "api-approved.kubernetes.io"


def definition_problems(obj: JsonObject) -> list[Cause]:
    """Causes against all but the insides of the schemas."""
    causes: list[Cause] = []
    spec = obj["spec"]
    names, versions = spec.get("names") or {}, spec.get("versions") or []
    group, plural, name = spec.get("group") or "", names.get("plural") or "", obj["metadata"].get("name")
    is_new = not obj["metadata"].get("resourceVersion")
    if is_new and name and name != f"{plural}.{group}":
        causes.append(status.invalid_value("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    if not group:
        causes.append(status.required("spec.group"))
    elif problems := dns_subdomain(group):
        causes += [status.invalid_value("spec.group", group, text) for text in problems]
    elif "." not in group:
        causes.append(status.invalid_value("spec.group", group, "should be a domain with at least one dot"))
    if not spec.get("scope"):
        causes.append(status.required("spec.scope"))
    elif spec["scope"] not in ("Namespaced", "Cluster"):
        causes.append(status.not_supported("spec.scope", spec["scope"], ["Cluster", "Namespaced"]))
    causes += _name_problems(names)
    causes += _version_problems(spec.get("versions"))
    causes += _conversion_problems(spec.get("conversion") or {})
    if spec.get("preserveUnknownFields"):
        text = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        causes.append(status.invalid_value("spec.preserveUnknownFields", True, text))
    causes += stored_version_problems(obj)
    protected = is_new and (group in ("k8s.io", "kubernetes.io") or group.endswith((".k8s.io", ".kubernetes.io")))
    if protected and not (obj["metadata"].get("annotations") or {}).get(_APPROVAL):
        text = (
            f'protected groups must have approval annotation "{_APPROVAL}", see '
            "https://github.com/kubernetes/enhancements/pull/1111"
        )
        causes.append(status.required(f"metadata.annotations[{_APPROVAL}]", text))
    for index, version in enumerate(versions):
        if (version.get("schema") or {}).get("openAPIV3Schema") is None:
            causes.append(status.required(f"spec.versions[{index}].schema.openAPIV3Schema"))
    return causes


def label_problems(name: str) -> list[str]:
    """DNS-1035 label of at most 63 characters."""
    problems = ["must be no more than 63 characters"] if len(name) > 63 else []
    return problems if _DNS_1035.fullmatch(name) else [*problems, _DNS_1035_TEXT]


def _name_problems(names: JsonObject) -> list[Cause]:
    causes: list[Cause] = []
    for part in ("plural", "singular", "kind", "listKind"):
        name, field = names.get(part) or "", f"spec.names.{part}"
        mixed = part in ("kind", "listKind")
        if not name:
            causes.append(status.required(field))
            continue
        for text in label_problems(name.lower() if mixed else name):
            words = f"may have mixed case, but should otherwise match: {text}" if mixed else text
            causes.append(status.invalid_value(field, name, words))
    if names.get("kind") and names["kind"] == names.get("listKind"):
        causes.append(
            status.invalid_value("spec.names.listKind", names["listKind"], "kind and listKind may not be the same")
        )
    for part in ("shortNames", "categories"):
        for index, name in enumerate(names.get(part) or ()):
            field = f"spec.names.{part}[{index}]"
            causes += [status.invalid_value(field, name, text) for text in label_problems(name)]
    return causes


# Versions


def _shared(versions: list[JsonObject], part: str) -> bool:
    """All versions say the same of this."""
    return all(version.get(part) == versions[0].get(part) for version in versions)


def internal_form(versions: list[JsonObject] | None) -> Json:
    """Versions as the server shows them in messages."""
    if versions is None:
        return None

    def own(version: JsonObject, part: str) -> Json:
        return None if _shared(versions, part) else version.get(part)

    return [
        {
            "Name": version.get("name") or "",
            "Served": bool(version.get("served")),
            "Storage": bool(version.get("storage")),
            "Deprecated": bool(version.get("deprecated")),
            "DeprecationWarning": version.get("deprecationWarning"),
            "Schema": own(version, "schema"),
            "Subresources": own(version, "subresources"),
            "AdditionalPrinterColumns": own(version, "additionalPrinterColumns"),
            "SelectableFields": own(version, "selectableFields"),
        }
        for version in versions
    ]


def _version_problems(versions: list[JsonObject] | None) -> list[Cause]:
    causes: list[Cause] = []
    names: list[str] = []
    unique = True
    for index, version in enumerate(versions or ()):
        field, name = f"spec.versions[{index}]", version.get("name") or ""
        causes += [status.invalid_value(f"{field}.name", name, text) for text in label_problems(name)]
        unique = unique and name not in names
        names.append(name)
        causes += _deprecation_problems(version, field)
    if not unique:
        causes.append(
            status.invalid_value("spec.versions", internal_form(versions), "must contain unique version names")
        )
    if sum(1 for version in versions or () if version.get("storage")) != 1:
        text = "must have exactly one version marked as storage version"
        causes.append(status.invalid_value("spec.versions", internal_form(versions), text))
    if not versions:
        return causes
    for part, check in (
        ("additionalPrinterColumns", _column_problems),
        ("subresources", _subresource_problems),
        ("selectableFields", _selectable_problems),
    ):
        if _shared(versions, part):
            causes += check(versions[0], f"spec.{part}")
            continue
        for index, version in enumerate(versions):
            if part == "selectableFields" and version.get(part) and _shared(versions, "schema"):
                text = "may only be set when `version.schema.openAPIV3Schema` is not included"
                causes.append(status.invalid_value(f"spec.versions[{index}].{part}", "", text))
            else:
                causes += check(version, f"spec.versions[{index}].{part}")
    return causes


def _deprecation_problems(version: JsonObject, field: str) -> list[Cause]:
    text, at = version.get("deprecationWarning"), f"{field}.deprecationWarning"
    if text is None:
        return []
    if not version.get("deprecated"):
        return [status.invalid_value(at, text, "can only be set for deprecated versions")]
    if not text:
        return [status.invalid_value(at, text, "must not be an empty string")]
    if len(text) > _WARNING_LIMIT:
        return [status.invalid_value(at, text, f"must be <= {_WARNING_LIMIT} characters long")]
    for index, char in enumerate(text):
        if not char.isprintable():
            words = f"must only contain printable UTF-8 characters; non-printable character found at index {index}"
            return [status.invalid_value(at, text, words)]
    return []


def _column_problems(version: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    types, formats = ",".join(_COLUMN_TYPES), ",".join(_COLUMN_FORMATS)
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        at = f"{field}[{index}]"
        if not column.get("name"):
            causes.append(status.required(f"{at}.name"))
        kind, form = column.get("type"), column.get("format")
        if not kind:
            causes.append(status.required(f"{at}.type", f"must be one of {types}"))
        elif kind not in _COLUMN_TYPES:
            causes.append(status.invalid_value(f"{at}.type", kind, f"must be one of {types}"))
        if form and form not in _COLUMN_FORMATS:
            causes.append(status.invalid_value(f"{at}.format", form, f"must be one of {formats}"))
        causes += _path_problems(column.get("jsonPath"), f"{at}.JSONPath")
    return causes


def _path_problems(path: str | None, field: str) -> list[Cause]:
    if not path:
        return [status.required(field)]
    if not path.startswith("."):
        return [status.invalid_value(field, path, "must be a simple json path starting with .")]
    return []


def _subresource_problems(version: JsonObject, field: str) -> list[Cause]:
    scale = (version.get("subresources") or {}).get("scale")
    if scale is None:
        return []
    causes: list[Cause] = []
    for name, root in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")):
        path, at = scale.get(name), f"{field}.scale.{name}"
        problems = _path_problems(path, at)
        if not problems and not str(path).startswith(f"{root}."):
            problems = [status.invalid_value(at, path, f"should be a json path under {root}")]
        causes += problems
    path, at = scale.get("labelSelectorPath"), f"{field}.scale.labelSelectorPath"
    if path:
        problems = _path_problems(path, at)
        if not problems and not path.startswith((".spec.", ".status.")):
            problems = [status.invalid_value(at, path, "should be a json path under either .spec or .status")]
        causes += problems
    return causes


# Selectable fields

_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)")


def _selectable_problems(version: JsonObject, field: str) -> list[Cause]:
    fields = version.get("selectableFields") or []
    causes: list[Cause] = []
    seen: list[str] = []
    schema: JsonObject = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    for index, entry in enumerate(fields):
        path, at = entry.get("jsonPath") or "", f"{field}[{index}].jsonPath"
        if not path:
            causes.append(status.required(at))
        elif path in seen:
            causes.append(status.duplicate(at, path))
        else:
            seen.append(path)
            problem = _selectable_problem(path, schema)
            if problem:
                causes.append(status.invalid_value(at, path, problem))
    if len(fields) > _MOST_SELECTABLE and not causes:
        causes.append(status.too_many(field, len(fields), _MOST_SELECTABLE))
    return causes


def _selectable_problem(path: str, schema: JsonObject) -> str:
    if not path.startswith((".", "[")):
        return f"is an invalid path: expected [ or . but got: {path.partition('.')[0]}"
    if re.search(r"\[\d*\]", path):
        return "is an invalid path: array notation is not allowed"
    names = _STEP.findall(path)
    place: Any = schema
    for depth, name in enumerate(names):
        place = (place.get("properties") or {}).get(name) if isinstance(place, dict) else None
        if place is None or (not depth and name == "metadata"):
            return "is an invalid path: does not refer to a valid field"
    if place.get("type") not in ("string", "boolean", "integer"):
        return (
            "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are "
            "allowed."
        )
    return ""


# Conversion, stored versions


def _conversion_problems(conversion: JsonObject) -> list[Cause]:
    causes: list[Cause] = []
    strategy, webhook = conversion.get("strategy") or "", conversion.get("webhook")
    client = (webhook or {}).get("clientConfig")
    reviews = (webhook or {}).get("conversionReviewVersions")
    at_client, at_reviews = "spec.conversion.webhookClientConfig", "spec.conversion.conversionReviewVersions"
    if strategy == "Webhook":
        if client is None:
            causes.append(status.required(at_client, "required when strategy is set to Webhook"))
        elif client.get("url") and not client["url"].startswith("https://"):
            scheme = client["url"].partition(":")[0]
            text = "'https' is the only allowed URL scheme; desired format: https://host[/path]"
            causes.append(status.invalid_value(f"{at_client}.url", scheme, text))
        if not reviews:
            causes.append(status.required(at_reviews))
        return causes
    for given, at in ((client, at_client), (reviews, at_reviews)):
        if given:
            causes.append(status.forbidden_field(at, "should not be set when strategy is not set to Webhook"))
    if not strategy:
        causes.append(status.required("spec.conversion.strategy"))
    elif strategy != "None":
        causes.append(status.not_supported("spec.conversion.strategy", strategy, ["None", "Webhook"]))
    return causes


def stored_version_problems(obj: JsonObject) -> list[Cause]:
    """The versions that objects are stored in must be served as long as there may be any."""
    stored = (obj.get("status") or {}).get("storedVersions")
    versions = obj["spec"].get("versions") or []
    field = "status.storedVersions"
    if not stored:
        return [status.invalid_value(field, stored or None, "must have at least one stored version")]
    causes: list[Cause] = []
    known = [version.get("name") for version in versions]
    for index, name in enumerate(stored):
        if name not in known:
            text = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions "
                f"until a storage migration ensures no data remains persisted in {name} and removes {name} from "
                "status.storedVersions"
            )
            causes.append(status.invalid_value(f"{field}[{index}]", name, text))
    storage = [version.get("name") for version in versions if version.get("storage")]
    if (storage and storage[-1] not in stored) or len(storage) > len(dict.fromkeys(storage)):
        text = f"must have the storage version {storage[-1]}"
        causes.append(status.invalid_value(field, stored, text))
    return causes


# Formats

_STRING_FORMATS = (
    "bsonobjectid uri email hostname ipv4 ipv6 cidr mac uuid uuid3 uuid4 uuid5 isbn isbn10 isbn13 creditcard ssn hexcolor "
    "rgbcolor byte password date duration datetime date-time k8s-short-name k8s-long-name"
)
_KNOWN_FORMATS: dict[str, tuple[str, ...]] = {
    "string": tuple(_STRING_FORMATS.split()),
    "integer": ("int32", "int64"),
    "number": ("float", "double", "int32", "int64"),
}


def unknown_formats(schema: Json) -> list[str]:
    """Formats in a schema that the server does not check, in the order they occur."""
    if not isinstance(schema, dict):
        return []
    found: list[str] = []
    form = schema.get("format")
    if form and schema.get("type") and form not in _KNOWN_FORMATS.get(schema["type"], ()):
        found.append(form)
    for part in (schema.get("properties") or {}).values():
        found += unknown_formats(part)
    for name in ("items", "additionalProperties"):
        found += unknown_formats(schema.get(name))
    return found

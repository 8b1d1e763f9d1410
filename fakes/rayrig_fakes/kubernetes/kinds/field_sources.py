"""References from a container to fields and amounts of its own pod."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rayrig_core.kubernetes_names import qualified_name
from rayrig_core.objects import JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kinds.checks import each
from rayrig_fakes.kubernetes.status import Cause

#: Fields of a pod that can be asked for at all.
_CONVERTIBLE = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "spec.hostNetwork",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_AMOUNTS = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_KEYED = re.compile(r"(metadata\.(?:labels|annotations))\['(.*)'\]")
_DIVISORS = {
    "cpu": (("1m", "1"), "1m and 1"),
    "memory": (
        ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"),
        "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei",
    ),
}
_DIVISORS["ephemeral-storage"] = _DIVISORS["memory"]


def field_source_problems(source: JsonObject, field: str, choices: Sequence[str]) -> list[Cause]:
    version, path = source.get("apiVersion") or "", source.get("fieldPath") or ""
    if not version:
        return [status.required(f"{field}.apiVersion")]
    if not path:
        return [status.required(f"{field}.fieldPath")]
    keyed = _KEYED.fullmatch(path)
    if keyed is not None:
        key = keyed.group(2)
        if keyed.group(1) == "metadata.annotations":
            key = key.lower()
        return each(field, keyed.group(2), qualified_name(key))
    problem = ""
    if version != "v1":
        problem = f"unsupported pod version: {version}"
    elif path not in _CONVERTIBLE:
        problem = f"field label not supported: {path}"
    if problem:
        return [status.invalid_value(f"{field}.fieldPath", path, f"error converting fieldPath: {problem}")]
    if path not in choices:
        return [status.not_supported(f"{field}.fieldPath", path, choices)]
    return []


def resource_source_problems(source: JsonObject, field: str, *, volume: bool = False) -> list[Cause]:
    resource = source.get("resource") or ""
    if volume and not source.get("containerName"):
        return [status.required(f"{field}.containerName")]
    if not resource:
        return [status.required(f"{field}.resource")]
    if resource not in _AMOUNTS and not re.match(r"(requests|limits)\.hugepages-", resource):
        return [status.not_supported(f"{field}.resource", resource, _AMOUNTS)]
    name = resource.partition(".")[2]
    divisor = source.get("divisor") or "0"
    known = _DIVISORS.get(name)
    if divisor == "0" or known is None or divisor in known[0]:
        return []
    text = f"only divisor's values {known[1]} are supported with the {name} resource"
    return [status.invalid_value(f"{field}.divisor", resource, text)]

"""The scale subresource: `autoscaling/v1` Scale read from and written to where a resource keeps it (K8-044)."""

from __future__ import annotations

from typing import Any

from rayrig_core.objects import JsonObject, copy_json
from rayrig_fakes.kubernetes import jsonpath, status
from rayrig_fakes.kubernetes.registry import Served

#: Built-in workloads.
_WORKLOAD_PATHS: JsonObject = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".spec.selector",
}


def scale_of(served: Served, obj: JsonObject, *, to_write: bool = False) -> JsonObject:
    """The Scale of an object. Raises `ApiError` 500 when it is read and the count of a custom resource is absent; one that is
    `to_write` starts from none."""
    paths = served.scale or _WORKLOAD_PATHS
    meta = obj["metadata"]
    scale: JsonObject = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            field: meta[field]
            for field in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
            if field in meta
        },
        "spec": {},
        "status": {"replicas": _first(obj, paths.get("statusReplicasPath"), 0)},
    }
    wanted = _first(obj, paths.get("specReplicasPath"), 0 if served.scale is None else None)
    if wanted is None and not to_write:
        text = f'the spec replicas field "{paths.get("specReplicasPath")}" does not exist'
        raise status.error(500, "InternalError", f"Internal error occurred: {text}", {"causes": [{"message": text}]})
    if wanted:
        scale["spec"]["replicas"] = wanted
    selector = _first(obj, paths.get("labelSelectorPath"), None)
    if isinstance(selector, dict):
        selector = _selector_text(selector)
    if selector:
        scale["status"]["selector"] = selector
    return scale


def with_scale(served: Served, obj: JsonObject, scale: JsonObject) -> JsonObject:
    """A copy of the object with the replicas the Scale asks for. Raises `Invalid`."""
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
        text = "must be greater than or equal to 0"
        cause = status.invalid_value("spec.replicas", replicas, text)
        raise status.invalid("Scale", "autoscaling", str(obj["metadata"]["name"]), [cause])
    scaled = copy_json(obj)
    path = (served.scale or _WORKLOAD_PATHS)["specReplicasPath"]
    *parents, last = path.strip(".").split(".")
    place = scaled
    for part in parents:
        place = place.setdefault(part, {})
    place[last] = replicas
    return scaled


def _first(obj: JsonObject, path: str | None, default: Any) -> Any:
    found = jsonpath.find(obj, path) if path else []
    return found[0] if found else default


def _selector_text(selector: JsonObject) -> str:
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for each in selector.get("matchExpressions") or ():
        operator, values = each.get("operator"), ",".join(each.get("values") or ())
        if operator in ("In", "NotIn"):
            parts.append(f"{each['key']} {operator.lower()} ({values})")
        else:
            parts.append(each["key"] if operator == "Exists" else f"!{each['key']}")
    return ",".join(parts)

"""A compute template as the ConfigMap it is kept in, and back (`kuberay-apiserver.md` 4.4). Every value is a text."""

from __future__ import annotations

import json

from rayrig.apiserver.quantities import quantity
from rayrig.apiserver.stored import COMPUTE_TEMPLATE
from rayrig_core.objects import Json, JsonObject, name_of, namespace_of

CONFIG_TYPE = "ray.io/config-type"
#: Selects the ConfigMaps that are templates.
TEMPLATES = f"{CONFIG_TYPE}=compute-template"

_DEFAULT_UNIT = "Gi"
_LARGEST = 2**32 - 1
_TOLERATION = ("key", "operator", "value", "effect")


class InvalidMemory(Exception):
    """`memory` and `memoryUnit` together are no Kubernetes quantity."""


def config_map_of(template: JsonObject) -> JsonObject:
    """Raises `InvalidMemory`."""
    name, namespace = template["name"], template["namespace"]
    memory, unit = str(template["memory"]), template.get("memoryUnit", _DEFAULT_UNIT)
    try:
        quantity(memory + unit)
    except ValueError as error:
        # Go quotes as JSON does.
        quoted = json.dumps(memory + unit, ensure_ascii=False)
        raise InvalidMemory(f"invalid memory quantity {quoted}: {error}") from None
    data = {
        "name": name,
        "namespace": namespace,
        "cpu": str(template["cpu"]),
        "memory": memory,
        "memory_unit": unit,
        "gpu": str(template.get("gpu", 0)),
        "gpu_accelerator": template.get("gpuAccelerator", ""),
        "extended_resources": _json_text(dict(sorted(template.get("extendedResources", {}).items())) or None),
    }
    if tolerations := template.get("tolerations"):
        data["tolerations"] = _json_text(
            [{field: each[field] for field in _TOLERATION if field in each} for each in tolerations]
        )
    labels = {CONFIG_TYPE: "compute-template", COMPUTE_TEMPLATE: name}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "data": data,
    }


def template_of(config_map: JsonObject) -> JsonObject:
    """Of any ConfigMap: what it doesn't say, or says so that it can't be read, is zero."""
    data: dict[str, str] = config_map.get("data") or {}
    resources = _parsed(data.get("extended_resources"))
    tolerations = _parsed(data.get("tolerations"))
    return {
        "name": name_of(config_map),
        "namespace": namespace_of(config_map),
        "cpu": _number(data.get("cpu", "")),
        "memory": _number(data.get("memory", "")),
        "gpu": _number(data.get("gpu", "")),
        "gpuAccelerator": data.get("gpu_accelerator", ""),
        "tolerations": [
            {field: each[field] for field in _TOLERATION if isinstance(each.get(field), str)}
            for each in (tolerations if isinstance(tolerations, list) else ())
            if isinstance(each, dict)
        ],
        "extendedResources": {
            name: amount
            for name, amount in (resources.items() if isinstance(resources, dict) else ())
            if type(amount) is int and 0 <= amount <= _LARGEST
        },
        "memoryUnit": data.get("memory_unit", ""),
    }


def _number(text: str) -> int:
    return min(int(text), _LARGEST) if text.isascii() and text.isdigit() else 0


def _parsed(text: str | None) -> Json:
    try:
        return json.loads(text or "null")
    except ValueError:
        return None


def _json_text(value: Json) -> str:
    """As Go writes it: no spaces, and nothing that HTML would take for its own."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for sign in "&<>\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text

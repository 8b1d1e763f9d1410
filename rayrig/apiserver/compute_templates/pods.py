"""What a compute template says of a pod (`kuberay-apiserver.md` 6.3, 6.5). Templates are messages, answers parts of pod specs."""

from __future__ import annotations

from rayrig.apiserver.quantities import quantity
from rayrig_core.objects import JsonObject

_DEFAULT_ACCELERATOR = "nvidia.com/gpu"


def cpu_and_memory(template: JsonObject) -> dict[str, str]:
    """Quantities by resource. Raises `ValueError` when the template's unit is none of Kubernetes'."""
    memory = f"{template.get('memory', 0)}{template.get('memoryUnit', '')}"
    return {"cpu": quantity(str(template.get("cpu", 0))), "memory": quantity(memory)}


def devices(template: JsonObject) -> dict[str, str]:
    """Quantities of GPUs and extended resources; none of what is zero."""
    amounts = {template.get("gpuAccelerator") or _DEFAULT_ACCELERATOR: template.get("gpu", 0)}
    given = [*amounts.items(), *template.get("extendedResources", {}).items()]
    return {name: quantity(str(amount)) for name, amount in given if amount}


def tolerations(template: JsonObject) -> list[JsonObject]:
    """An operator or effect that is unknown, or not given, becomes the mildest."""
    return [_toleration(each) for each in template.get("tolerations", ())]


def _toleration(given: JsonObject) -> JsonObject:
    operator, effect = given.get("operator"), given.get("effect")
    toleration = {
        "key": given.get("key"),
        "operator": "Exists" if operator == "Exists" else "Equal",
        "value": given.get("value"),
        "effect": effect if effect in ("NoExecute", "NoSchedule") else "PreferNoSchedule",
    }
    return {field: value for field, value in toleration.items() if value}

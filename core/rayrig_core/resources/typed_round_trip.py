"""What an object looks like after the operator has read it into its types and written it back (kuberay-operator 0.3.13).

Fields that always serialise appear (`scaleStrategy: {}`, a container's `resources: {}`, a template's `metadata: {}`), flags and
texts at their zero value disappear, quantities become canonical. The operator's first write thereby bumps the generation once.
"""

from __future__ import annotations

from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_core.resources.quantities import canonical

_QUANTITY_MAPS = ("limits", "requests")
#: Fields of a RayService spec that are left out at their zero value.
_ZERO_LEFT_OUT = ("suspend", "excludeHeadPodFromServeSvc", "serveConfigV2")
#: The same of a head group and a RayClusterSpec.
_ZERO_LEFT_OUT_OF_CLUSTER = ("rayVersion", "headServiceAnnotations")


def typed_ray_service_spec(spec: JsonObject) -> JsonObject:
    """A RayService spec as the operator writes it. The argument is left as it is; unchanged parts are shared."""
    result = {key: value for key, value in spec.items() if value or key not in _ZERO_LEFT_OUT}
    if result.get("rayClusterConfig") is not None:
        result["rayClusterConfig"] = typed_ray_cluster_spec(result["rayClusterConfig"])
    if result.get("serveService") is not None:
        result["serveService"] = _service(result["serveService"])
    return result


def typed_ray_cluster_spec(spec: JsonObject, *, fills_start_params: bool = False) -> JsonObject:
    """A RayClusterSpec as the operator writes it. The argument is left as it is; unchanged parts are shared.

    `fills_start_params`: missing `rayStartParams` become empty ones, as when the RayCluster controller writes a cluster (recorded).
    """
    result = {key: value for key, value in spec.items() if value or key not in _ZERO_LEFT_OUT_OF_CLUSTER}
    if result.get("headGroupSpec") is not None:
        head = _group(result["headGroupSpec"])
        if head.get("headService") is not None:
            head["headService"] = _service(head["headService"])
        result["headGroupSpec"] = head
    if result.get("workerGroupSpecs"):
        result["workerGroupSpecs"] = [
            {**_group(group), "scaleStrategy": group.get("scaleStrategy") or {}} for group in result["workerGroupSpecs"]
        ]
    if fills_start_params:
        for group in (result.get("headGroupSpec"), *(result.get("workerGroupSpecs") or ())):
            if group is not None and group.get("rayStartParams") is None:
                group["rayStartParams"] = {}
    options = result.get("autoscalerOptions")
    if options and options.get("resources"):
        result["autoscalerOptions"] = {**options, "resources": _resources(options["resources"])}
    return result


def _group(group: JsonObject) -> JsonObject:
    template = group.get("template") or {}
    pod = template.get("spec")
    typed: JsonObject = {**template, "metadata": template.get("metadata") or {}}
    if pod is not None:
        typed["spec"] = _pod(pod)
    return {**group, "template": typed}


def _pod(pod: JsonObject) -> JsonObject:
    result = dict(pod)
    for name in ("containers", "initContainers", "ephemeralContainers"):
        if result.get(name):
            result[name] = [
                {**container, "resources": _resources(container.get("resources") or {})} for container in result[name]
            ]
    if result.get("volumes"):
        result["volumes"] = [_volume(volume) for volume in result["volumes"]]
    return result


def _volume(volume: JsonObject) -> JsonObject:
    empty = volume.get("emptyDir")
    if empty and empty.get("sizeLimit") is not None:
        return {**volume, "emptyDir": {**empty, "sizeLimit": _quantity(empty["sizeLimit"])}}
    claim = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if claim:
        spec = claim.get("spec") or {}
        typed = {
            **claim,
            "metadata": claim.get("metadata") or {},
            "spec": {**spec, "resources": _resources(spec.get("resources") or {})},
        }
        return {**volume, "ephemeral": {**volume["ephemeral"], "volumeClaimTemplate": typed}}
    return volume


def _service(service: JsonObject) -> JsonObject:
    spec = dict(service.get("spec") or {})
    if spec.get("ports"):
        spec["ports"] = [{"targetPort": 0, **port} for port in spec["ports"]]
    return {
        **service,
        "metadata": service.get("metadata") or {},
        "spec": spec,
        "status": service.get("status") or {"loadBalancer": {}},
    }


def _resources(resources: JsonObject) -> JsonObject:
    result = dict(resources)
    for name in _QUANTITY_MAPS:
        if result.get(name):
            result[name] = {key: _quantity(value) for key, value in result[name].items()}
    return result


def _quantity(value: Any) -> Any:
    try:
        return canonical(value)
    except ValueError:
        return value

"""What is allowed but doubtful in pods and pod templates (K8-018)."""

from __future__ import annotations

from rayrig_core.kubernetes_names import dns_label
from rayrig_core.objects import JsonObject
from rayrig_core.resources.quantities import parse_quantity

_DEPRECATED_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}


def pod_name_warnings(name: str) -> list[str]:
    problems = ("must not contain dots",) if "." in name else dns_label(name)
    if not problems:
        return []
    text = "this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended"
    return [f"metadata.name: {text}: [{' '.join(problems)}]"]


def pod_spec_warnings(spec: JsonObject, field: str) -> list[str]:
    found = [
        f"{field}.nodeSelector[{label}]: {_DEPRECATED_LABELS[label]}"
        for label in spec.get("nodeSelector") or ()
        if label in _DEPRECATED_LABELS
    ]
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        text = "must be >= 0; negative values are invalid and will be treated as 1"
        found.append(f"{field}.terminationGracePeriodSeconds: {text}")
    ports: dict[tuple[object, ...], str] = {}
    for containers in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(containers) or ()):
            found += _container_warnings(container, f"{field}.{containers}[{index}]", ports)
    return found


def _container_warnings(container: JsonObject, field: str, ports: dict[tuple[object, ...], str]) -> list[str]:
    found = []
    variables: dict[str, None] = {}
    for index, variable in enumerate(container.get("env") or ()):
        name = variable.get("name")
        if name in variables:
            text = f'hides previous definition of "{name}", which may be dropped when using apply'
            found.append(f"{field}.env[{index}]: {text}")
        variables[name] = None
    resources = container.get("resources") or {}
    for part in ("limits", "requests"):
        for name in ("memory", "ephemeral-storage"):
            value = (resources.get(part) or {}).get(name)
            if value is not None and parse_quantity(value).denominator != 1:
                text = f'fractional byte value "{value}" is invalid, must be an integer'
                found.append(f"{field}.resources.{part}[{name}]: {text}")
    for index, port in enumerate(container.get("ports") or ()):
        at = f"{field}.ports[{index}]"
        identity = (port.get("containerPort"), port.get("protocol"), port.get("hostPort"), port.get("hostIP"))
        if identity in ports:
            found.append(f"{at}: duplicate port definition with {ports[identity]}")
        ports.setdefault(identity, at)
    return found

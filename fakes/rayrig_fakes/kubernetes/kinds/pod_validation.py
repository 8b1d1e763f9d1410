"""What is wrong with a pod spec, in the server's words."""

from __future__ import annotations

from functools import lru_cache

from rayrig_core.kubernetes_names import dns_label
from rayrig_core.objects import Json, JsonObject
from rayrig_core.resources.quantities import parse_quantity
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.status import Cause

_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_STANDARD_RESOURCES = ("cpu", "memory", "ephemeral-storage", "storage")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def is_extended(resource: str) -> bool:
    """Counted in whole units and never overcommitted: `nvidia.com/gpu`, `google.com/tpu`."""
    return "/" in resource and not resource.startswith("kubernetes.io/") and not resource.startswith("requests.")


def validate_pod_spec(spec: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    names: list[str] = []
    volumes = [volume.get("name") for volume in spec.get("volumes") or ()]
    for index, volume in enumerate(volumes):
        at = f"{field}.volumes[{index}].name"
        if not volume:
            causes.append(status.required(at))
        else:
            causes += [status.invalid_value(at, volume, text) for text in dns_label(volume)]
            if volume in volumes[:index]:
                causes.append(status.duplicate(at, volume))
    containers = spec.get("containers")
    if not containers:
        causes.append(status.required(f"{field}.containers"))
    for list_name in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(list_name) or ()):
            causes += _validate_container(container, f"{field}.{list_name}[{index}]", names, volumes)
    policy = spec.get("restartPolicy")
    if policy not in _RESTART_POLICIES:
        causes.append(status.not_supported(f"{field}.restartPolicy", policy, _RESTART_POLICIES))
    dns = spec.get("dnsPolicy")
    if dns not in _DNS_POLICIES:
        causes.append(status.not_supported(f"{field}.dnsPolicy", dns, _DNS_POLICIES))
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        text = "must be greater than or equal to 0"
        causes.append(status.invalid_value(f"{field}.terminationGracePeriodSeconds", grace, text))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and deadline < 1:
        text = "must be between 1 and 2147483647, inclusive"
        causes.append(status.invalid_value(f"{field}.activeDeadlineSeconds", deadline, text))
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        causes += _validate_toleration(toleration, f"{field}.tolerations[{index}]")
    return causes


def _validate_toleration(toleration: JsonObject, field: str) -> list[Cause]:
    causes = []
    operator, effect = toleration.get("operator") or "Equal", toleration.get("effect")
    if not toleration.get("key") and operator != "Exists":
        text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        causes.append(status.invalid_value(f"{field}.operator", operator, text))
    if operator == "Exists" and toleration.get("value"):
        text = "value must be empty when `operator` is 'Exists'"
        causes.append(status.invalid_value(f"{field}.operator", toleration["value"], text))
    if effect and effect not in _EFFECTS:
        causes.append(status.not_supported(f"{field}.effect", effect, _EFFECTS))
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        causes.append(status.invalid_value(f"{field}.effect", effect or "", text))
    return causes


def _validate_container(container: JsonObject, field: str, names: list[str], volumes: list[Json]) -> list[Cause]:
    causes: list[Cause] = []
    name = container.get("name")
    if not name:
        causes.append(status.required(f"{field}.name"))
    else:
        causes += [status.invalid_value(f"{field}.name", name, text) for text in dns_label(name)]
        if name in names:
            causes.append(status.duplicate(f"{field}.name", name))
        names.append(name)
    if not container.get("image"):
        causes.append(status.required(f"{field}.image"))
    policy = container.get("imagePullPolicy")
    if policy not in _PULL_POLICIES:
        causes.append(status.not_supported(f"{field}.imagePullPolicy", policy, _PULL_POLICIES))
    for index, port in enumerate(container.get("ports") or ()):
        causes += validate_port(port.get("containerPort"), f"{field}.ports[{index}].containerPort")
    for index, variable in enumerate(container.get("env") or ()):
        if not variable.get("name"):
            causes.append(status.required(f"{field}.env[{index}].name"))
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        at = f"{field}.volumeMounts[{index}]"
        if not mount.get("name"):
            causes.append(status.required(f"{at}.name"))
        elif mount["name"] not in volumes:
            causes.append(status.missing_reference(f"{at}.name", mount["name"]))
        if not mount.get("mountPath"):
            causes.append(status.required(f"{at}.mountPath"))
    resources = container.get("resources")
    if resources:
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        if not _are_plain(tuple(limits.items()), tuple(requests.items())):
            causes += _validate_resources(limits, requests, f"{field}.resources")
    for probe_name in _PROBES:
        probe = container.get(probe_name)
        if probe is not None:
            causes += _validate_probe(probe, f"{field}.{probe_name}", probe_name)
    return causes


def validate_port(port: Json, field: str) -> list[Cause]:
    if port is None:
        return [status.required(field)]
    if not isinstance(port, int) or not 1 <= port <= 65535:
        return [status.invalid_value(field, port, "must be between 1 and 65535, inclusive")]
    return []


@lru_cache(maxsize=1024)
def _are_plain(limits: tuple[tuple[str, str], ...], requests: tuple[tuple[str, str], ...]) -> bool:
    """Whether nothing is wrong with these amounts."""
    return not _validate_resources(dict(limits), dict(requests), "")


def _validate_resources(limits: JsonObject, requests: JsonObject, field: str) -> list[Cause]:
    causes: list[Cause] = []
    for part, amounts in (("limits", limits), ("requests", requests)):
        for name, value in amounts.items():
            at = f"{field}.{part}.{name}" if "/" in name else f"{field}.{part}[{name}]"
            amount = parse_quantity(value)
            if amount < 0:
                causes.append(status.invalid_value(at, value, "must be greater than or equal to 0"))
            if is_extended(name):
                if amount.denominator != 1:
                    causes.append(status.invalid_value(at, value, "must be an integer"))
            elif "/" not in name and name not in _STANDARD_RESOURCES and not name.startswith("hugepages-"):
                text = "must be a standard resource for containers"
                causes.append(status.invalid_value(at, name, text))
    for name, value in requests.items():
        limit = limits.get(name)
        if limit is None:
            if is_extended(name):
                text = "Limit must be set for non overcommitable resources"
                causes.append(status.required(f"{field}.limits", text))
            continue
        if is_extended(name):
            if limit != value:
                text = f"must be equal to {name} limit of {limit}"
                causes.append(status.invalid_value(f"{field}.requests", value, text))
        elif parse_quantity(value) > parse_quantity(limit):
            text = f"must be less than or equal to {name} limit of {limit}"
            causes.append(status.invalid_value(f"{field}.requests", value, text))
    return causes


def _validate_probe(probe: JsonObject, field: str, name: str) -> list[Cause]:
    causes: list[Cause] = []
    handlers = [handler for handler in ("exec", "httpGet", "tcpSocket", "grpc") if probe.get(handler) is not None]
    if not handlers:
        causes.append(status.required(field, "must specify a handler type"))
    for handler in handlers[1:]:
        causes.append(status.forbidden_field(f"{field}.{handler}", "may not specify more than 1 handler type"))
    for handler in ("httpGet", "tcpSocket", "grpc"):
        action = probe.get(handler)
        if action is not None and not isinstance(action.get("port"), str):
            causes += validate_port(action.get("port", 0), f"{field}.{handler}.port")
    if probe.get("exec") is not None and not probe["exec"].get("command"):
        causes.append(status.required(f"{field}.exec.command"))
    for number in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        value = probe.get(number)
        if value is not None and value < 0:
            text = "must be greater than or equal to 0"
            causes.append(status.invalid_value(f"{field}.{number}", value, text))
    if name != "readinessProbe" and probe.get("successThreshold") not in (None, 1):
        text = "must be 1"
        causes.append(status.invalid_value(f"{field}.successThreshold", probe["successThreshold"], text))
    return causes

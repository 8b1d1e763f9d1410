"""What is wrong with the containers of a pod spec."""

from __future__ import annotations

from dataclasses import dataclass, field

from rayrig_core.kubernetes_names import dns_subdomain
from rayrig_core.objects import Json, JsonObject
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kinds.checks import (
    backsteps,
    config_key,
    descending_path,
    each,
    environment_name,
    header_name,
    in_ports,
    ip_problems,
    label_without_dots,
    not_negative,
    one_of,
    port_name,
    port_or_name,
)
from rayrig_fakes.kubernetes.kinds.container_resources import resource_problems
from rayrig_fakes.kubernetes.kinds.field_sources import field_source_problems, resource_source_problems
from rayrig_fakes.kubernetes.kinds.security_contexts import container_security_problems
from rayrig_fakes.kubernetes.status import Cause

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE = ("Disabled", "Enabled", "IfPossible")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_SCHEMES = ("HTTP", "HTTPS")
_ENVIRONMENT_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


@dataclass(slots=True)
class PodContext:
    """What the containers of one pod have in common."""

    spec: JsonObject
    volumes: dict[str, JsonObject]
    names: list[str] = field(default_factory=list)
    host_ports: list[str] = field(default_factory=list)


def container_problems(container: JsonObject, at: str, pod: PodContext, *, init: bool = False) -> list[Cause]:
    causes: list[Cause] = []
    name = container.get("name") or ""
    if not name:
        causes.append(status.required(f"{at}.name"))
    else:
        causes += each(f"{at}.name", name, label_without_dots(name))
        if name in pod.names:
            causes.append(status.duplicate(f"{at}.name", name))
        pod.names.append(name)
    image = container.get("image") or ""
    if not image:
        causes.append(status.required(f"{at}.image"))
    elif image != image.strip():
        text = "must not have leading or trailing whitespace"
        causes.append(status.invalid_value(f"{at}.image", image, text))
    policy = container.get("imagePullPolicy") or ""
    if policy not in _PULL_POLICIES:
        causes.append(status.not_supported(f"{at}.imagePullPolicy", policy, _PULL_POLICIES))
    causes += one_of(f"{at}.terminationMessagePolicy", container.get("terminationMessagePolicy"), _MESSAGE_POLICIES)
    causes += _ports(container.get("ports") or [], f"{at}.ports", pod)
    causes += environment_problems(container.get("env") or [], f"{at}.env")
    causes += _environment_sources(container.get("envFrom") or [], f"{at}.envFrom")
    causes += _mounts(container, at, pod)
    causes += _devices(container.get("volumeDevices") or [], f"{at}.volumeDevices", pod)
    causes += resource_problems(container.get("resources") or {}, f"{at}.resources", pod.spec)
    causes += _lifecycle_and_probes(container, at, pod, init)
    causes += one_of(f"{at}.restartPolicy", container.get("restartPolicy"), _RESTART_POLICIES)
    causes += _resize(container.get("resizePolicy") or [], f"{at}.resizePolicy")
    context = container.get("securityContext")
    if context:
        causes += container_security_problems(context, f"{at}.securityContext", pod.spec)
    return causes


def _ports(ports: list[JsonObject], at: str, pod: PodContext) -> list[Cause]:
    causes: list[Cause] = []
    names: list[str] = []
    for index, port in enumerate(ports):
        here = f"{at}[{index}]"
        name, number, host = port.get("name") or "", port.get("containerPort") or 0, port.get("hostPort") or 0
        if name:
            wrong = each(f"{here}.name", name, port_name(name))
            causes += wrong
            if not wrong and name in names:
                causes.append(status.duplicate(f"{here}.name", name))
            names.append(name)
        causes += in_ports(f"{here}.containerPort", number) if number else [status.required(f"{here}.containerPort")]
        if host:
            causes += in_ports(f"{here}.hostPort", host)
            identity = f"{port.get('protocol') or ''}/{port.get('hostIP') or ''}/{host}"
            if identity in pod.host_ports:
                causes.append(status.duplicate(f"{here}.hostPort", identity))
            pod.host_ports.append(identity)
            if pod.spec.get("hostNetwork") and host != number:
                text = "must match `containerPort` when `hostNetwork` is true"
                causes.append(status.invalid_value(f"{here}.hostPort", host, text))
        protocol = port.get("protocol") or ""
        if not protocol:
            causes.append(status.required(f"{here}.protocol"))
        elif protocol not in _PROTOCOLS:
            causes.append(status.not_supported(f"{here}.protocol", protocol, _PROTOCOLS))
    return causes


def environment_problems(variables: list[JsonObject], at: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, variable in enumerate(variables):
        name, source = variable.get("name") or "", variable.get("valueFrom")
        problems = environment_name(name) if name else ()
        if source is None and name and not problems:
            continue
        here = f"{at}[{index}]"
        causes += each(f"{here}.name", name, problems) if name else [status.required(f"{here}.name")]
        if source is not None:
            causes += _environment_source(source, variable.get("value") or "", f"{here}.valueFrom")
    return causes


def _environment_source(source: JsonObject, value: str, at: str) -> list[Cause]:
    causes: list[Cause] = []
    given = [kind for kind in _SOURCES if source.get(kind) is not None]
    for kind in given:
        part, here = source[kind], f"{at}.{kind}"
        if kind == "fieldRef":
            causes += field_source_problems(part, here, _ENVIRONMENT_FIELDS)
        elif kind == "resourceFieldRef":
            causes += resource_source_problems(part, here)
        elif kind in ("configMapKeyRef", "secretKeyRef"):
            name, key = part.get("name") or "", part.get("key") or ""
            causes += each(f"{here}.name", name, dns_subdomain(name))
            causes += each(f"{here}.key", key, config_key(key)) if key else [status.required(f"{here}.key")]
    if not given:
        choices = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        causes.append(status.invalid_value(at, "", f"must specify one of: {choices}"))
    elif value:
        causes.append(status.invalid_value(at, "", "may not be specified when `value` is not empty"))
    elif len(given) > 1:
        causes.append(status.invalid_value(at, "", "may not have more than one field specified at a time"))
    return causes


def _environment_sources(sources: list[JsonObject], at: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, source in enumerate(sources):
        here, prefix = f"{at}[{index}]", source.get("prefix") or ""
        if prefix:
            causes += each(f"{here}.prefix", prefix, environment_name(prefix))
        given = [kind for kind in ("configMapRef", "secretRef") if source.get(kind) is not None]
        for kind in given:
            name = source[kind].get("name") or ""
            field = f"{here}.{kind}.name"
            causes += each(field, name, dns_subdomain(name)) if name else [status.required(field)]
        if not given:
            causes.append(status.invalid_value(at, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            causes.append(status.invalid_value(at, "", "may not have more than one field specified at a time"))
    return causes


def _mounts(container: JsonObject, at: str, pod: PodContext) -> list[Cause]:
    causes: list[Cause] = []
    paths: list[str] = []
    devices = {device.get("name"): device.get("devicePath") for device in container.get("volumeDevices") or ()}
    privileged = bool((container.get("securityContext") or {}).get("privileged"))
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        here = f"{at}.volumeMounts[{index}]"
        name, path = mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            causes.append(status.required(f"{here}.name"))
        if name not in pod.volumes:
            causes.append(status.missing_reference(f"{here}.name", name))
        if not path:
            causes.append(status.required(f"{here}.mountPath"))
        if path in paths:
            causes.append(status.invalid_value(f"{here}.mountPath", path, "must be unique"))
        paths.append(path)
        if name in devices:
            text = "must not already exist in volumeDevices"
            causes.append(status.invalid_value(f"{here}.name", name, text))
        # These speak of all mounts alike, without saying of which.
        there = f"{at}.volumeMounts"
        inner, expression = mount.get("subPath") or "", mount.get("subPathExpr") or ""
        if inner:
            causes += each(f"{there}.subPath", inner, descending_path(inner))
        if expression:
            if inner:
                text = "subPathExpr and subPath are mutually exclusive"
                causes.append(status.invalid_value(f"{here}.subPathExpr", expression, text))
            causes += each(f"{there}.subPathExpr", expression, descending_path(expression))
        propagation = mount.get("mountPropagation")
        causes += one_of(f"{there}.mountPropagation", propagation, _PROPAGATIONS)
        if propagation == "Bidirectional" and not privileged:
            text = "Bidirectional mount propagation is available only to privileged containers"
            causes.append(status.forbidden_field(f"{there}.mountPropagation", text))
        causes += _recursive(mount, f"{there}.recursiveReadOnly")
    return causes


def _recursive(mount: JsonObject, at: str) -> list[Cause]:
    recursive = mount.get("recursiveReadOnly")
    causes = one_of(at, recursive, _RECURSIVE)
    if recursive in ("Enabled", "IfPossible"):
        if not mount.get("readOnly"):
            causes.append(status.forbidden_field(at, "may only be specified when readOnly is true"))
        if mount.get("mountPropagation") not in (None, "None"):
            text = "may only be specified when mountPropagation is None or not specified"
            causes.append(status.forbidden_field(at, text))
    return causes


def _devices(devices: list[JsonObject], at: str, pod: PodContext) -> list[Cause]:
    causes: list[Cause] = []
    names: list[str] = []
    paths: list[str] = []
    for index, device in enumerate(devices):
        here = f"{at}[{index}]"
        name, path = device.get("name") or "", device.get("devicePath") or ""
        if not name:
            causes.append(status.required(f"{here}.name"))
        if name in names:
            causes.append(status.invalid_value(f"{here}.name", name, "must be unique"))
        volume = pod.volumes.get(name)
        if volume is None:
            causes.append(status.missing_reference(f"{here}.name", name))
        elif volume.get("persistentVolumeClaim") is None and volume.get("ephemeral") is None:
            text = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            causes.append(status.invalid_value(f"{here}.name", name, text))
        if not path:
            causes.append(status.required(f"{here}.devicePath"))
        if path in paths:
            causes.append(status.invalid_value(f"{here}.devicePath", path, "must be unique"))
        causes += each(f"{here}.devicePath", path, backsteps(path))
        names.append(name)
        paths.append(path)
    return causes


def _lifecycle_and_probes(container: JsonObject, at: str, pod: PodContext, init: bool) -> list[Cause]:
    causes: list[Cause] = []
    if init and container.get("restartPolicy") != "Always":
        for name in ("lifecycle", *_PROBES):
            if container.get(name) is not None:
                text = "may not be set for init containers without restartPolicy=Always"
                causes.append(status.forbidden_field(f"{at}.{name}", text))
        return causes
    grace = pod.spec.get("terminationGracePeriodSeconds")
    for hook in ("postStart", "preStop"):
        handler = (container.get("lifecycle") or {}).get(hook)
        if handler is not None:
            causes += _handler(handler, f"{at}.lifecycle.{hook}", grace)
    for name in _PROBES:
        probe = container.get(name)
        if probe is not None:
            causes += _probe(probe, f"{at}.{name}", name)
    return causes


def _handler(handler: JsonObject, at: str, grace: int | None) -> list[Cause]:
    causes: list[Cause] = []
    given = [kind for kind in _HANDLERS if handler.get(kind) is not None]
    if not given:
        return [status.required(at, "must specify a handler type")]
    for position, kind in enumerate(given):
        here = f"{at}.{kind}"
        if position:
            causes.append(status.forbidden_field(here, "may not specify more than 1 handler type"))
            continue
        action = handler[kind]
        match kind:
            case "exec":
                if not action.get("command"):
                    causes.append(status.required(f"{here}.command"))
            case "httpGet":
                causes += _http(action, here)
            case "tcpSocket":
                causes += port_or_name(f"{here}.port", action.get("port"))
            case "grpc":
                causes += in_ports(f"{here}.port", action.get("port") or 0)
            case "sleep":
                seconds = action.get("seconds") or 0
                if seconds < 0 or (grace is not None and seconds > grace):
                    text = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
                    causes.append(status.invalid_value(here, seconds, text))
    return causes


def _http(action: JsonObject, at: str) -> list[Cause]:
    causes: list[Cause] = []
    if not action.get("path"):
        causes.append(status.required(f"{at}.path"))
    causes += port_or_name(f"{at}.port", action.get("port"))
    scheme = action.get("scheme") or ""
    if scheme not in _SCHEMES:
        causes.append(status.not_supported(f"{at}.scheme", scheme, _SCHEMES))
    for header in action.get("httpHeaders") or ():
        name = header.get("name") or ""
        causes += each(f"{at}.httpHeaders", name, header_name(name))
    return causes


def _probe(probe: JsonObject, at: str, name: str) -> list[Cause]:
    causes = _handler(probe, at, None)
    for number in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        causes += not_negative(f"{at}.{number}", probe.get(number))
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        causes.append(status.invalid_value(f"{at}.terminationGracePeriodSeconds", grace, "must be greater than 0"))
    if name == "readinessProbe":
        if grace is not None:
            text = "must not be set for readinessProbes"
            causes.append(status.invalid_value(f"{at}.terminationGracePeriodSeconds", grace, text))
    elif probe.get("successThreshold") not in (None, 1):
        causes.append(status.invalid_value(f"{at}.successThreshold", probe["successThreshold"], "must be 1"))
    return causes


def _resize(policies: list[JsonObject], at: str) -> list[Cause]:
    causes: list[Cause] = []
    seen: list[Json] = []
    for index, policy in enumerate(policies):
        name, restart = policy.get("resourceName") or "", policy.get("restartPolicy") or ""
        if name in seen:
            causes.append(status.duplicate(f"{at}[{index}]", name))
        seen.append(name)
        if not name:
            causes.append(status.required(at))
        else:
            causes += one_of(at, name, ("cpu", "memory"))
        if not restart:
            causes.append(status.required(at))
        else:
            causes += one_of(at, restart, ("NotRequired", "RestartContainer"))
    return causes


def host_alias_problems(aliases: list[JsonObject], at: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, alias in enumerate(aliases):
        address = alias.get("ip") or ""
        causes += each(f"{at}[{index}].ip", address, ip_problems(address))
        for position, name in enumerate(alias.get("hostnames") or ()):
            causes += each(f"{at}[{index}].hostnames[{position}]", name, dns_subdomain(name))
    return causes

"""The subresources that change one part of a pod: `resize` its resources, `ephemeralcontainers` its debugging containers."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rayrig_core.objects import JsonObject
from rayrig_core.resources.quantities import parse_quantity
from rayrig_fakes.kubernetes import status
from rayrig_fakes.kubernetes.kind_rules import Admission
from rayrig_fakes.kubernetes.kinds.pod_defaults import default_container, qos_class
from rayrig_fakes.kubernetes.kinds.pod_validation import validate_pod_spec
from rayrig_fakes.kubernetes.status import Cause

RESIZE, EPHEMERAL = "resize", "ephemeralcontainers"
POD_PARTS = (RESIZE, EPHEMERAL)
_RESIZABLE = ("cpu", "memory")
_NOT_EPHEMERAL = ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resources", "resizePolicy")


def keep_to_part(obj: JsonObject, old: JsonObject, admission: Admission) -> None:
    """Everything but the part as it was, and the part's defaults."""
    sent, metadata = obj.get("spec") or {}, obj["metadata"]
    obj.clear()
    obj.update(old)
    obj["metadata"] = {**old["metadata"], "managedFields": metadata.get("managedFields")}
    if obj["metadata"]["managedFields"] is None:
        del obj["metadata"]["managedFields"]
    spec = obj["spec"] = dict(old["spec"])
    if admission.subresource == EPHEMERAL:
        containers = sent.get("ephemeralContainers") or []
        for container in containers:
            default_container(container, "Pod", bool(spec.get("hostNetwork")))
        if containers or spec.get("ephemeralContainers"):
            spec["ephemeralContainers"] = containers
        return
    for part in ("containers", "initContainers"):
        if not spec.get(part):
            continue
        by_name = {each.get("name"): each for each in sent.get(part) or ()}
        spec[part] = [_resized(each, by_name.get(each["name"])) for each in spec[part]]


def _resized(container: JsonObject, sent: JsonObject | None) -> JsonObject:
    if sent is None:
        return container
    copied = {field: value for field, value in container.items() if field not in ("resources", "resizePolicy")}
    asked = {field: sent[field] for field in ("resources", "resizePolicy") if sent.get(field)}
    filled = {"resources": {}, **asked}
    default_container(filled, "Pod")
    return {**copied, **{field: filled[field] for field in ("resources", *asked)}}


def validate_part(obj: JsonObject, old: JsonObject, admission: Admission) -> list[Cause]:
    """Causes against the change of the part. Raises `ApiError` 403 for what no node has room for."""
    if obj["spec"] == old["spec"]:
        return []
    if admission.subresource == EPHEMERAL:
        return _validate_ephemeral(obj["spec"], old["spec"])
    causes = validate_pod_spec(obj["spec"], "spec")
    causes += _validate_resize(obj, old)
    if not causes:
        _check_room(obj, admission)
    return causes


# Ephemeral containers


def _validate_ephemeral(spec: JsonObject, old: JsonObject) -> list[Cause]:
    causes: list[Cause] = []
    containers = spec.get("ephemeralContainers") or []
    others = [each["name"] for part in ("containers", "initContainers") for each in spec.get(part) or ()]
    names = list(others)
    for index, container in enumerate(containers):
        at = f"spec.ephemeralContainers[{index}]"
        plain = {field: value for field, value in container.items() if field not in _NOT_EPHEMERAL}
        trial: JsonObject = {**spec, "containers": [plain], "initContainers": []}
        for cause in validate_pod_spec(trial, "spec"):
            if cause.field.startswith("spec.containers[0]"):
                causes.append(Cause(cause.field.replace("spec.containers[0]", at), cause.reason, cause.message))
        name = container.get("name")
        if name and name in names:
            causes.append(status.duplicate(f"{at}.name", name))
        names.append(name)
        target = container.get("targetContainerName")
        if target and target not in others:
            causes.append(status.missing_reference(f"{at}.targetContainerName", target))
        for field in _NOT_EPHEMERAL:
            if container.get(field):
                causes.append(status.forbidden_field(f"{at}.{field}", "cannot be set for an Ephemeral Container"))
    now = {each.get("name"): each for each in containers}
    for was in old.get("ephemeralContainers") or ():
        name = was["name"]
        if name not in now:
            text = f'existing ephemeral containers "{name}" may not be removed\n'
            causes.append(status.forbidden_field("spec.ephemeralContainers", text))
        elif now[name] != was:
            text = f'existing ephemeral containers "{name}" may not be changed\n{_difference(was, now[name])}'
            causes.append(status.forbidden_field("spec.ephemeralContainers", text))
    return causes


def _difference(was: JsonObject, now: JsonObject) -> str:
    fields = [field for field in dict.fromkeys((*was, *now)) if was.get(field) != now.get(field)]
    lines = []
    for field in fields:
        shown = field[:1].upper() + field[1:]
        lines += [f' -"{shown}": {json.dumps(was.get(field))},', f' +"{shown}": {json.dumps(now.get(field))},']
    return "\n".join(lines)


# Resizing


def _validate_resize(obj: JsonObject, old: JsonObject) -> list[Cause]:
    causes: list[Cause] = []
    new_class, old_class = qos_class(obj["spec"]), old["status"].get("qosClass") or qos_class(old["spec"])
    if new_class != old_class:
        text = "Pod QOS Class may not change as a result of resizing"
        causes.append(status.invalid_value("spec", new_class if new_class == old_class else old_class, text))
    others_changed = False
    for part in ("containers", "initContainers"):
        pairs = zip(obj["spec"].get(part) or (), old["spec"].get(part) or (), strict=False)
        for index, (container, was) in enumerate(pairs):
            at = f"spec.{part}[{index}].resources"
            resources, had = container.get("resources") or {}, was.get("resources") or {}
            for amounts, word in (("requests", "requests"), ("limits", "limits")):
                new, before = resources.get(amounts) or {}, had.get(amounts) or {}
                if any(name in before and name not in new for name in _RESIZABLE):
                    causes.append(status.forbidden_field(f"{at}.{amounts}", f"resource {word} cannot be removed"))
                others_changed = others_changed or _others(new) != _others(before)
            others_changed = others_changed or container.get("resizePolicy") != was.get("resizePolicy")
    if others_changed:
        causes.append(status.forbidden_field("spec", "only cpu and memory resources are mutable"))
    return causes


def _others(amounts: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in amounts.items() if name not in _RESIZABLE}


def _check_room(obj: JsonObject, admission: Admission) -> None:
    """A bound pod cannot ask for more than its node has."""
    node = admission.lookup("nodes", str(obj["spec"].get("nodeName") or ""))
    if node is None:
        return
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    short = []
    for name in _RESIZABLE:
        asked = sum(
            parse_quantity(each.get("resources", {}).get("requests", {}).get(name, "0"))
            for each in obj["spec"].get("containers") or ()
        )
        has = parse_quantity(allocatable.get(name, "0"))
        scale = 1000 if name == "cpu" else 1
        if asked > has:
            short.append(f"{name}, requested: {int(asked * scale)}, allocatable: {int(has * scale)}")
    if short:
        pod = obj["metadata"]["name"]
        text = f'pods "{pod}" is forbidden: node didn\'t have enough allocatable resources: {"; ".join(short)}'
        details: JsonObject = {"name": pod, "kind": "pods", "causes": [{"reason": "NodeCapacity"}]}
        raise status.error(403, "Forbidden", text, details)

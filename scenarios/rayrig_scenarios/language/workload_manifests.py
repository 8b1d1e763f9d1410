"""Manifests of plain workloads as steps: apply what is in the file, wait until all pods are there, roll each workload once.

The objects are applied as they are, as those of a RayCluster's file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rayrig_core.errors import InputError
from rayrig_core.objects import JsonObject, annotations_of
from rayrig_scenarios.language.documents import Place
from rayrig_scenarios.language.manifests import WrittenObject, type_name
from rayrig_scenarios.rollouts import WORKLOADS
from rayrig_sim.kubernetes.kubelet.script_rules import ScriptRule
from rayrig_sim.kubernetes.kubelet.scripted_containers import SCRIPT_ANNOTATION, annotated_script

_TIMEOUT = "15m"
#: What `kubectl rollout restart` changes, under a name of rayrig's.
_RESTART = 'spec.template.metadata.annotations."rayrig.dev/rollout"'
#: Kinds that replace their pods when the template changes, and the field and type of the strategy that does so step by step.
_ROLLING = {"Deployment": "strategy", "StatefulSet": "updateStrategy", "DaemonSet": "updateStrategy"}


def workloads_of(objects: Iterable[WrittenObject]) -> list[WrittenObject]:
    """Those with pods of their own. Raises `InputError` for one in which no pod can be found, or whose script cannot be read."""
    found = [written for written in objects if written.kind in WORKLOADS]
    for written in found:
        _check_shape(written)
        _check_script(written)
    return found


def _check_shape(written: WrittenObject) -> None:
    """As far as it is read here; of the rest the API server will tell."""
    template: Place = () if written.kind == "Pod" else ("spec", "template")
    mappings = (
        ("spec",),
        template,
        (*template, "metadata"),
        (*template, "metadata", "annotations"),
        (*template, "spec"),
    )
    for place in mappings:
        _check(written, place, dict, "give a mapping")
    containers = (*template, "spec", "containers")
    _check(written, containers, list, "give a list of containers")
    for index in range(len(_at(written, containers) or ())):
        _check(written, (*containers, index), dict, "give a mapping with name and image")


def _check(written: WrittenObject, place: Place, kind: type, remedy: str) -> None:
    value = _at(written, place)
    if value is not None and not isinstance(value, kind):
        raise InputError(f"this is {type_name(value)}", where=written.where(place), remedy=remedy)


def _at(written: WrittenObject, place: Place) -> Any:
    value: Any = written.object
    for part in place:
        value = value[part] if isinstance(part, int) else (value or {}).get(part)
    return value


def _check_script(written: WrittenObject) -> None:
    try:
        annotated_script(_pod_of(written))
    except ValueError as problem:
        place = (*(() if written.kind == "Pod" else ("spec", "template")), "metadata", "annotations", SCRIPT_ANNOTATION)
        remedy = "write it as docs/scripted-containers.md has it, by container, as JSON"
        raise InputError(f"no script: {problem}", where=written.where(place), remedy=remedy) from None


def rollout_steps(workloads: Sequence[WrittenObject]) -> list[JsonObject]:
    """Steps after the objects were applied."""
    steps = [_waits_for(written) for written in workloads]
    steps.append({"name": "it stays so", "sleep": "20s"})
    for written in workloads:
        if _rolls(written):
            change = {"manifest": "/".join(written.key), "set": {_RESTART: "1"}}
            steps.append({"name": f"roll {written.kind} {written.name}, as kubectl rollout restart", "apply": change})
            steps.append(_waits_for(written))
            steps.append({"name": "it stays so", "sleep": "20s"})
    return steps


def rollout_expectations(objects: Sequence[WrittenObject]) -> list[JsonObject]:
    """Everything is there in the end, and Services in front of Deployments that roll were never without endpoints."""
    workloads = workloads_of(objects)
    expect: list[JsonObject] = [{"rolled-out": _ref(written)} for written in workloads]
    behind = [written for written in workloads if written.kind == "Deployment" and _rolls(written)]
    for service in objects:
        selector = (service.object.get("spec") or {}).get("selector") if service.kind == "Service" else None
        if selector and any(_selects(selector, service.namespace, written) for written in behind):
            name = f"Service {service.name} is never without a ready endpoint, once it has one"
            of = {"name": service.name, "namespace": service.namespace}
            expect.append({"name": name, "endpoints": {**of, "most": ">= 1", "unavailable": 0}})
    return expect


def silent_remarks(workloads: Iterable[WrittenObject], scripts: Sequence[ScriptRule]) -> Iterator[str]:
    """Containers without a script whose probes nobody will answer, or that a Job will wait for in vain."""
    for written in workloads:
        pod = _pod_of(written)
        if SCRIPT_ANNOTATION in annotations_of(pod):
            continue
        rules = [rule for rule in scripts if replace(rule, pod="").matches_pod(pod)]
        for container in pod["spec"].get("containers") or ():
            if any(rule.matches_container(container) for rule in rules):
                continue
            what = f"{written.kind} {written.name}: container {container.get('name')} has no script"
            if any(_asks_the_network(container.get(f"{kind}Probe")) for kind in ("startup", "readiness", "liveness")):
                yield f"{what}: its probes will find nobody listening (give one with --script FILE, docs/scripted-containers.md)"
            elif written.kind == "Job":
                yield f"{what}: it will not end (give one with --script FILE, docs/scripted-containers.md)"


def _pod_of(written: WrittenObject) -> JsonObject:
    """A pod as the workload makes them, as far as the template says."""
    template = written.object if written.kind == "Pod" else (written.object.get("spec") or {}).get("template") or {}
    metadata = {**(template.get("metadata") or {}), "name": written.name, "namespace": written.namespace}
    return {"metadata": metadata, "spec": template.get("spec") or {}}


def _asks_the_network(probe: Mapping[str, object] | None) -> bool:
    return any(kind in (probe or {}) for kind in ("httpGet", "tcpSocket", "grpc"))


def _ref(written: WrittenObject) -> JsonObject:
    return {"kind": written.kind, "name": written.name, "namespace": written.namespace}


def _waits_for(written: WrittenObject) -> JsonObject:
    return {"wait": {"for": {"rolled-out": _ref(written)}, "timeout": _TIMEOUT}}


def _rolls(written: WrittenObject) -> bool:
    """Whether a changed template replaces its pods step by step."""
    field, spec = _ROLLING.get(written.kind), written.object.get("spec") or {}
    if field is None or spec.get("replicas") == 0 or spec.get("paused"):
        return False
    return ((spec.get(field) or {}).get("type") or "RollingUpdate") == "RollingUpdate"


def _selects(selector: Mapping[str, str], namespace: str, written: WrittenObject) -> bool:
    labels = ((written.object["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}
    return written.namespace == namespace and all(labels.get(name) == value for name, value in selector.items())

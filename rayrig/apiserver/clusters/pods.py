"""Pod templates of a cluster's groups, from messages and back (`kuberay-apiserver.md` 6.3, 6.4, 6.7, 7.2)."""

from __future__ import annotations

from dataclasses import dataclass

from rayrig.apiserver.clusters.environment import (
    FIELD,
    RESOURCE_FIELD,
    env_of,
    environment_of,
    reference_to,
    value_of,
)
from rayrig.apiserver.clusters.unconvertible import Unconvertible
from rayrig.apiserver.clusters.volumes import mounts_of, pod_volumes_of, volumes_of
from rayrig.apiserver.compute_templates.pods import cpu_and_memory, devices, tolerations
from rayrig.apiserver.stored import COMPUTE_IMAGE, COMPUTE_TEMPLATE
from rayrig_core.objects import JsonObject

_IMAGES = "rayproject/ray"
_BOTH_RESERVED = ("MY_POD_IP", "RAY_CLUSTER_NAME", "RAY_PORT", "RAY_ADDRESS", "RAY_USAGE_STATS_KUBERAY_IN_USE")
_WORKER_RESERVED = ("FQ_RAY_IP", "RAY_IP", "REDIS_PASSWORD")

#: Annotations and labels of pod templates that are the platform's, not the caller's.
_PLATFORM_ANNOTATIONS = frozenset(
    (
        COMPUTE_IMAGE,
        COMPUTE_TEMPLATE,
        "ray.io/health-state",
        "ray.io/ft-enabled",
        "openshift.io/scc",
        "cni.projectcalico.org/podIP",
        "cni.projectcalico.org/podIPs",
        "cni.projectcalico.org/containerID",
        "k8s.v1.cni.cncf.io/network-status",
        "k8s.v1.cni.cncf.io/networks-status",
    )
)
_PLATFORM_LABELS = frozenset(
    (
        "app.kubernetes.io/created-by",
        "app.kubernetes.io/name",
        "ray.io/cluster",
        "ray.io/cluster-dashboard",
        "ray.io/group",
        "ray.io/identifier",
        "ray.io/is-ray-node",
        "ray.io/node-type",
    )
)


@dataclass(frozen=True, slots=True)
class PodKind:
    """What distinguishes pods of heads and of workers. `fixed` is part of the container, `reserved` isn't told back."""

    container: str
    env: tuple[JsonObject, ...]
    reserved: frozenset[str]
    fixed: JsonObject


def _port(number: int, name: str = "") -> JsonObject:
    return {"name": name, "containerPort": number} if name else {"containerPort": number}


_POD_IP = reference_to("MY_POD_IP", FIELD, "", "status.podIP")
HEAD = PodKind(
    "ray-head",
    (_POD_IP,),
    frozenset(_BOTH_RESERVED),
    {"ports": [_port(6379, "redis"), _port(10001, "head"), _port(8265, "dashboard"), _port(8080, "metrics")]},
)
_SERVE_PORTS = [_port(52365, "dashboard-agent"), _port(8000, "serve")]

_WORKER_ENV = (
    value_of("RAY_DISABLE_DOCKER_CPU_WARNING", "1"),
    value_of("TYPE", "worker"),
    reference_to("CPU_REQUEST", RESOURCE_FIELD, "ray-worker", "requests.cpu"),
    reference_to("CPU_LIMITS", RESOURCE_FIELD, "ray-worker", "limits.cpu"),
    reference_to("MEMORY_REQUESTS", RESOURCE_FIELD, "ray-worker", "requests.memory"),
    reference_to("MEMORY_LIMITS", RESOURCE_FIELD, "ray-worker", "limits.memory"),
    reference_to("MY_POD_NAME", FIELD, "", "metadata.name"),
    _POD_IP,
)
WORKER = PodKind(
    "ray-worker",
    _WORKER_ENV,
    frozenset((*_BOTH_RESERVED, *_WORKER_RESERVED, *(variable["name"] for variable in _WORKER_ENV))),
    {
        "ports": [_port(80)],
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", "ray stop"]}}},
    },
)


def pod_template_of(
    group: JsonObject,
    kind: PodKind,
    template: JsonObject,
    *,
    version: str,
    envs: JsonObject | None,
    serves: bool = False,
) -> JsonObject:
    """The pod template of a valid group. `envs` are those of the whole cluster; `serves` opens the ports of Serve. Parts
    are shared with what is given. Raises `Unconvertible`.
    """
    container = {
        "name": kind.container,
        "image": group.get("image") or f"{_IMAGES}:{version}",
        "imagePullPolicy": group.get("imagePullPolicy") or "IfNotPresent",
        **kind.fixed,
        "env": [*kind.env, *env_of(envs), *env_of(group.get("environment"))],
        "resources": _resources(template),
    }
    if serves:
        container["ports"] = [*container["ports"], *_SERVE_PORTS]
    if "securityContext" in group:
        container["securityContext"] = _security_context(group["securityContext"])
    spec: JsonObject = {"containers": [container]}
    if volumes := group.get("volumes"):
        container["volumeMounts"] = mounts_of(volumes)
        spec["volumes"] = pod_volumes_of(volumes)
    if tolerated := tolerations(template):
        spec["tolerations"] = tolerated
    # A name of one letter is taken for none.
    if len(group.get("serviceAccount", "")) > 1:
        spec["serviceAccountName"] = group["serviceAccount"]
    if len(group.get("imagePullSecret", "")) > 1:
        spec["imagePullSecrets"] = [{"name": group["imagePullSecret"]}]
    annotations = {COMPUTE_TEMPLATE: template["name"], COMPUTE_IMAGE: group.get("image", "")}
    metadata: JsonObject = {"annotations": annotations | group.get("annotations", {})}
    if labels := group.get("labels"):
        metadata["labels"] = labels
    return {"metadata": metadata, "spec": spec}


def _resources(template: JsonObject) -> JsonObject:
    try:
        amounts = cpu_and_memory(template) | devices(template)
    except ValueError as error:
        raise Unconvertible(f"memory of compute template {template['name']}: {error}") from None
    return {"limits": amounts, "requests": amounts}


def _security_context(given: JsonObject) -> JsonObject:
    capabilities = given.get("capabilities", {})
    context: JsonObject = {
        "capabilities": {field: capabilities[field] for field in ("add", "drop") if capabilities.get(field)}
    }
    if "privileged" in given:
        context["privileged"] = given["privileged"]
    return context


def group_of(template: JsonObject, kind: PodKind) -> JsonObject:
    """What messages of both kinds of group tell of a pod template."""
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    containers = spec.get("containers") or ()
    group: JsonObject = {
        "image": annotations.get(COMPUTE_IMAGE, ""),
        "computeTemplate": annotations.get(COMPUTE_TEMPLATE, ""),
        "annotations": {key: text for key, text in annotations.items() if key not in _PLATFORM_ANNOTATIONS},
        "labels": {key: text for key, text in labels.items() if key not in _PLATFORM_LABELS},
        "volumes": volumes_of(spec),
    }
    ours: JsonObject = next((container for container in containers if container.get("name") == kind.container), {})
    if env := ours.get("env"):
        group["environment"] = environment_of(env, kind.reserved)
    if (context := ours.get("securityContext")) is not None:
        group["securityContext"] = _told_security_context(context)
    account = spec.get("serviceAccountName") or ""
    if len(account) > 1:
        group["serviceAccount"] = account
    if secrets := spec.get("imagePullSecrets"):
        group["imagePullSecret"] = secrets[0].get("name", "")
    if containers and containers[0].get("imagePullPolicy") == "Always":
        group["imagePullPolicy"] = "Always"
    return group


def _told_security_context(context: JsonObject) -> JsonObject:
    capabilities = context.get("capabilities") or {}
    told: JsonObject = {"capabilities": {field: capabilities.get(field) or [] for field in ("add", "drop")}}
    if context.get("privileged") is not None:
        told["privileged"] = context["privileged"]
    return told

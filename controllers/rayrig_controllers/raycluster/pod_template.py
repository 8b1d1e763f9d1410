"""What head and worker pods have in common: labels, environment, command, shared memory (kuberay-operator 3.16)."""

from __future__ import annotations

from typing import Any

from rayrig_controllers.raycluster import ray_start
from rayrig_controllers.raycluster.cluster import Cluster, has_env
from rayrig_core.objects import JsonObject, copy_json
from rayrig_core.resource_types import POD
from rayrig_core.resources import labels, names
from rayrig_core.resources.quantities import canonical

SHARED_MEMORY_VOLUME, SHARED_MEMORY_PATH = "shared-mem", "/dev/shm"
_SERVE_ENV = (
    ("RAY_timeout_ms_task_wait_for_death_info", "0"),
    ("RAY_gcs_server_request_timeout_seconds", "5"),
    ("RAY_SERVE_KV_TIMEOUT_S", "5"),
)
_NAMESPACE_ENV = "RAY_CLUSTER_NAMESPACE"
#: Names of what comes from the pod itself.
_FIELD_ENV = (
    ("RAY_CLUSTER_NAME", f"metadata.labels['{labels.CLUSTER}']"),
    (_NAMESPACE_ENV, "metadata.namespace"),
    ("RAY_CLOUD_INSTANCE_ID", "metadata.name"),
    ("RAY_NODE_TYPE_NAME", f"metadata.labels['{labels.GROUP}']"),
)


def field_env(name: str, path: str) -> JsonObject:
    """An env entry whose value is a field of the pod."""
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def start_pod(cluster: Cluster, group: JsonObject, pod_labels: dict[str, str]) -> tuple[JsonObject, JsonObject]:
    """A pod under construction and its Ray container, from a copy of the group's template. User labels win except three."""
    template = copy_json(group.get("template") or {})
    metadata: JsonObject = template.get("metadata") or {}
    own: dict[str, str] = {**(metadata.get("labels") or {}), **(group.get("labels") or {})}
    fixed = {key: pod_labels[key] for key in (labels.CLUSTER, labels.NODE_TYPE, labels.GROUP)}
    metadata["labels"] = {**cluster.options.default_pod_labels, **pod_labels, **own, **fixed}
    annotations = {**cluster.options.default_pod_annotations, **(metadata.get("annotations") or {})}
    if cluster.overwrites_command:
        annotations[labels.OVERWRITE_CONTAINER_CMD] = "true"
    if annotations:
        metadata["annotations"] = annotations
    # The pod lives in the cluster's namespace, whatever its template says.
    metadata["namespace"] = cluster.namespace
    metadata["ownerReferences"] = [cluster.owner_reference()]
    spec: JsonObject = template.get("spec") or {}
    pod: JsonObject = {"apiVersion": POD.api_version, "kind": POD.kind, "metadata": metadata, "spec": spec}
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        _canonical_resources(container)
    return pod, spec["containers"][0]


def _canonical_resources(container: JsonObject) -> None:
    """Quantities are written back in canonical form, as a typed client does."""
    resources: dict[str, Any] = container.get("resources") or {}
    for kind in ("limits", "requests"):
        if resources.get(kind):
            resources[kind] = {key: canonical(value) for key, value in resources[kind].items()}


def base_labels(cluster: Cluster, node_type: str, group: str) -> dict[str, str]:
    """Labels of every Ray pod."""
    identifier = names.head_identifier if node_type == labels.HEAD else names.worker_identifier
    return {
        labels.CLUSTER: cluster.name,
        labels.NODE_TYPE: node_type,
        labels.GROUP: group,
        labels.IS_RAY_NODE: "yes",
        labels.IDENTIFIER: identifier(cluster.name),
        labels.APP_NAME: labels.KUBERAY,
        labels.CREATED_BY: labels.KUBERAY_OPERATOR,
    }


def default_env(container: JsonObject, name: str, value: str) -> None:
    """Add an env entry unless one of that name is there."""
    if not has_env(container, name):
        container.setdefault("env", []).append({"name": name, "value": value})


def finish_pod(
    cluster: Cluster, pod: JsonObject, container: JsonObject, params: dict[str, str], *, is_head: bool
) -> None:
    """Everything both kinds of pod get at the end, in the operator's order."""
    _add_shared_memory(pod["spec"], container, params)
    start_command = ray_start.command(params, is_head=is_head)
    ray_start.apply_command(cluster, container, start_command)
    _name_head(cluster, pod["spec"].get("initContainers") or ())
    _add_environment(cluster, container, start_command, is_head=is_head)
    ports = container.get("ports") or []
    if not any(port.get("name") == labels.METRICS_PORT_NAME for port in ports):
        container["ports"] = [*ports, {"name": labels.METRICS_PORT_NAME, "containerPort": labels.METRICS_PORT}]


def head_env(cluster: Cluster) -> list[JsonObject]:
    """Where the head is: its Service's full name and its short one."""
    return [
        {"name": "FQ_RAY_IP", "value": cluster.head_service_fqdn},
        {"name": "RAY_IP", "value": cluster.head_service_fqdn.partition(".")[0]},
    ]


def _name_head(cluster: Cluster, init_containers: list[JsonObject] | tuple[()]) -> None:
    for init in init_containers:
        init["env"] = [*(init.get("env") or ()), *head_env(cluster)]


def _add_environment(cluster: Cluster, container: JsonObject, start_command: str, *, is_head: bool) -> None:
    env: list[JsonObject] = container.setdefault("env", [])
    for entry in cluster.options.default_container_envs:
        if not has_env(container, str(entry["name"])):
            env.append(dict(entry))
    if not is_head:
        env.extend(head_env(cluster))
    release = cluster.options.release
    env.extend(field_env(name, path) for name, path in _FIELD_ENV if release.tells_namespace or name != _NAMESPACE_ENV)
    env.append({"name": "KUBERAY_GEN_RAY_START_CMD", "value": start_command})
    default_env(container, "RAY_PORT", cluster.head_port)
    if cluster.is_for_ray_service:
        for name, value in _SERVE_ENV:
            default_env(container, name, value)
    host = "127.0.0.1" if is_head else cluster.head_service_fqdn
    default_env(container, "RAY_ADDRESS", f"{host}:{cluster.head_port}")
    default_env(container, "RAY_USAGE_STATS_KUBERAY_IN_USE", "1")
    if is_head:
        tags = f"kuberay_version={cluster.options.kuberay_version};kuberay_crd={cluster.crd}"
        env.append({"name": "RAY_USAGE_STATS_EXTRA_TAGS", "value": tags})
    default_env(container, "RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE", "1")


def _add_shared_memory(spec: JsonObject, container: JsonObject, params: dict[str, str]) -> None:
    """The object store lives in /dev/shm; with `plasma-directory` it lives elsewhere."""
    if "plasma-directory" in params:
        return
    resources = container.get("resources") or {}
    volume: JsonObject = {"medium": "Memory"}
    for kind in ("limits", "requests"):
        if "memory" in (resources.get(kind) or {}):
            volume["sizeLimit"] = canonical(resources[kind]["memory"])
            break
    add_empty_dir(spec, container, SHARED_MEMORY_VOLUME, SHARED_MEMORY_PATH, volume)


def add_empty_dir(spec: JsonObject, container: JsonObject, name: str, path: str, source: JsonObject) -> None:
    """Mount an emptyDir at a path, unless something is mounted there already."""
    if any(mount.get("mountPath") == path for mount in container.get("volumeMounts") or ()):
        return
    volumes = spec.get("volumes") or []
    if not any(volume.get("name") == name for volume in volumes):
        spec["volumes"] = [*volumes, {"name": name, "emptyDir": source}]
    container["volumeMounts"] = [*(container.get("volumeMounts") or ()), {"name": name, "mountPath": path}]

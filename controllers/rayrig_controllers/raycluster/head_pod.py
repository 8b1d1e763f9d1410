"""The head pod (kuberay-operator 3.16)."""

from __future__ import annotations

from rayrig_controllers.raycluster import auth, autoscaler, gcs_fault_tolerance, probes, ray_start, tls
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_controllers.raycluster.pod_template import base_labels, finish_pod, start_pod
from rayrig_core.objects import JsonObject
from rayrig_core.resources import labels, names


def head_pod(cluster: Cluster, recreate_hash: str = "") -> JsonObject:
    """The pod to create; the API server completes its name. `recreate_hash`: hash of the spec that upgrades compare, if they do."""
    pod_labels = base_labels(cluster, labels.HEAD, labels.HEAD_GROUP)
    if cluster.is_for_ray_service:
        # Whether the head may serve is decided tick by tick by the RayService controller.
        pod_labels[labels.SERVE] = "false"
    pod, container = start_pod(cluster, cluster.head, pod_labels)
    spec, metadata = pod["spec"], pod["metadata"]
    metadata.pop("name", None)
    if cluster.options.deterministic_head_pod_name:
        metadata["name"] = names.head_pod_fixed_name(cluster.name)
    else:
        metadata["generateName"] = cluster.options.release.head_pod_prefix(cluster.name)
    annotations = metadata.setdefault("annotations", {})
    if recreate_hash:
        annotations[labels.RECREATE_HASH] = recreate_hash
        annotations[labels.KUBERAY_VERSION] = cluster.options.kuberay_version

    params = ray_start.parameters(cluster, cluster.head, container, is_head=True)
    gcs_fault_tolerance.configure_head_start(cluster, params)
    sidecar: JsonObject | None = None
    if cluster.is_autoscaling:
        spec["serviceAccountName"] = autoscaler.account_name(cluster)
        container["env"] = [*(container.get("env") or ()), *autoscaler.version_env(cluster)]
        if cluster.autoscaler_version == "v2":
            spec["restartPolicy"] = "Never"
        sidecar = autoscaler.container(cluster, container.get("image", ""))
        spec["containers"].append(sidecar)
    gcs_fault_tolerance.configure_head(cluster, pod, container)
    container["env"] = [*(container.get("env") or ()), *auth.environment(cluster)]
    tls.configure(cluster, spec, labels.HEAD)
    finish_pod(cluster, pod, container, params, is_head=True)
    if sidecar is not None:
        autoscaler.share_logs(spec, container, sidecar)
    if cluster.options.inject_probes:
        probes.add_probes(cluster, cluster.head, container, is_head=True)
    return pod

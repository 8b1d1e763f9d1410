"""Worker pods and their init container that waits for the GCS (kuberay-operator 3.16)."""

from __future__ import annotations

from dataclasses import dataclass

from rayrig_controllers.raycluster import auth, gcs_fault_tolerance, probes, ray_start, tls
from rayrig_controllers.raycluster.cluster import Cluster
from rayrig_controllers.raycluster.pod_template import base_labels, finish_pod, start_pod
from rayrig_core.objects import JsonObject, copy_json
from rayrig_core.resources import labels

INIT_CONTAINER_NAME = "wait-gcs-ready"
POLL_S = 5
#: So long the init container keeps quiet, in seconds.
QUIET_S = 120
_INIT_RESOURCES = {"cpu": "200m", "memory": "256Mi"}


@dataclass(frozen=True, slots=True)
class Place:
    """Which replica of the group a worker is; name and host only in multi-host groups."""

    index: int
    replica: str = ""
    host: int = 0


def worker_pod(cluster: Cluster, group: JsonObject, place: Place) -> JsonObject:
    """The pod to create; the API server completes its name."""
    group_name: str = group["groupName"]
    pod_labels = base_labels(cluster, labels.WORKER, group_name)
    if cluster.is_for_ray_service:
        pod_labels[labels.SERVE] = "true"
    pod, container = start_pod(cluster, group, pod_labels)
    spec, metadata = pod["spec"], pod["metadata"]
    metadata.pop("name", None)
    metadata["generateName"] = cluster.options.release.worker_pod_prefix(cluster.name, group_name)
    if cluster.options.gates.ray_multi_host_indexing:
        metadata["labels"][labels.REPLICA_INDEX] = str(place.index)
        if place.replica:
            metadata["labels"][labels.REPLICA_NAME] = place.replica
            metadata["labels"][labels.HOST_INDEX] = str(place.host)

    if cluster.options.inject_init_container:
        spec["initContainers"] = [*(spec.get("initContainers") or ()), _init_container(cluster, container)]
    if cluster.autoscaler_version == "v2":
        spec["restartPolicy"] = "Never"
    params = ray_start.parameters(cluster, group, container, is_head=False)
    gcs_fault_tolerance.configure_worker(cluster, group, pod, container)
    container["env"] = [*(container.get("env") or ()), *auth.environment(cluster)]
    tls.configure(cluster, spec, labels.WORKER)
    finish_pod(cluster, pod, container, params, is_head=False)
    if cluster.options.inject_probes:
        probes.add_probes(cluster, group, container, is_head=False)
    return pod


def _init_container(cluster: Cluster, ray: JsonObject) -> JsonObject:
    """Holds the worker back until the GCS answers. Takes image, environment and mounts from the user's Ray container."""
    given = ("image", "imagePullPolicy", "env", "volumeMounts", "securityContext")
    own = copy_json({key: ray[key] for key in given if ray.get(key)})
    init: JsonObject = {
        "name": INIT_CONTAINER_NAME,
        "command": ray_start.shell(cluster),
        "args": [_wait_script(f"{cluster.head_service_fqdn}:{cluster.head_port}", cluster.options.release.faq)],
        "resources": {"limits": dict(_INIT_RESOURCES), "requests": dict(_INIT_RESOURCES)},
        **own,
    }
    init["env"] = [*(init.get("env") or ()), *auth.environment(cluster)]
    return init


def _wait_script(address: str, faq: str) -> str:
    """Ask for the GCS's health until it is there: quietly at first, then with what Ray says. Text as recorded."""
    check = f"ray health-check --address {address}"
    seconds = "$SECONDS seconds elapsed:"
    help_ = f"For troubleshooting, refer to the FAQ at {faq}."
    lines = (
        (0, "SECONDS=0"),
        (0, "while true; do"),
        (1, f"if (( SECONDS <= {QUIET_S} )); then"),
        (2, f"if {check} > /dev/null 2>&1; then"),
        (3, 'echo "GCS is ready."'),
        (3, "break"),
        (2, "fi"),
        (2, f'echo "{seconds} Waiting for GCS to be ready."'),
        (1, "else"),
        (2, f"if {check}; then"),
        (3, 'echo "GCS is ready. Any error messages above can be safely ignored."'),
        (3, "break"),
        (2, "fi"),
        (2, f'echo "{seconds} Still waiting for GCS to be ready. {help_}"'),
        (1, "fi"),
        (1, f"sleep {POLL_S}"),
        (0, "done"),
    )
    body = "".join("\t" * (5 + depth) + line + "\n" for depth, line in lines)
    return f"\n{body}" + "\t" * 4

"""Mutual TLS by cert-manager, as far as it shows in pods: where the certificates are mounted, and that pods wait for them.

Source: KubeRay 1.7.0, kuberay-operator 3.14 (gate RayClusterMTLS).
"""

from __future__ import annotations

from rayrig_controllers.cached_client import CachedClient
from rayrig_controllers.raycluster.cluster import Cluster, has_env
from rayrig_controllers.raycluster.pod_template import field_env
from rayrig_controllers.reconciler import ReconcileError
from rayrig_core.objects import JsonObject, condition_of, copy_json
from rayrig_core.resource_types import CERTIFICATE, SECRET
from rayrig_core.resources import labels

VOLUME, MOUNT_PATH = "ray-tls", "/etc/ray/tls"
WAIT_CONTAINER = "wait-for-tls-ip-san"
KEYS = ("tls.crt", "tls.key", "ca.crt")
NO_CERT_MANAGER = "tlsOptions requires cert-manager, but cert-manager is not installed"
_ENV = (
    ("RAY_USE_TLS", "1"),
    ("RAY_TLS_SERVER_CERT", f"{MOUNT_PATH}/tls.crt"),
    ("RAY_TLS_SERVER_KEY", f"{MOUNT_PATH}/tls.key"),
    ("RAY_TLS_CA_CERT", f"{MOUNT_PATH}/ca.crt"),
)
_WAIT_RESOURCES = {"cpu": "50m", "memory": "64Mi"}
_POLL_S = 5


def is_enabled(cluster: Cluster) -> bool:
    return bool((cluster.spec.get("tlsOptions") or {}).get("enabled")) and cluster.options.gates.ray_cluster_mtls


def certificate_name(cluster: Cluster, node_type: str) -> str:
    """Of the certificate that the pods of this kind share."""
    return f"ray-{node_type}-cert-{cluster.name}"


def secret_name(cluster: Cluster, node_type: str) -> str:
    """Of the Secret that cert-manager keeps that certificate in."""
    return f"ray-{node_type}-secret-{cluster.name}"


# Pods


def configure(cluster: Cluster, spec: JsonObject, node_type: str) -> None:
    """The volume, and what Ray and the container that waits for the GCS need of it; first of all, a container that waits for the
    pod's own address in the certificate."""
    if not is_enabled(cluster):
        return
    volumes = spec.get("volumes") or []
    if not any(volume.get("name") == VOLUME for volume in volumes):
        spec["volumes"] = [*volumes, {"name": VOLUME, "secret": {"secretName": secret_name(cluster, node_type)}}]
    ray = spec["containers"][0]
    equip(ray)
    initial = spec.get("initContainers") or []
    for container in initial:
        if container["name"] == "wait-gcs-ready":
            equip(container)
    if not any(container["name"] == WAIT_CONTAINER for container in initial):
        spec["initContainers"] = [_wait_container(ray), *initial]


def equip(container: JsonObject) -> None:
    """Variables and mount, unless the container has its own."""
    missing = [{"name": name, "value": value} for name, value in _ENV if not has_env(container, name)]
    container["env"] = [*(container.get("env") or ()), *missing]
    mounts = container.get("volumeMounts") or []
    if not any(mount.get("name") == VOLUME or mount.get("mountPath") == MOUNT_PATH for mount in mounts):
        container["volumeMounts"] = [*mounts, _mount()]


def _mount() -> JsonObject:
    return {"name": VOLUME, "mountPath": MOUNT_PATH, "readOnly": True}


def _wait_container(ray: JsonObject) -> JsonObject:
    """Ends when the certificate names the pod's address; connections would be refused before."""
    own = copy_json({key: ray[key] for key in ("image", "imagePullPolicy", "securityContext") if ray.get(key)})
    check = f'openssl x509 -in "{MOUNT_PATH}/tls.crt" -noout -text 2>/dev/null'
    script = f'until {check} | grep -qE "IP Address:${{POD_IP}}([^0-9.]|$)"; do sleep {_POLL_S}; done'
    return {
        "name": WAIT_CONTAINER,
        "command": ["sh", "-c"],
        "args": [script],
        "env": [field_env("POD_IP", "status.podIP")],
        "volumeMounts": [_mount()],
        "resources": {"limits": dict(_WAIT_RESOURCES), "requests": dict(_WAIT_RESOURCES)},
        **own,
    }


# What pods wait for


async def has_cert_manager(client: CachedClient) -> bool:
    """Whether it was there when the operator first looked, which is when it starts."""
    return await client.cache.informer(CERTIFICATE, is_optional=True).synced is None


def is_ready(certificate: JsonObject) -> bool:
    """Issued as it is asked for now: one whose addresses were just changed is not."""
    ready = condition_of(certificate, "Ready") or {}
    is_present = ready.get("observedGeneration") == certificate["metadata"]["generation"]
    return ready.get("status") == "True" and is_present


async def check(client: CachedClient, cluster: Cluster) -> None:
    """Raises `ReconcileError` when pods may not be made yet: certificates or their Secrets are missing or not complete."""
    missing = await _missing(client, cluster) if is_enabled(cluster) else ""
    if missing:
        raise ReconcileError(f"mTLS secrets not ready: {missing}")


async def _missing(client: CachedClient, cluster: Cluster) -> str:
    for name in (certificate_name(cluster, node_type) for node_type in (labels.HEAD, labels.WORKER)):
        certificate = await client.find(CERTIFICATE, name, cluster.namespace)
        if certificate is None:
            return f'certificate {name} not found: {CERTIFICATE.kind}.{CERTIFICATE.group} "{name}" not found'
        if not is_ready(certificate):
            return f"certificate {name} is not ready at current generation {certificate['metadata']['generation']}"
    for name in (secret_name(cluster, node_type) for node_type in (labels.HEAD, labels.WORKER)):
        secret = await client.find(SECRET, name, cluster.namespace)
        if secret is None:
            return f'secret {name} not found: {SECRET.kind} "{name}" not found'
        for key in KEYS:
            if key not in (secret.get("data") or {}):
                return f"secret {name} missing required key {key}"
    return ""

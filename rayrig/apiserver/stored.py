"""What the server puts on every object it stores, and how it finds its own again (`kuberay-apiserver.md` 2.5, 3.3, 6.1)."""

from __future__ import annotations

from rayrig.apiserver.wire.errors import not_found, plain
from rayrig_core.errors import ApiError, NotFound
from rayrig_core.http import HttpFailure
from rayrig_core.objects import JsonObject, labels_of
from rayrig_core.ports import KubernetesClient
from rayrig_core.resource_types import ResourceType
from rayrig_core.timestamps import NS, rfc3339

# Labels
CLUSTER_NAME = "ray.io/cluster-name"
USER = "ray.io/user"
VERSION = "ray.io/version"
ENVIRONMENT = "ray.io/environment"
APP_NAME = "app.kubernetes.io/name"
MANAGED_BY = "app.kubernetes.io/managed-by"

# Annotations
CREATED = "ray.io/creation-timestamp"
COMPUTE_TEMPLATE = "ray.io/compute-template"
COMPUTE_IMAGE = "ray.io/compute-image"

APPLICATION = "kuberay"
MANAGER = "kuberay-apiserver"
#: Selects what was made through this server.
OURS = f"{MANAGED_BY}={MANAGER}"

#: Kubernetes refused, or gave no answer.
KUBERNETES_FAILED = (ApiError, HttpFailure)


async def managed_object(
    kubernetes: KubernetesClient,
    resource: ResourceType,
    name: str,
    namespace: str,
    *,
    noun: str,
    failed: str,
    kind: str = "RayCluster",
) -> JsonObject:
    """An object made through this server. Raises `CallError`: `noun` is the word for one that is missing, `kind` for one that
    somebody else made, `failed` says that it could not be read.
    """
    try:
        obj = await kubernetes.get(resource, name, namespace)
    except NotFound as error:
        raise not_found(f"{noun} {name} not found", error) from None
    except KUBERNETES_FAILED as error:
        raise plain(f"{failed}: {error}") from None
    if labels_of(obj).get(MANAGED_BY) != MANAGER:
        raise plain(f"{kind} with name {name} not managed by {MANAGER}")
    return obj


def time_text(unix_ns: int) -> str:
    """A time as Go prints it: `2026-01-01 00:00:07.25 +0000 UTC`."""
    fraction = f".{unix_ns % NS:09d}".rstrip("0").rstrip(".")
    return f"{rfc3339(unix_ns)[:-1].replace('T', ' ')}{fraction} +0000 UTC"

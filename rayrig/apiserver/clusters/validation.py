"""What is refused before anything is read (`kuberay-apiserver.md` 5.4). Raises `CallError` for the first that is wrong."""

from __future__ import annotations

from rayrig.apiserver.requests import NO_NAMESPACE
from rayrig.apiserver.wire.errors import invalid_input
from rayrig_core.objects import JsonObject

NO_NAME = "Cluster name is empty. Please specify a valid value."
_PULL_POLICIES = ("", "Always", "IfNotPresent")
_PULL_POLICY = "unsupported value for Image pull policy. Please specify Always or IfNotPresent"


def check_cluster(cluster: JsonObject, namespace: str) -> None:
    """Of a create in that namespace."""
    if not namespace:
        raise invalid_input(NO_NAMESPACE)
    if namespace != cluster.get("namespace", ""):
        raise invalid_input("The namespace in the request is different from the namespace in the cluster definition.")
    if not cluster.get("name"):
        raise invalid_input(NO_NAME)
    if not cluster.get("user"):
        raise invalid_input("User who create the cluster is empty. Please specify a valid value.")
    check_cluster_spec(cluster.get("clusterSpec"))


def check_cluster_spec(spec: JsonObject | None) -> None:
    """Of a cluster, or inside a Ray service or job."""
    if spec is None:
        raise invalid_input("A ClusterSpec object is required. Please specify one.")
    head = check_head(spec)
    if not head.get("computeTemplate"):
        raise invalid_input("HeadGroupSpec compute template is empty. Please specify a valid value.")
    if not head.get("rayStartParams"):
        raise invalid_input("HeadGroupSpec RayStartParams is empty. Please specify values.")
    if head.get("imagePullPolicy", "") not in _PULL_POLICIES:
        raise invalid_input(f"HeadGroupSpec {_PULL_POLICY}")
    for index, group in enumerate(spec.get("workerGroupSpec", ())):
        _check_worker_group(group, f"WorkerNodeSpec {index}")


def check_head(spec: JsonObject) -> JsonObject:
    """The head's group, which must be there."""
    head: JsonObject | None = spec.get("headGroupSpec")
    if head is None:
        raise invalid_input("Cluster Spec Object requires HeadGroupSpec to be populated. Please specify one.")
    return head


def _check_worker_group(group: JsonObject, which: str) -> None:
    if not group.get("groupName"):
        raise invalid_input(f"{which} group name is empty. Please specify a valid value.")
    if not group.get("computeTemplate"):
        raise invalid_input(f"{which} compute template is empty. Please specify a valid value.")
    largest = group.get("maxReplicas", 0)
    if not largest:
        raise invalid_input(f"{which} MaxReplicas can not be 0. Please specify a valid value.")
    if group.get("minReplicas", 0) > largest:
        raise invalid_input(f"{which} MinReplica > MaxReplicas. Please specify a valid value.")
    if group.get("imagePullPolicy", "") not in _PULL_POLICIES:
        raise invalid_input(f"Worker GroupSpec {_PULL_POLICY}")

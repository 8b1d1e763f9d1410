"""What an API server makes for itself when it starts: the Service `default/kubernetes` and the priority classes of the system.

Simulated worlds do without. Source: kubernetes-api.md 11; Kubernetes, "Pod Priority and Preemption".
"""

from __future__ import annotations

from rayrig_core.errors import AlreadyExists
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import PRIORITY_CLASS, SERVICE
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.server import ApiServer

#: The first address of the range of Services.
SERVICE_ADDRESS = "10.96.0.1"
_PRIORITIES = (
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
)


def add_own_objects(server: ApiServer, port: int) -> None:
    """Make them, without a trace event, where they are not there yet. `port` is where the server listens."""
    state = server.state
    trace, state.trace = state.trace, None
    try:
        for body in (_service(port), *map(_priority_class, *zip(*_PRIORITIES, strict=True))):
            resource = SERVICE if body["kind"] == "Service" else PRIORITY_CLASS
            try:
                server.call(ApiCall("create", resource, body["metadata"].get("namespace", ""), body=body, trusted=True))
            except AlreadyExists:
                continue
    finally:
        state.trace = trace


def _service(port: int) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": SERVICE_ADDRESS,
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}],
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
    }


def _priority_class(name: str, value: int, description: str) -> JsonObject:
    return {
        "apiVersion": PRIORITY_CLASS.api_version,
        "kind": PRIORITY_CLASS.kind,
        "metadata": {"name": name},
        "value": value,
        "description": description,
        "preemptionPolicy": "PreemptLowerPriority",
    }

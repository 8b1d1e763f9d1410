"""The resource types rayrig speaks of: group, version, plural, kind and scope (Kubernetes API, "Resource types")."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class ResourceType:
    """One served resource. `group` is empty for the core group; `plural` is the path segment.

    Equal ones are one object: every call of an API looks something up by its resource, and identity is hashed at no cost.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    def __new__(cls, group: str, version: str, plural: str, kind: str, namespaced: bool = True) -> ResourceType:
        fields = (group, version, plural, kind, namespaced)
        found = _KNOWN.get(fields)
        if found is None:
            found = _KNOWN[fields] = object.__new__(cls)
        return found

    def __reduce__(self) -> tuple[type[ResourceType], tuple[Any, ...]]:
        return ResourceType, astuple(self)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """As Kubernetes prints it in messages: `pods`, `rayclusters.ray.io`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """URL path of the collection or object."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if namespace and self.namespaced:
            root += f"/namespaces/{namespace}"
        root += f"/{self.plural}"
        if name:
            root += f"/{name}"
        if subresource:
            root += f"/{subresource}"
        return root

    def __str__(self) -> str:
        return self.group_resource


_KNOWN: dict[tuple[str, str, str, str, bool], ResourceType] = {}

NAMESPACE = ResourceType("", "v1", "namespaces", "Namespace", namespaced=False)
NODE = ResourceType("", "v1", "nodes", "Node", namespaced=False)
POD = ResourceType("", "v1", "pods", "Pod")
SERVICE = ResourceType("", "v1", "services", "Service")
SECRET = ResourceType("", "v1", "secrets", "Secret")
CONFIG_MAP = ResourceType("", "v1", "configmaps", "ConfigMap")
SERVICE_ACCOUNT = ResourceType("", "v1", "serviceaccounts", "ServiceAccount")
PERSISTENT_VOLUME_CLAIM = ResourceType("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
PERSISTENT_VOLUME = ResourceType("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
STORAGE_CLASS = ResourceType("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False)
CORE_EVENT = ResourceType("", "v1", "events", "Event")
EVENT = ResourceType("events.k8s.io", "v1", "events", "Event")
LEASE = ResourceType("coordination.k8s.io", "v1", "leases", "Lease")
ENDPOINTS = ResourceType("", "v1", "endpoints", "Endpoints")
ENDPOINT_SLICE = ResourceType("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
DEPLOYMENT = ResourceType("apps", "v1", "deployments", "Deployment")
REPLICA_SET = ResourceType("apps", "v1", "replicasets", "ReplicaSet")
STATEFUL_SET = ResourceType("apps", "v1", "statefulsets", "StatefulSet")
DAEMON_SET = ResourceType("apps", "v1", "daemonsets", "DaemonSet")
CONTROLLER_REVISION = ResourceType("apps", "v1", "controllerrevisions", "ControllerRevision")
JOB = ResourceType("batch", "v1", "jobs", "Job")
INGRESS = ResourceType("networking.k8s.io", "v1", "ingresses", "Ingress")
NETWORK_POLICY = ResourceType("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
ROLE = ResourceType("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDING = ResourceType("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
POD_DISRUPTION_BUDGET = ResourceType("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
PRIORITY_CLASS = ResourceType("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False)
CUSTOM_RESOURCE_DEFINITION = ResourceType(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
RAY_SERVICE = ResourceType("ray.io", "v1", "rayservices", "RayService")
RAY_CLUSTER = ResourceType("ray.io", "v1", "rayclusters", "RayCluster")
RAY_JOB = ResourceType("ray.io", "v1", "rayjobs", "RayJob")
CERTIFICATE = ResourceType("cert-manager.io", "v1", "certificates", "Certificate")
ISSUER = ResourceType("cert-manager.io", "v1", "issuers", "Issuer")
GATEWAY = ResourceType("gateway.networking.k8s.io", "v1", "gateways", "Gateway")
HTTP_ROUTE = ResourceType("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")

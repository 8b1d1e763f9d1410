"""The kinds stories are about: those no controller writes to behind their back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from rayrig_core.objects import JsonObject

_WORDS = ("x", "y", "blue", "green", "1", "true", "")


@dataclass(frozen=True, slots=True)
class Kind:
    """`fields` draws what an object holds beside its metadata."""

    api_version: str
    plural: str
    kind: str
    fields: Callable[[Random], JsonObject]
    #: Field that patches and applies play with: a map of texts.
    map_field: str = "data"
    namespaced: bool = True

    @property
    def root(self) -> str:
        return f"/api/{self.api_version}" if "/" not in self.api_version else f"/apis/{self.api_version}"

    @property
    def collection(self) -> str:
        return f"{self.root}/namespaces/${{ns}}/{self.plural}" if self.namespaced else f"{self.root}/{self.plural}"

    @property
    def everywhere(self) -> str:
        """The collection over all namespaces."""
        return f"{self.root}/{self.plural}"

    def at(self, name: str, sub: str = "") -> str:
        return f"{self.collection}/{name}" + (f"/{sub}" if sub else "")

    def key(self, name: str) -> str:
        """As references name an object."""
        return f"{self.plural}/{name}"

    def named(self, name: str, **meta: Any) -> JsonObject:
        """Metadata only."""
        return {"apiVersion": self.api_version, "kind": self.kind, "metadata": {"name": name, **meta}}

    def body(self, rng: Random, name: str, **meta: Any) -> JsonObject:
        return {**self.named(name, **meta), **self.fields(rng)}


def _config_map(rng: Random) -> JsonObject:
    fields: JsonObject = {
        "data": {key: rng.choice(_WORDS) for key in rng.sample(("a", "b", "c.txt", "d_1"), rng.randint(0, 3))}
    }
    if rng.random() < 0.1:
        fields["binaryData"] = {"bin": "AAEC"}
    if rng.random() < 0.1:
        fields["immutable"] = rng.choice((True, False))
    return fields


def _secret(rng: Random) -> JsonObject:
    fields: JsonObject = {"data": dict.fromkeys(rng.sample(("a", "b", "c"), rng.randint(0, 2)), "eA==")}
    if rng.random() < 0.5:
        fields["stringData"] = {"a": rng.choice(_WORDS)}
    if rng.random() < 0.2:
        fields["type"] = rng.choice(("Opaque", "example.com/own", "kubernetes.io/basic-auth", "kubernetes.io/tls"))
    return fields


def _container(rng: Random, name: str) -> JsonObject:
    container: JsonObject = {"name": name, "image": rng.choice(("img", "img:1", "registry.example.com/a/b:latest"))}
    if rng.random() < 0.4:
        container["ports"] = [{"containerPort": port} for port in rng.sample((80, 81, 8080), rng.randint(1, 2))]
    if rng.random() < 0.4:
        container["env"] = [
            {"name": key, "value": rng.choice(_WORDS)} for key in rng.sample(("A", "B", "C"), rng.randint(1, 3))
        ]
    if rng.random() < 0.3:
        container["resources"] = {
            "requests": {"cpu": rng.choice(("1", "500m", "0.5", "1000m")), "memory": rng.choice(("1Gi", "1024Mi"))}
        }
    if rng.random() < 0.2:
        container["command"] = ["sh", "-c", "true"]
    return container


def pod_spec(rng: Random) -> JsonObject:
    """Of a pod no scheduler touches."""
    spec: JsonObject = {
        "schedulerName": "nobody",
        "containers": [_container(rng, name) for name in ("main", "side")[: rng.randint(1, 2)]],
    }
    if rng.random() < 0.3:
        spec["terminationGracePeriodSeconds"] = rng.choice((0, 5, 30))
    if rng.random() < 0.2:
        spec["restartPolicy"] = rng.choice(("Always", "Never", "OnFailure"))
    if rng.random() < 0.2:
        spec["tolerations"] = [{"key": "k", "operator": "Exists"}]
    if rng.random() < 0.2:
        spec["volumes"] = [{"name": "v", "emptyDir": {}}]
    return spec


def _pod(rng: Random) -> JsonObject:
    return {"spec": pod_spec(rng)}


def _pod_template(rng: Random) -> JsonObject:
    spec = pod_spec(rng)
    return {"template": {"metadata": {"labels": {"app": "x"}}, "spec": spec}}


def _service(rng: Random) -> JsonObject:
    ports: list[JsonObject] = [
        {"port": 80},
        {"name": "web", "port": 8080, "targetPort": "http"},
        {"name": "u", "port": 53, "protocol": "UDP"},
    ]
    chosen = ports[:1] if rng.random() < 0.5 else ports[1:]
    spec: JsonObject = {"ports": chosen, "clusterIP": "None"}
    if rng.random() < 0.5:
        spec["selector"] = {"app": rng.choice(("x", "y"))}
    if rng.random() < 0.2:
        spec["sessionAffinity"] = rng.choice(("None", "ClientIP"))
    return {"spec": spec}


def _lease(rng: Random) -> JsonObject:
    spec: JsonObject = {}
    if rng.random() < 0.8:
        spec["holderIdentity"] = rng.choice(("me", "you"))
    if rng.random() < 0.6:
        spec["leaseDurationSeconds"] = rng.choice((1, 15))
    if rng.random() < 0.4:
        spec["renewTime"] = "2026-01-02T03:04:05.000000Z"
    return {"spec": spec}


def _service_account(rng: Random) -> JsonObject:
    fields: JsonObject = {}
    if rng.random() < 0.5:
        fields["imagePullSecrets"] = [{"name": "a"}]
    if rng.random() < 0.3:
        fields["automountServiceAccountToken"] = False
    return fields


def _role(rng: Random) -> JsonObject:
    rules: list[JsonObject] = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["a"], "verbs": ["*"]},
    ]
    return {"rules": rules[: rng.randint(0, 2)]}


def _role_binding(rng: Random) -> JsonObject:
    return {
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": rng.choice(("Role", "ClusterRole")),
            "name": "view",
        },
        "subjects": [{"kind": "User", "name": rng.choice(("me", "you")), "apiGroup": "rbac.authorization.k8s.io"}],
    }


def _network_policy(rng: Random) -> JsonObject:
    spec: JsonObject = {"podSelector": {"matchLabels": {"app": "x"}} if rng.random() < 0.5 else {}}
    if rng.random() < 0.5:
        spec["ingress"] = [{"ports": [{"port": rng.choice((80, "web"))}]}]
    if rng.random() < 0.5:
        spec["policyTypes"] = ["Ingress"]
    return {"spec": spec}


def _limit_range(rng: Random) -> JsonObject:
    return {"spec": {"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": rng.choice(("1Gi", "2Gi"))}}]}}


def _controller_revision(rng: Random) -> JsonObject:
    return {"revision": rng.randint(1, 3), "data": {"a": rng.choice(_WORDS)}}


def _priority_class(rng: Random) -> JsonObject:
    return {"value": rng.choice((1, 1000, -5)), "description": rng.choice(("", "some"))}


def _cluster_role(rng: Random) -> JsonObject:
    return _role(rng)


def _config_metadata(_: Random) -> JsonObject:
    return {}


CONFIG_MAP = Kind("v1", "configmaps", "ConfigMap", _config_map)
SECRET = Kind("v1", "secrets", "Secret", _secret)
POD = Kind("v1", "pods", "Pod", _pod, "metadata.labels")
POD_TEMPLATE = Kind("v1", "podtemplates", "PodTemplate", _pod_template, "metadata.labels")
SERVICE = Kind("v1", "services", "Service", _service, "spec.selector")
LEASE = Kind("coordination.k8s.io/v1", "leases", "Lease", _lease, "metadata.labels")
SERVICE_ACCOUNT = Kind("v1", "serviceaccounts", "ServiceAccount", _service_account, "metadata.labels")
ROLE = Kind("rbac.authorization.k8s.io/v1", "roles", "Role", _role, "metadata.labels")
ROLE_BINDING = Kind("rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding", _role_binding, "metadata.labels")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", _network_policy, "metadata.labels")
LIMIT_RANGE = Kind("v1", "limitranges", "LimitRange", _limit_range, "metadata.labels")
CONTROLLER_REVISION = Kind(
    "apps/v1", "controllerrevisions", "ControllerRevision", _controller_revision, "metadata.labels"
)
PRIORITY_CLASS = Kind(
    "scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", _priority_class, "metadata.labels", False
)
CLUSTER_ROLE = Kind(
    "rbac.authorization.k8s.io/v1", "clusterroles", "ClusterRole", _cluster_role, "metadata.labels", False
)
NAMESPACE = Kind("v1", "namespaces", "Namespace", _config_metadata, "metadata.labels", False)

#: With the weights of common use.
NAMESPACED = (
    (CONFIG_MAP,) * 6
    + (SECRET,) * 2
    + (POD,) * 3
    + (SERVICE,) * 2
    + (LEASE, SERVICE_ACCOUNT, ROLE, ROLE_BINDING, NETWORK_POLICY, LIMIT_RANGE, POD_TEMPLATE, CONTROLLER_REVISION)
)
CLUSTER_WIDE = (PRIORITY_CLASS, CLUSTER_ROLE, NAMESPACE)

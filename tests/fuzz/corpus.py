"""What a fuzzer begins with: objects that are right, and values, words and places that mean trouble."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NAMESPACES = ("fuzz-0", "fuzz-1", "fuzz-2")

# Objects that are right

_CONTAINER = {"name": "c", "image": "i:1", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
_LABELS = {"app": "a"}
_TEMPLATE = {"metadata": {"labels": _LABELS}, "spec": {"containers": [_CONTAINER]}}
_SELECTOR = {"matchLabels": _LABELS}
_WIDGET_SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer", "minimum": 0, "maximum": 9},
                "names": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                "amount": {"x-kubernetes-int-or-string": True},
                "replicas": {"type": "integer", "default": 1},
            },
            "x-kubernetes-validations": [{"rule": "!has(self.size) || self.size != 7", "message": "not seven"}],
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
_DEFINITION = {
    "spec": {
        "group": "fuzz.example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": _WIDGET_SCHEMA},
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
                },
                "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
            }
        ],
    }
}
_PROBE = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5}
_SUBJECT = {"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}
_ROLE = {"kind": "Role", "name": "a", "apiGroup": "rbac.authorization.k8s.io"}


@dataclass(frozen=True, slots=True)
class Resource:
    """Where a kind lives and an object of it without metadata."""

    prefix: str
    plural: str
    kind: str
    body: dict[str, Any] = field(default_factory=dict)
    namespaced: bool = True

    def path(self, namespace: str = "") -> str:
        place = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        return f"{self.prefix}{place}/{self.plural}"


RESOURCES: tuple[Resource, ...] = (
    Resource("/api/v1", "pods", "Pod", {"spec": {"containers": [{**_CONTAINER, "livenessProbe": _PROBE}]}}),
    Resource("/api/v1", "configmaps", "ConfigMap", {"data": {"k": "v"}}),
    Resource("/api/v1", "secrets", "Secret", {"data": {"k": "dg=="}, "stringData": {"l": "w"}}),
    Resource("/api/v1", "services", "Service", {"spec": {"selector": _LABELS, "ports": [{"port": 80}]}}),
    Resource("/api/v1", "serviceaccounts", "ServiceAccount"),
    Resource("/api/v1", "events", "Event", {"involvedObject": {"kind": "Pod", "name": "a"}, "reason": "R", "count": 1}),
    Resource("/api/v1", "nodes", "Node", {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}, False),
    Resource("/api/v1", "namespaces", "Namespace", {}, False),
    Resource(
        "/apis/apps/v1",
        "deployments",
        "Deployment",
        {"spec": {"replicas": 1, "selector": _SELECTOR, "template": _TEMPLATE}},
    ),
    Resource(
        "/apis/apps/v1",
        "replicasets",
        "ReplicaSet",
        {"spec": {"replicas": 1, "selector": _SELECTOR, "template": _TEMPLATE}},
    ),
    Resource(
        "/apis/batch/v1",
        "jobs",
        "Job",
        {"spec": {"template": {"spec": {"containers": [_CONTAINER], "restartPolicy": "Never"}}}},
    ),
    Resource(
        "/apis/coordination.k8s.io/v1", "leases", "Lease", {"spec": {"holderIdentity": "h", "leaseDurationSeconds": 15}}
    ),
    Resource(
        "/apis/discovery.k8s.io/v1",
        "endpointslices",
        "EndpointSlice",
        {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]},
    ),
    Resource(
        "/apis/policy/v1",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        {"spec": {"minAvailable": 1, "selector": _SELECTOR}},
    ),
    Resource(
        "/apis/rbac.authorization.k8s.io/v1",
        "roles",
        "Role",
        {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
    ),
    Resource(
        "/apis/rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding", {"subjects": [_SUBJECT], "roleRef": _ROLE}
    ),
    Resource(
        "/apis/events.k8s.io/v1",
        "events",
        "Event",
        {
            "regarding": {"kind": "Pod", "name": "a"},
            "reason": "R",
            "action": "A",
            "type": "Normal",
            "eventTime": "2026-01-02T03:04:05.000000Z",
            "reportingController": "c.io/d",
            "reportingInstance": "i",
        },
    ),
    Resource(
        "/apis/autoscaling/v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        {"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}}},
    ),
    Resource(
        "/apis/apiextensions.k8s.io/v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        _DEFINITION,
        False,
    ),
    Resource("/apis/fuzz.example.com/v1", "widgets", "Widget", {"spec": {"size": 1, "names": ["x"], "amount": "1"}}),
    Resource(
        "/apis/authorization.k8s.io/v1",
        "subjectaccessreviews",
        "SubjectAccessReview",
        {"spec": {"user": "u", "resourceAttributes": {"verb": "get", "resource": "pods"}}},
        False,
    ),
)
SUBRESOURCES = (
    "status",
    "scale",
    "eviction",
    "binding",
    "log",
    "exec",
    "attach",
    "portforward",
    "proxy",
    "finalize",
    "token",
    "resize",
    "ephemeralcontainers",
    "proxy/x/y",
    "nope",
)
NONRESOURCE = (
    "/",
    "/api",
    "/apis",
    "/api/v1",
    "/apis/apps",
    "/apis/apps/v1",
    "/version",
    "/healthz",
    "/livez",
    "/readyz?verbose",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/api/v1",
    "/rayrig/compact",
    "/rayrig/nope",
    "/logs",
    "/.well-known/openid-configuration",
)
PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
TYPES = (
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "text/plain",
    "application/json; charset=utf-16",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "*/*",
    ";",
    "application/cbor",
    *PATCHES,
)
ACCEPTS = (
    "*/*",
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "text/html",
    "application/cbor",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/json;stream=watch",
    "a" * 500,
    ";;;,,,;q=x",
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
)
QUERY: dict[str, tuple[str, ...]] = {
    "labelSelector": ("app=a", "app in (a,b)", "!x", "a=b=c", "app notin ()", "((", "%00", "x" * 300),
    "fieldSelector": ("metadata.name=a", "spec.nodeName!=x", "nope=1", "=", "metadata.name"),
    "limit": ("1", "0", "-1", "x", "9" * 30),
    "continue": ("x", "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ", "%ff", ""),
    "resourceVersion": ("0", "1", "5", "-3", "x", "9" * 19),
    "resourceVersionMatch": ("Exact", "NotOlderThan", "Nope"),
    "timeoutSeconds": ("1", "0", "-1", "x"),
    "allowWatchBookmarks": ("true", "x"),
    "sendInitialEvents": ("true", "false", "x"),
    "dryRun": ("All", "x", ""),
    "fieldManager": ("m", "", "x" * 200, "\u00e9"),
    "fieldValidation": ("Strict", "Warn", "Ignore", "x"),
    "force": ("true", "false", "x"),
    "gracePeriodSeconds": ("0", "30", "-1", "x"),
    "propagationPolicy": ("Foreground", "Orphan", "Background", "x"),
    "orphanDependents": ("true", "x"),
    "includeObject": ("None", "Object", "Metadata", "x"),
    "pretty": ("true", "x"),
    "container": ("c", "x"),
    "command": ("ls", ""),
    "tailLines": ("1", "-1", "x"),
    "watch": ("0", "false"),
}

# Values that mean trouble

ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    -(2**63) - 1,
    10**400,
    0.5,
    1e308,
    -0.0,
    "",
    " ",
    "a",
    "A",
    "\x00",
    "\ud800",
    "\u202e",
    "é" * 70,
    "x" * 70,
    "x" * 300,
    "../../etc",
    "a/b/c",
    "1Gi",
    "1.5e3",
    "-1",
    "25%",
    "101%",
    "2026-01-02T03:04:05Z",
    "9999-99-99T99:99:99Z",
    "0001-01-01T00:00:00Z",
    "10.96.0.1",
    "::1",
    "Always",
    "All",
    "*",
    "$(x)",
    "{{.}}",
    "null",
    "true",
    [],
    {},
    [None],
    [[]],
    [{}],
    {"": ""},
    {"a": {"b": {"c": None}}},
    {"$patch": "delete"},
    {"$patch": "replace"},
    {"$retainKeys": ["x"]},
    {"x/y": "z"},
    {"matchLabels": {"app": "a"}},
    {"kind": "Pod"},
    ["a", "a"],
    list(range(50)),
)
ODD_KEYS = (
    "",
    "metadata",
    "name",
    "namespace",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "uid",
    "generateName",
    "resourceVersion",
    "managedFields",
    "deletionTimestamp",
    "generation",
    "creationTimestamp",
    "spec",
    "status",
    "$patch",
    "$setElementOrder/containers",
    "$deleteFromPrimitiveList/finalizers",
    "$retainKeys",
    "kind",
    "apiVersion",
    "x-kubernetes-validations",
    "default",
    "items",
    "\x00",
    "a.b",
)

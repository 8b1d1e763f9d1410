"""Whatever comes in, an answer goes out: no exception leaves the HTTP-shaped face, and nothing is the server's fault."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rayrig_core.http import HttpRequest
from rayrig_core.resources.crds import custom_resource_definitions
from rayrig_fakes.kubernetes.rest.handler import WatchResponse, handle
from rayrig_fakes.kubernetes.server import ApiServer

_RESOURCES = (
    "/api/v1/namespaces/default/pods",
    "/api/v1/namespaces/default/configmaps",
    "/api/v1/namespaces/default/secrets",
    "/api/v1/namespaces/default/services",
    "/api/v1/namespaces/default/events",
    "/api/v1/namespaces",
    "/api/v1/nodes",
    "/apis/apps/v1/namespaces/default/deployments",
    "/apis/batch/v1/namespaces/default/jobs",
    "/apis/coordination.k8s.io/v1/namespaces/default/leases",
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
    "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
    "/apis/events.k8s.io/v1/namespaces/default/events",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
    "/apis/authorization.k8s.io/v1/subjectaccessreviews",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/ray.io/v1/namespaces/default/rayclusters",
    "/apis/ray.io/v1/namespaces/default/rayservices",
)
_TYPES = (
    "application/json",
    "application/yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "application/vnd.kubernetes.protobuf",
    "text/plain",
    "",
)
#: Names that mean something somewhere, so that odd values land where they are read.
_FIELDS = [
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
    "spec",
    "status",
    "containers",
    "image",
    "env",
    "ports",
    "containerPort",
    "resources",
    "limits",
    "requests",
    "cpu",
    "volumes",
    "template",
    "selector",
    "matchLabels",
    "matchExpressions",
    "data",
    "stringData",
    "binaryData",
    "immutable",
    "type",
    "clusterIP",
    "clusterIPs",
    "replicas",
    "rules",
    "subjects",
    "roleRef",
    "taints",
    "key",
    "effect",
    "tolerations",
    "conditions",
    "minAvailable",
    "maxUnavailable",
    "group",
    "names",
    "plural",
    "kind",
    "versions",
    "schema",
    "openAPIV3Schema",
    "properties",
    "items",
    "default",
    "x-kubernetes-validations",
    "rule",
    "storage",
    "served",
    "scope",
    "rayClusterConfig",
    "headGroupSpec",
    "workerGroupSpecs",
    "groupName",
    "serveConfigV2",
    "involvedObject",
    "regarding",
    "eventTime",
    "endpoints",
    "livenessProbe",
    "httpGet",
    "port",
    "initContainers",
    "lifecycle",
    "preStop",
    "securityContext",
    "nodeName",
    "schedulingGates",
    "op",
    "path",
    "from",
    "value",
    "gracePeriodSeconds",
    "propagationPolicy",
    "preconditions",
    "dryRun",
    "$patch",
    "$retainKeys",
    "$setElementOrder/containers",
    "$deleteFromPrimitiveList/finalizers",
    "volumeMounts",
    "verbs",
    "resourceAttributes",
    "capacity",
]
_text = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
_names = st.sampled_from(_FIELDS) | _text
_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text
    | st.sampled_from(
        ("a", "1", "1Gi", "Always", "a.b/c", "2026-01-02T03:04:05Z", "/spec/containers/0", "add", "test", "25%")
    )
)
_json = st.recursive(
    _leaves, lambda below: st.lists(below, max_size=3) | st.dictionaries(_names, below, max_size=4), max_leaves=18
)


@st.composite
def _objects(draw: st.DrawFn) -> Any:
    """Something that passes for an object of its path, with odd parts."""
    meta = draw(st.dictionaries(_names, _json, max_size=3)) | draw(st.sampled_from(({}, {"name": "a"}, {"name": "b"})))
    body = draw(st.dictionaries(_names, _json, max_size=3))
    return (
        body
        | {"metadata": draw(st.just(meta) | _json)}
        | draw(st.sampled_from(({}, {"kind": "Pod", "apiVersion": "v1"})))
    )


_bodies = (_json | _objects() | st.lists(st.dictionaries(_names, _json, max_size=4), max_size=3)).map(
    lambda value: json.dumps(value).encode()
) | st.binary(max_size=60)
_query = st.dictionaries(
    st.sampled_from(
        [
            "labelSelector",
            "fieldSelector",
            "limit",
            "continue",
            "resourceVersion",
            "resourceVersionMatch",
            "watch",
            "dryRun",
            "fieldManager",
            "force",
            "fieldValidation",
            "sendInitialEvents",
            "timeoutSeconds",
            "allowWatchBookmarks",
            "gracePeriodSeconds",
            "propagationPolicy",
            "includeObject",
            "container",
            "pretty",
        ]
    )
    | _text,
    st.lists(
        _text | st.sampled_from(("All", "true", "Strict", "0", "1", "-1", "99999999999999999999", "a=b,c", "x")),
        max_size=2,
    ),
    max_size=3,
)
_paths = (
    st.sampled_from(_RESOURCES)
    | st.tuples(st.sampled_from(_RESOURCES), st.sampled_from(("a", "b", "default", "é", "a/b/c"))).map("/".join)
    | st.tuples(
        st.sampled_from(_RESOURCES),
        st.sampled_from(("a", "b", "nope")),
        st.sampled_from(("status", "scale", "eviction", "binding", "log", "exec", "finalize", "proxy", "token", "x")),
    ).map("/".join)
    | _text.map(lambda text: f"/{text}")
)
_headers = st.fixed_dictionaries(
    {"content-type": st.sampled_from(_TYPES)},
    optional={
        "accept": st.sampled_from(
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io",
                "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
                "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
                "application/yaml",
                "application/vnd.kubernetes.protobuf",
            )
        )
        | _text,
        "user-agent": _text,
    },
)


def _server() -> ApiServer:
    server = ApiServer(lambda: 1_767_225_600 * 1_000_000_000, Random(0))
    server.add_definitions(custom_resource_definitions())
    pod = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    plain = {"metadata": {"name": "a"}}
    for path, body in ((_RESOURCES[0], pod), *((path, plain) for path in _RESOURCES[1:])):
        _ask(server, "POST", path, {}, {"content-type": "application/json"}, json.dumps(body).encode())
    return server


def _ask(
    server: ApiServer, method: str, path: str, query: dict[str, list[str]], headers: dict[str, str], body: bytes
) -> int:
    answer = handle(server, HttpRequest(method, path, query, headers, body))
    if isinstance(answer, WatchResponse):
        for line in answer.lines():
            json.loads(line)
        answer.close()
    elif answer.body and answer.content_type == "application/json":
        json.loads(answer.body)
    return answer.status


@pytest.mark.accepts("K8-013", "K8-015")
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    requests=st.lists(
        st.tuples(
            st.sampled_from(("GET", "POST", "PUT", "PATCH", "PATCH", "DELETE", "HEAD", "OPTIONS")),
            _paths,
            _query,
            _headers,
            _bodies,
        ),
        min_size=1,
        max_size=12,
    )
)
def test_no_request_makes_the_server_fail(requests: list[Any]) -> None:
    server = _server()
    for method, path, query, headers, body in requests:
        status = _ask(server, method, path, query, headers, body)
        # A resourceVersion on what is to be created is answered so by the real server, too.
        assert status < 500 or (status in (500, 504) and (b"resourceVersion" in body or "resourceVersion" in query))


#: Requests that a fuzzer has found answered with a failure of the server itself.
FOUND = [
    ("PATCH", f"{_RESOURCES[1]}/a", "application/strategic-merge-patch+json", {"metadata": {"ownerReferences": ["x"]}}, 422),
    ("PATCH", f"{_RESOURCES[1]}/a", "application/strategic-merge-patch+json", {"metadata": {"ownerReferences": [[]]}}, 422),
    ("PATCH", f"{_RESOURCES[1]}/a", "application/json-patch+json",
     [{"op": "replace", "path": "", "value": "x"}, {"op": "replace", "path": "/a", "value": 1}], 422),
    ("PATCH", f"{_RESOURCES[1]}/a", "application/json-patch+json",
     [{"op": "replace", "path": "", "value": "x"}, {"op": "test", "path": "/a"}], 422),
    ("GET", f"{_RESOURCES[1]}?watch=1&includeObject=x", "application/json;as=Table;v=v1;g=meta.k8s.io", None, 400),
]  # fmt: skip


@pytest.mark.parametrize(("method", "target", "kind", "body", "code"), FOUND)
def test_what_a_fuzzer_has_found_is_the_clients_fault(
    method: str, target: str, kind: str, body: Any, code: int
) -> None:
    raw = json.dumps(body).encode() if body is not None else b""
    request = HttpRequest.of(method, target, headers={"content-type": kind, "accept": kind}, body=raw)
    if raw:
        request.headers.pop("accept")
    assert handle(_server(), request).status == code

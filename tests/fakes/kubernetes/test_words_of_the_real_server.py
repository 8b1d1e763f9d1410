"""Documents, refusals and columns, letter by letter as a real API server gave them (kubernetes-api.md 1 to 3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rayrig_core.http import HttpRequest
from rayrig_fakes.kubernetes.rest.handler import ApiResponse, handle
from tests.fakes.kubernetes.conftest import Api

CORE = "/api/v1/namespaces/default"
APPS = "/apis/apps/v1/namespaces/default"
MERGE = "application/merge-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def ask(
    api: Api, method: str, target: str, body: Any = None, kind: str = "application/json", accept: str = ""
) -> tuple[int, Any]:
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": kind} if content else {}
    if accept:
        headers["accept"] = accept
    answer = handle(api.server, HttpRequest.of(method, target, headers=headers, body=content))
    assert isinstance(answer, ApiResponse)
    return answer.status, json.loads(answer.body)


def status(code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    """A Status in full."""
    found = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return found if details is None else {**found, "details": details}


# Discovery


@pytest.mark.accepts("K8-001")
def test_discovery_documents_in_full(api: Api) -> None:
    version = {"groupVersion": "coordination.k8s.io/v1", "version": "v1"}
    group = {"name": "coordination.k8s.io", "versions": [version], "preferredVersion": version}
    assert ask(api, "GET", "/apis/coordination.k8s.io")[1] == {"kind": "APIGroup", "apiVersion": "v1", **group}
    assert group in ask(api, "GET", "/apis")[1]["groups"]
    api_versions = ask(api, "GET", "/api")[1]
    assert (api_versions["kind"], api_versions["versions"]) == ("APIVersions", ["v1"])
    assert api_versions["serverAddressByClientCIDRs"][0]["clientCIDR"] == "0.0.0.0/0"
    assert ask(api, "GET", "/apis/coordination.k8s.io/v1")[1] == {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "coordination.k8s.io/v1",
        "resources": [
            {
                "name": "leases",
                "singularName": "lease",
                "namespaced": True,
                "kind": "Lease",
                "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
                "storageVersionHash": "gqkMMb/YqFM=",
            }
        ],
    }
    assert ask(api, "GET", "/version")[1]["gitVersion"] == "v1.36.2"


@pytest.mark.accepts("K8-001")
def test_subresources_are_listed_with_the_kinds_they_take(api: Api) -> None:
    found = {each["name"]: each for each in ask(api, "GET", "/api/v1")[1]["resources"]}
    kinds = {
        name: (each.get("group", ""), each.get("version", ""), each["kind"])
        for name, each in found.items()
        if "/" in name
    }
    assert kinds["pods/status"] == ("", "", "Pod")
    assert kinds["pods/binding"] == ("", "", "Binding")
    assert kinds["pods/eviction"] == ("policy", "v1", "Eviction")
    assert kinds["pods/exec"] == ("", "", "PodExecOptions")
    assert kinds["serviceaccounts/token"] == ("authentication.k8s.io", "v1", "TokenRequest")
    assert kinds["namespaces/finalize"] == ("", "", "Namespace")
    scale = next(
        each for each in ask(api, "GET", "/apis/apps/v1")[1]["resources"] if each["name"] == "deployments/scale"
    )
    assert scale == {
        "name": "deployments/scale",
        "singularName": "",
        "namespaced": True,
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
        "verbs": ["get", "patch", "update"],
    }


# Columns

COLUMNS = {
    "/api/v1/pods": "Name Ready Status Restarts Age +IP +Node +Nominated_Node +Readiness_Gates",
    "/api/v1/services": "Name Type Cluster-IP External-IP Port(s) Age +Selector",
    "/api/v1/nodes": "Name Status Roles Age Version +Internal-IP +External-IP +OS-Image +Kernel-Version +Container-Runtime",
    "/api/v1/namespaces": "Name Status Age",
    "/apis/apps/v1/deployments": "Name Ready Up-to-date Available Age +Containers +Images +Selector",
    "/apis/apps/v1/replicasets": "Name Desired Current Ready Age +Containers +Images +Selector",
    "/api/v1/configmaps": "Name Data Age",
    "/api/v1/secrets": "Name Type Data Age",
    "/api/v1/events": "Last_Seen Type Reason Object +Subobject +Source Message +First_Seen +Count +Name",
    "/apis/coordination.k8s.io/v1/leases": "Name Holder Age",
    "/apis/discovery.k8s.io/v1/endpointslices": "Name AddressType Ports Endpoints Age",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions": "Name Created_At",
}


@pytest.mark.accepts("K8-011")
@pytest.mark.parametrize("path", COLUMNS)
def test_columns_of_a_table(api: Api, path: str) -> None:
    table = ask(api, "GET", path, accept=TABLE)[1]
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    shown = [("+" if each["priority"] else "") + each["name"].replace(" ", "_") for each in table["columnDefinitions"]]
    assert " ".join(shown) == COLUMNS[path]


# Refusals


@pytest.mark.accepts("K8-013", "K8-014")
def test_each_kind_of_refusal_in_full(custom: Api) -> None:
    custom.config_map("a", data={"k": "v"})
    named = {"name": "a", "kind": "configmaps"}
    assert ask(custom, "GET", f"{CORE}/configmaps/x") == (
        404,
        status(404, "NotFound", 'configmaps "x" not found', {"name": "x", "kind": "configmaps"}),
    )
    assert ask(custom, "GET", "/apis/example.com/v1/namespaces/default/widgets/x") == (
        404,
        status(
            404,
            "NotFound",
            'widgets.example.com "x" not found',
            {"name": "x", "group": "example.com", "kind": "widgets"},
        ),
    )
    body = {"metadata": {"name": "a"}}
    assert ask(custom, "POST", f"{CORE}/configmaps", body) == (
        409,
        status(409, "AlreadyExists", 'configmaps "a" already exists', named),
    )
    stale = {"metadata": {"name": "a", "resourceVersion": "1"}}
    text = "the object has been modified; please apply your changes to the latest version and try again"
    assert ask(custom, "PUT", f"{CORE}/configmaps/a", stale) == (
        409,
        status(409, "Conflict", f'Operation cannot be fulfilled on configmaps "a": {text}', named),
    )
    cause = {
        "reason": "FieldValueInvalid",
        "message": "Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
        "(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
        "field": "data[a b]",
    }
    assert ask(custom, "POST", f"{CORE}/configmaps", {"metadata": {"name": "b"}, "data": {"a b": ""}}) == (
        422,
        status(
            422,
            "Invalid",
            f'ConfigMap "b" is invalid: data[a b]: {cause["message"]}',
            {"name": "b", "kind": "ConfigMap", "causes": [cause]},
        ),
    )
    assert ask(custom, "DELETE", f"{CORE}/configmaps/a", {"preconditions": {"uid": "u"}})[1]["message"].startswith(
        'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (u) does not match the UID in record ('
    )
    text = "the server does not allow this method on the requested resource"
    assert ask(custom, "PUT", f"{CORE}/configmaps", body) == (405, status(405, "MethodNotAllowed", text, {}))
    assert ask(custom, "PATCH", f"{CORE}/configmaps/a", b"{}", "text/plain")[1]["reason"] == "UnsupportedMediaType"
    assert ask(custom, "GET", f"{CORE}/configmaps?limit=x")[1]["reason"] == "BadRequest"
    text = "the server could not find the requested resource"
    assert ask(custom, "GET", f"{CORE}/nothings") == (404, status(404, "NotFound", text, {}))


# What stays as it is

POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
IMMUTABLE_TEXT = "Forbidden: field is immutable when `immutable` is set"


@pytest.fixture
def settled(api: Api) -> Api:
    """With an object of each kind of which something is not to be changed."""
    deployment = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
    job = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    for path, body in (
        (f"{CORE}/configmaps", {"metadata": {"name": "fixed"}, "data": {"k": "v"}, "immutable": True}),
        (f"{CORE}/secrets", {"metadata": {"name": "fixed"}, "data": {"k": "dg=="}, "immutable": True}),
        (f"{CORE}/secrets", {"metadata": {"name": "free"}, "data": {"k": "dg=="}}),
        (f"{CORE}/pods", POD),
        (f"{CORE}/services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}),
        (f"{APPS}/deployments", {"metadata": {"name": "d"}, "spec": deployment}),
        ("/apis/batch/v1/namespaces/default/jobs", {"metadata": {"name": "j"}, "spec": {"template": job}}),
    ):  # fmt: skip
        code, answer = ask(api, "POST", path, body)
        assert code == 201, answer
    return api


@pytest.mark.accepts("K8-033")
@pytest.mark.parametrize(
    ("target", "patch", "field", "says"),
    [
        (f"{CORE}/configmaps/fixed", {"data": {"k": "w"}}, "data", IMMUTABLE_TEXT),
        (f"{CORE}/configmaps/fixed", {"binaryData": {"b": "dg=="}}, "binaryData", IMMUTABLE_TEXT),
        (f"{CORE}/configmaps/fixed", {"immutable": False}, "immutable", IMMUTABLE_TEXT),
        (f"{CORE}/secrets/fixed", {"data": {"k": "dw=="}}, "data", IMMUTABLE_TEXT),
        (f"{CORE}/secrets/fixed", {"immutable": None}, "immutable", IMMUTABLE_TEXT),
        (f"{CORE}/secrets/free", {"type": "x"}, "type", 'Invalid value: "x": field is immutable'),
        (f"{CORE}/services/s", {"spec": {"clusterIP": "10.96.200.200"}}, "spec.clusterIPs[0]",
         'Invalid value: ["10.96.200.200"]: may not change once set'),
        (f"{APPS}/deployments/d",
         {"spec": {"selector": {"matchLabels": {"a": "c"}}, "template": {"metadata": {"labels": {"a": "c"}}}}},
         "spec.selector", 'Invalid value: {"matchLabels":{"a":"c"}}: field is immutable'),
        ("/apis/batch/v1/namespaces/default/jobs/j", {"spec": {"completions": 5}}, "spec.completions",
         "Invalid value: 5: field is immutable"),
        (f"{CORE}/pods/p", {"spec": {"terminationGracePeriodSeconds": 9}}, "spec", "pod updates may not change fields other than"),
        (f"{CORE}/pods/p", {"spec": {"nodeName": "x"}}, "spec", "pod updates may not change fields other than"),
        (f"{CORE}/pods/p", {"spec": {"hostname": "x"}}, "spec", "pod updates may not change fields other than"),
    ],
)  # fmt: skip
def test_what_may_not_change(settled: Api, target: str, patch: Any, field: str, says: str) -> None:
    before = ask(settled, "GET", target)
    code, answer = ask(settled, "PATCH", target, patch, MERGE)
    assert code == 422, answer
    found = {cause["field"]: cause["message"] for cause in answer["details"]["causes"]}
    assert says in found[field]
    assert ask(settled, "GET", target) == before


@pytest.mark.accepts("K8-033")
def test_what_may_change_nevertheless(settled: Api) -> None:
    for target, patch in (
        (f"{CORE}/configmaps/fixed", {"metadata": {"labels": {"a": "b"}}}),
        (f"{CORE}/secrets/free", {"immutable": True}),
        (f"{CORE}/pods/p", {"spec": {"containers": [{"name": "c", "image": "i:2"}]}}),
        (f"{CORE}/pods/p", {"spec": {"activeDeadlineSeconds": 100}}),
        (f"{CORE}/pods/p", {"spec": {"activeDeadlineSeconds": 90}}),
    ):
        code, answer = ask(settled, "PATCH", target, patch, "application/strategic-merge-patch+json")
        assert code == 200, answer
    pod = ask(settled, "GET", f"{CORE}/pods/p")[1]
    more = [*pod["spec"].get("tolerations", []), {"key": "x", "operator": "Exists"}]
    assert ask(settled, "PATCH", f"{CORE}/pods/p", {"spec": {"tolerations": more}}, MERGE)[0] == 200
    assert ask(settled, "PATCH", f"{CORE}/pods/p", {"spec": {"tolerations": []}}, MERGE)[0] == 422
    assert ask(settled, "PATCH", f"{CORE}/pods/p", {"spec": {"activeDeadlineSeconds": 95}}, MERGE)[0] == 422


# Names, labels, annotations, finalizers

SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


@pytest.mark.accepts("K8-034")
@pytest.mark.parametrize(
    ("path", "metadata", "field", "message"),
    [
        ("configmaps", {"name": "Upper"}, "metadata.name", f'Invalid value: "Upper": {SUBDOMAIN}'),
        ("configmaps", {"name": "a."}, "metadata.name", f'Invalid value: "a.": {SUBDOMAIN}'),
        ("configmaps", {"name": "a", "labels": {"k": "-x"}}, "metadata.labels", f'Invalid value: "-x": {LABEL_VALUE}'),
        ("configmaps", {"name": "a", "labels": {"k": "x" * 64}}, "metadata.labels",
         f'Invalid value: "{"x" * 64}": must be no more than 63 bytes'),
        ("configmaps", {"name": "a", "labels": {"/k": "x"}}, "metadata.labels",
         'Invalid value: "/k": prefix part must be non-empty'),
        ("configmaps", {"name": "a", "annotations": {"a b": "x"}}, "metadata.annotations", f'Invalid value: "a b": {NAME_PART}'),
        ("configmaps", {"name": "a", "finalizers": ["unqualified"]}, "metadata.finalizers[0]",
         'Invalid value: "unqualified": name is neither a standard finalizer name nor is it fully qualified'),
        ("configmaps", {"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": "x", "uid": ""}]},
         "metadata.ownerReferences.uid", 'Invalid value: "": must not be empty'),
        ("services", {"name": "a.b"}, "metadata.name", 'Invalid value: "a.b": must not contain dots'),
        ("", {"name": "a.b"}, "metadata.name", 'Invalid value: "a.b": must not contain dots'),
    ],
)  # fmt: skip
def test_rules_of_metadata_in_full(api: Api, path: str, metadata: Any, field: str, message: str) -> None:
    body = {"metadata": metadata, **({"spec": {"ports": [{"port": 80}]}} if path == "services" else {})}
    code, answer = ask(api, "POST", f"{CORE}/{path}" if path else "/api/v1/namespaces", body)
    assert code == 422
    assert (field, message) in [(cause["field"], cause["message"]) for cause in answer["details"]["causes"]]


@pytest.mark.accepts("K8-034")
def test_lengths_that_are_just_allowed(api: Api) -> None:
    longest = {"name": "x" * 253, "labels": {f"{'p' * 253}/{'n' * 63}": "v" * 63}, "finalizers": ["example.com/f"]}
    assert ask(api, "POST", f"{CORE}/configmaps", {"metadata": longest})[0] == 201
    assert ask(api, "POST", f"{CORE}/configmaps", {"metadata": {"name": "x" * 254}})[0] == 422
    assert ask(api, "POST", "/api/v1/namespaces", {"metadata": {"name": "x" * 63}})[0] == 201
    assert ask(api, "POST", "/api/v1/namespaces", {"metadata": {"name": "x" * 64}})[0] == 422
    service = {"metadata": {"name": "9-starts-with-a-digit"}, "spec": {"ports": [{"port": 80}]}}
    assert ask(api, "POST", f"{CORE}/services", service)[0] == 201


# Resources that come whole


@pytest.mark.accepts("K8-068")
@pytest.mark.parametrize(
    ("resources", "reasons"),
    [
        ({"limits": {"nvidia.com/gpu": "1"}}, None),
        ({"limits": {"nvidia.com/gpu": "2"}, "requests": {"nvidia.com/gpu": "2"}}, None),
        ({"limits": {"nvidia.com/gpu": "500m"}}, "must be an integer"),
        ({"limits": {"nvidia.com/gpu": "1.5"}}, "must be an integer"),
        ({"requests": {"nvidia.com/gpu": "1"}}, "Limit must be set for non overcommitable resources"),
        (
            {"limits": {"nvidia.com/gpu": "2"}, "requests": {"nvidia.com/gpu": "1"}},
            "must be equal to nvidia.com/gpu limit of 2",
        ),
        ({"limits": {"cpu": "500m"}, "requests": {"cpu": "250m"}}, None),
    ],
)
def test_extended_resources_are_whole_and_not_overcommitted(api: Api, resources: Any, reasons: str | None) -> None:
    for part in ("containers", "initContainers"):
        spec: dict[str, Any] = {"containers": [{"name": "c", "image": "i"}]}
        spec[part] = [{"name": "x", "image": "i", "resources": resources}]
        body = {"metadata": {"generateName": "p-"}, "spec": spec}
        code, answer = ask(api, "POST", f"{CORE}/pods", body)
        if reasons is None:
            assert code == 201, answer
            shown = answer["spec"][part][0]["resources"]
            assert shown["requests"].get("nvidia.com/gpu") == resources["limits"].get("nvidia.com/gpu")
        else:
            assert code == 422
            assert reasons in answer["message"]

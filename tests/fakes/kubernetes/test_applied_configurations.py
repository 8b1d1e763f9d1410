"""Server-side apply over HTTP: conflicts, times, accounts that clients send, and what is refused, in the server's words."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from rayrig_core.http import HttpRequest
from rayrig_fakes.kubernetes.rest.handler import ApiResponse, handle
from rayrig_fakes.kubernetes.server import ApiServer

MAPS = "/api/v1/namespaces/default/configmaps"
NS = 1_000_000_000
TYPES = {"apply": "application/apply-patch+yaml", "merge": "application/merge-patch+json"}
TYPES |= {"json": "application/json-patch+json", "create": "application/json"}
TYPES |= {"strategic": "application/strategic-merge-patch+json"}


class Http:
    def __init__(self) -> None:
        self.now = 1_700_000_000 * NS
        self.server = ApiServer(lambda: self.now, Random(1))

    def send(self, method: str, path: str, body: Any, kind: str, **query: str) -> tuple[int, Any]:
        data = body if isinstance(body, str) else json.dumps(body)
        headers = {"content-type": TYPES[kind], "user-agent": "test/1"}
        asked = {name: [value] for name, value in query.items()}
        answer = handle(self.server, HttpRequest(method, path, asked, headers, data.encode()))
        assert isinstance(answer, ApiResponse)
        return answer.status, answer.json()

    def apply(self, body: Any, manager: str = "m", name: str = "a", **query: str) -> tuple[int, Any]:
        return self.send("PATCH", f"{MAPS}/{name}", body, "apply", fieldManager=manager, **query)

    def merge(self, body: Any, manager: str = "u") -> tuple[int, Any]:
        return self.send("PATCH", f"{MAPS}/a", body, "merge", fieldManager=manager)


@pytest.fixture
def http() -> Http:
    return Http()


def config_map(**data: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}


def account(obj: dict[str, Any]) -> list[tuple[str, str, bool, list[str]]]:
    """Who, how, whether with a time, and which keys of the data."""
    return [
        (
            entry["manager"],
            entry["operation"],
            "time" in entry,
            sorted(step.removeprefix("f:") for step in entry["fieldsV1"].get("f:data", {}) if step != "."),
        )
        for entry in obj["metadata"].get("managedFields", ())
    ]


@pytest.mark.accepts("K8-030")
def test_conflicts_are_told_by_manager(http: Http) -> None:
    http.send("POST", MAPS, config_map(a="1", b="2"), "create")
    http.apply(config_map(a="1"), "n")
    code, refused = http.apply(config_map(a="x", b="y"))
    assert code == 409
    assert refused["message"] == (
        'Apply failed with 3 conflicts: conflicts with "n":\n- .data.a\nconflicts with "test" using v1:\n- .data.a\n- .data.b'
    )
    code, refused = http.apply(config_map(b="y"))
    assert refused["message"] == 'Apply failed with 1 conflict: conflict with "test" using v1: .data.b'


@pytest.mark.accepts("K8-031")
def test_who_changes_nothing_has_no_time(http: Http) -> None:
    http.apply(config_map(a="1"))
    code, shared = http.apply(config_map(a="1"), "n")
    assert code == 200
    assert account(shared) == [("n", "Apply", False, ["a"]), ("m", "Apply", True, ["a"])]


@pytest.mark.accepts("K8-031")
def test_an_account_can_be_emptied_and_begins_again_before_the_first_apply(http: Http) -> None:
    http.send("POST", MAPS, config_map(a="1"), "create")
    assert account(http.merge({"metadata": {"managedFields": None}})[1]) == [("test", "Update", True, ["a"])]
    assert account(http.merge({"metadata": {"managedFields": []}})[1]) == []
    _, applied = http.apply(config_map(a="1", b="2"))
    assert account(applied) == [("m", "Apply", True, ["a", "b"]), ("before-first-apply", "Update", True, ["a"])]
    renamed = [{"op": "replace", "path": "/metadata/managedFields/0/manager", "value": "other"}]
    _, changed = http.send("PATCH", f"{MAPS}/a", renamed, "json")
    assert [manager for manager, *_ in account(changed)] == ["other", "before-first-apply"]


@pytest.mark.accepts("K8-031")
def test_ten_updaters_are_kept_apart(http: Http) -> None:
    http.send("POST", MAPS, config_map(a="0"), "create")
    for number in range(12):
        http.now += NS
        _, changed = http.merge({"data": {f"k{number:02}": "1"}}, f"p{number:02}")
    assert account(changed)[0] == ("ancient-changes", "Update", True, ["a", "k00", "k01", "k02"])
    assert [manager for manager, *_ in account(changed)[1:]] == [f"p{number:02}" for number in range(3, 12)]


@pytest.mark.accepts("K8-030")
def test_kubectl_takes_over_what_it_applied_by_itself(http: Http) -> None:
    last = "kubectl.kubernetes.io/last-applied-configuration"
    before = config_map(a="1", b="2")
    annotated = {**before, "metadata": {"name": "a", "annotations": {last: json.dumps(before)}}}
    http.send("POST", MAPS, annotated, "create", fieldManager="kubectl-client-side-apply")
    code, _ = http.apply(config_map(a="2", b="2"), "somebody")
    assert code == 409
    code, taken = http.apply(config_map(a="2", b="2"), "kubectl")
    assert code == 200
    assert taken["data"] == {"a": "2", "b": "2"}
    written = '{"apiVersion":"v1","data":{"a":"2","b":"2"},"kind":"ConfigMap","metadata":{"name":"a"}}\n'
    assert taken["metadata"]["annotations"][last] == written


@pytest.mark.accepts("K8-030")
@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"data": {}}, 400, "invalid object type: /, Kind="),
        ({**config_map(), "apiVersion": "v2"}, 400, "invalid object type: /v2, Kind=ConfigMap"),
        ({**config_map(), "kind": "Secret"}, 400, "invalid object type: /v1, Kind=Secret"),
        ({**config_map(), "metadata": {"name": "a", "managedFields": []}}, 400, "metadata.managedFields must be nil"),
        (
            config_map(a=5),
            500,
            (
                "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .data.a: expected string, got "
                "&value.valueUnstructured{Value:5}"
            ),
        ),
        (
            {**config_map(), "data": [1]},
            500,
            "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .data: expected map, got &{[1]}",
        ),
        (
            {**config_map(), "foo": 1},
            500,
            "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .foo: field not declared in schema",
        ),
        (
            "[]",
            400,
            (
                "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go "
                "value of type map[string]interface {}"
            ),
        ),
        (
            "a: b: c",
            400,
            "error decoding YAML: error converting YAML to JSON: yaml: mapping values are not allowed in this context",
        ),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "g"}},
            400,
            "the name of the object (a based on URL) was undeterminable: name must be provided",
        ),
    ],
)
def test_what_cannot_be_applied(http: Http, body: Any, code: int, message: str) -> None:
    status, refused = http.apply(body, fieldValidation="Ignore")
    assert (status, refused["message"]) == (code, message)


@pytest.mark.accepts("K8-030")
def test_items_come_in_the_order_of_what_is_applied(http: Http) -> None:
    def held(*finalizers: str) -> dict[str, Any]:
        meta = {"name": "a", "finalizers": [f"example.com/{each}" for each in finalizers]}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}

    http.apply(held("a", "b", "c"))
    _, merged = http.apply(held("d", "b"), "n")
    assert [each[-1] for each in merged["metadata"]["finalizers"]] == ["a", "d", "b", "c"]


@pytest.mark.accepts("K8-029")
@pytest.mark.parametrize(
    ("patch", "code", "message"),
    [
        (
            {"spec": {"containers": [{"image": "x"}]}},
            500,
            "map: map[image:x] does not contain declared merge key: name",
        ),
        ({"spec": {"$patch": "odd"}}, 500, "unknown patch type: odd in map: map[$patch:odd]"),
        (
            {"metadata": {"$setElementOrder/finalizers": ["e.io/b"], "finalizers": ["e.io/a"]}},
            500,
            "The order in patch list:\n[e.io/a]\n doesn't match $setElementOrder list:\n[e.io/b]\n",
        ),
        ({"metadata": {"$retainKeys": ["name"], "labels": {}}}, 400, "invalid patch format of retainKeys"),
        (
            {"spec": {"containers": 5}},
            422,
            ' "" is invalid: patch: Invalid value: "map[spec:map[containers:5]]": cannot restore slice from int64',
        ),
        (
            {"metadata": {"labels": {"a": 5}}},
            422,
            ' "" is invalid: patch: Invalid value: "map[metadata:map[labels:map[a:5]]]": cannot convert int64 to string',
        ),
        ([], 400, "json: cannot unmarshal array into Go value of type map[string]interface {}"),
    ],
)
def test_strategic_patches_that_are_none(http: Http, patch: Any, code: int, message: str) -> None:
    pods = "/api/v1/namespaces/default/pods"
    spec = {"containers": [{"name": "c", "image": "i"}]}
    http.send("POST", pods, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}, "create")
    status, refused = http.send("PATCH", f"{pods}/p", patch, "strategic")
    assert (status, refused["message"]) == (code, message)


def test_a_missing_object_is_missed_before_its_patch_is_read(http: Http) -> None:
    assert http.send("PATCH", f"{MAPS}/none", "{", "merge")[0] == 404


def test_an_empty_map_that_is_not_kept_is_owned_all_the_same() -> None:
    """Objects that are empty are not stored: who adds one again takes it from those who own it."""
    http = Http()
    maps = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    assert http.apply({**maps, "data": {}}, "first")[0] == 201
    status, refused = http.apply({**maps, "data": {"k": "v"}}, "second")
    assert (status, refused["message"]) == (409, 'Apply failed with 1 conflict: conflict with "first": .data')
    status, taken = http.apply({**maps, "data": {"k": "v"}}, "second", force="true")
    assert status == 200
    assert [entry["manager"] for entry in taken["metadata"]["managedFields"]] == ["second"]
    assert http.apply({**maps, "data": {}}, "third")[0] == 200


def custom(http: Http) -> str:
    properties: dict[str, Any] = {
        "count": {"type": "integer"},
        "flag": {"type": "boolean"},
        "template": {"type": "object", "properties": {"metadata": {"type": "object"}}},
        "filled": {"type": "string", "default": "z"},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "items": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}},
        },
    }
    spec = {"type": "object", "properties": properties}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    definition = {
        "metadata": {"name": "things.a.example.com"},
        "spec": {
            "group": "a.example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    assert http.send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition, "create")[0] == 201
    return "/apis/a.example.com/v1/namespaces/default/things/t"


def test_a_count_that_is_absent_can_be_set_but_not_read() -> None:
    http = Http()
    path = custom(http)
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.a.example.com"
    scale = {"specReplicasPath": ".spec.count", "statusReplicasPath": ".status.count"}
    to = [{"op": "add", "path": "/spec/versions/0/subresources", "value": {"scale": scale}}]
    assert http.send("PATCH", definitions, to, "json")[0] == 200
    assert applied(http, path, {"flag": True})[0] == 201
    status, refused = http.send("GET", f"{path}/scale", None, "create")
    says = 'Internal error occurred: the spec replicas field ".spec.count" does not exist'
    assert (status, refused["message"]) == (500, says)
    status, made = http.send("PATCH", f"{path}/scale", {"spec": {"replicas": 3}}, "merge")
    assert (status, made["spec"]) == (200, {"replicas": 3})


def applied(http: Http, path: str, spec: Any) -> tuple[int, Any]:
    thing = {"apiVersion": "a.example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec}
    return http.send("PATCH", path, thing, "apply", fieldManager="m")


@pytest.mark.accepts("K8-030")
def test_nulls_of_an_applied_custom_resource_are_not_dropped() -> None:
    http = Http()
    path = custom(http)
    status, refused = applied(http, path, {"template": {"metadata": None}})
    says = (
        'spec.template.metadata: Invalid value: "null": spec.template.metadata in body must be of type object: "null"'
    )
    assert (status, refused["message"]) == (422, f'Thing.a.example.com "t" is invalid: {says}')
    status, made = applied(http, path, {"filled": None})
    assert (status, made["spec"]) == (201, {"filled": "z"})


@pytest.mark.accepts("K8-030")
@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"count": "1"}, ".spec.count: expected numeric (int or float), got string"),
        ({"count": {"a": 1}}, ".spec.count: expected numeric (int or float), got map[string]interface {}"),
        ({"flag": "x"}, ".spec.flag: expected boolean, got &{x}"),
        (
            {"filled": [None]},
            ".spec.filled: expected string, got &value.valueUnstructured{Value:[]interface {}{interface {}(nil)}}",
        ),
        ({"items": ["a", "a"]}, ".spec.items: element 0: associative list with keys may not have non-map elements"),
        ({"items": [None]}, ".spec.items: element 0: associative list with keys may not have a null element"),
        (
            {"items": [{"v": 1}]},
            (
                '.spec.items: element 0: associative list with keys has an element that omits all key fields ["k"] '
                "(and doesn't have default values for any key fields)"
            ),
        ),
        ({"set": [None]}, ".spec.set: element 0: associative list without keys has an element that's an explicit null"),
        ({"set": [{}]}, ".spec.set: element 0: associative list without keys has an element that's a map type"),
        ({"set": [[]]}, ".spec.set: element 0: not supported: associative list with lists as elements"),
    ],
)
def test_applied_values_that_are_not_of_their_type(spec: Any, problem: str) -> None:
    http = Http()
    status, refused = applied(http, custom(http), spec)
    says = f"failed to create typed patch object (/t; a.example.com/v1, Kind=Thing): {problem}"
    assert (status, refused["message"]) == (500, says)


@pytest.mark.accepts("K8-031")
def test_lists_without_items_are_nobodys() -> None:
    http = Http()
    status, made = applied(http, custom(http), {"items": []})
    assert (status, made["metadata"].get("managedFields")) == (201, None)

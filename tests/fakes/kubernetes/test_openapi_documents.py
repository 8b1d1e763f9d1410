"""OpenAPI of what is served: an index with hashes, documents per group version, one Swagger document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rayrig_core.http import HttpRequest
from rayrig_fakes.kubernetes.rest.handler import ApiResponse, handle
from tests.fakes.kubernetes.conftest import Api, widget_definition

V3_PROTOBUF = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"


def get(api: Api, target: str, **headers: str) -> ApiResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = handle(api.server, HttpRequest.of("GET", target, headers=named))
    assert isinstance(answer, ApiResponse)
    return answer


def document(api: Api, target: str) -> Any:
    answer = get(api, target)
    assert answer.status == 200
    return answer.json()


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(each) for each in value.values()))
    if isinstance(value, list):
        return set().union(*(references(each) for each in value))
    return set()


def at(document: Any, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document


@pytest.mark.accepts("K8-004")
def test_every_document_of_the_index_is_served_under_its_hash_and_refers_to_nothing_that_is_not_in_it(
    custom: Api,
) -> None:
    index = document(custom, "/openapi/v3")["paths"]
    assert {"api/v1", "apis/apps", "apis/apps/v1", "apis/example.com/v1", "version"} <= set(index)
    assert "apis/example.com" not in index
    assert list(index) == sorted(index)
    for entry in index.values():
        answer = get(custom, entry["serverRelativeURL"])
        assert (answer.status, answer.content_type) == (200, "application/json")
        headers = dict(answer.headers)
        assert entry["serverRelativeURL"].endswith(f"?hash={headers['etag'].strip(chr(34))}")
        assert headers["cache-control"] == "public, immutable"
        found = answer.json()
        assert found["openapi"] == "3.0.0"
        for reference in sorted(references(found)):
            assert isinstance(at(found, reference), dict)


@pytest.mark.accepts("K8-004")
def test_the_swagger_document_refers_to_nothing_that_is_not_in_it(custom: Api) -> None:
    found = document(custom, "/openapi/v2")
    for reference in sorted(references(found)):
        assert isinstance(at(found, reference), dict)
    widget = found["definitions"]["com.example.v1.Widget"]
    assert widget["x-kubernetes-group-version-kind"] == [{"group": "example.com", "kind": "Widget", "version": "v1"}]
    assert "anyOf" not in json.dumps(widget)
    named = found["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"]
    assert {"get", "put", "patch", "delete", "parameters"} == set(named)


def test_an_old_hash_leads_to_the_present_one(custom: Api) -> None:
    old = document(custom, "/openapi/v3")["paths"]["apis/example.com/v1"]["serverRelativeURL"]
    definition = widget_definition(
        schema={"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}
    )
    from rayrig_core.resource_types import CUSTOM_RESOURCE_DEFINITION

    custom.patch(CUSTOM_RESOURCE_DEFINITION, "widgets.example.com", {"spec": definition["spec"]})
    new = document(custom, "/openapi/v3")["paths"]["apis/example.com/v1"]["serverRelativeURL"]
    assert new != old
    moved = get(custom, old)
    assert (moved.status, dict(moved.headers)["location"]) == (301, new)
    schemas = document(custom, new)["components"]["schemas"]
    assert schemas["com.example.v1.Widget"]["properties"]["spec"] == {"type": "object"}


def test_whoever_has_a_document_is_not_sent_it_again(api: Api) -> None:
    first = get(api, "/openapi/v3/api/v1")
    again = get(api, "/openapi/v3/api/v1", if_none_match=dict(first.headers)["etag"])
    assert (again.status, again.body) == (304, b"")


def test_only_json_is_served(api: Api) -> None:
    assert get(api, "/openapi/v3/api/v1", accept=V3_PROTOBUF).status == 406
    assert get(api, "/openapi/v3/api/v1", accept=f"{V3_PROTOBUF},application/json").status == 200
    assert get(api, "/openapi/v2", accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf").status == 406


def test_documents_that_are_not_there(api: Api) -> None:
    for path in ("/openapi", "/openapi/v4", "/openapi/v3/apis/nope", "/openapi/v3/apis/apps/v9", "/openapi/v2/x"):
        assert get(api, path).status == 404


def test_lists_of_pods_merge_by_their_keys(api: Api) -> None:
    schemas = document(api, "/openapi/v3/api/v1")["components"]["schemas"]
    spec = schemas["io.k8s.api.core.v1.PodSpec"]
    assert spec["required"] == ["containers"]
    assert spec["properties"]["containers"] == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/io.k8s.api.core.v1.Container"},
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "x-kubernetes-patch-merge-key": "name",
        "x-kubernetes-patch-strategy": "merge",
    }
    assert spec["properties"]["volumes"]["x-kubernetes-patch-strategy"] == "merge,retainKeys"
    pods = schemas["io.k8s.api.core.v1.PodList"]
    assert pods["x-kubernetes-group-version-kind"] == [{"group": "", "kind": "PodList", "version": "v1"}]


def test_clients_see_that_the_server_validates_fields(api: Api) -> None:
    patch = document(api, "/openapi/v3/apis/apps/v1")["paths"][
        "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
    ]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "kind": "Deployment", "version": "v1"}
    assert {"dryRun", "fieldValidation", "fieldManager", "force"} == {each["name"] for each in patch["parameters"]}


def test_operations_have_names_of_their_own(custom: Api) -> None:
    paths = document(custom, "/openapi/v2")["paths"]
    ids = [
        operation["operationId"] for path in paths.values() for name, operation in path.items() if name != "parameters"
    ]
    assert sorted(each for each in set(ids) if ids.count(each) > 1) == []


def test_kinds_and_the_fields_all_of_them_have_are_described(custom: Api) -> None:
    for name, kind in (("api/v1", "io.k8s.api.core.v1.Pod"), ("apis/example.com/v1", "com.example.v1.Widget")):
        schema = document(custom, f"/openapi/v3/{name}")["components"]["schemas"][kind]
        assert schema["properties"]["kind"]["description"] == "Name of the schema this object is written in."
    pod = document(custom, "/openapi/v3/api/v1")["components"]["schemas"]["io.k8s.api.core.v1.Pod"]
    assert pod["description"] == "Containers that run together on one node."
    assert pod["properties"]["spec"] == {
        "allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.PodSpec"}],
        "description": "What is wanted.",
    }

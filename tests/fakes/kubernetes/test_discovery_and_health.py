"""What a server tells about itself: discovery in both forms, health, metrics."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.http import HttpRequest
from rayrig_core.resource_types import CUSTOM_RESOURCE_DEFINITION
from rayrig_fakes.kubernetes.rest.handler import ApiResponse, handle
from tests.fakes.kubernetes.conftest import Api, widget_definition

AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)


def get(api: Api, target: str, **headers: str) -> ApiResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = handle(api.server, HttpRequest.of("GET", target, headers=named))
    assert isinstance(answer, ApiResponse)
    return answer


def resources(api: Api, path: str) -> dict[str, Any]:
    return {each["name"]: each for each in get(api, path).json()["resources"]}  # type: ignore[index,call-overload]


@pytest.mark.accepts("K8-001")
def test_the_stored_kind_shows_as_a_hash(api: Api) -> None:
    # Of "/v1/Pod", as every API server computes it.
    assert resources(api, "/api/v1")["pods"]["storageVersionHash"] == "xPOwRZ+Yhw8="
    assert "storageVersionHash" not in resources(api, "/api/v1")["pods/status"]


@pytest.mark.accepts("K8-001")
def test_both_versions_of_an_autoscaler_are_one_object(api: Api) -> None:
    one, two = resources(api, "/apis/autoscaling/v1"), resources(api, "/apis/autoscaling/v2")
    assert (
        one["horizontalpodautoscalers"]["storageVersionHash"] == two["horizontalpodautoscalers"]["storageVersionHash"]
    )
    group = get(api, "/apis/autoscaling").json()
    assert [each["version"] for each in group["versions"]] == ["v2", "v1"]  # type: ignore[index,call-overload]


def test_reviews_can_only_be_created(api: Api) -> None:
    found = resources(api, "/apis/authorization.k8s.io/v1")
    assert {name: each["verbs"] for name, each in found.items()} == {
        "localsubjectaccessreviews": ["create"],
        "selfsubjectaccessreviews": ["create"],
        "selfsubjectrulesreviews": ["create"],
        "subjectaccessreviews": ["create"],
    }
    assert get(api, "/apis/authorization.k8s.io/v1/subjectaccessreviews").status == 405
    assert resources(api, "/api/v1")["serviceaccounts/token"] == {
        "name": "serviceaccounts/token",
        "singularName": "",
        "namespaced": True,
        "group": "authentication.k8s.io",
        "version": "v1",
        "kind": "TokenRequest",
        "verbs": ["create"],
    }


@pytest.mark.accepts("K8-002", "K8-003")
def test_the_aggregated_list_changes_its_etag_with_what_is_served(api: Api) -> None:
    first = get(api, "/apis", accept=AGGREGATED)
    assert first.content_type == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    etag = dict(first.headers)["etag"]
    assert get(api, "/apis", accept=AGGREGATED, if_none_match=etag).status == 304
    api.create(CUSTOM_RESOURCE_DEFINITION, widget_definition())
    second = get(api, "/apis", accept=AGGREGATED, if_none_match=etag)
    assert second.status == 200
    groups = {each["metadata"]["name"]: each for each in second.json()["items"]}  # type: ignore[index,call-overload]
    assert groups["example.com"]["versions"][0]["resources"][0]["shortNames"] == ["wd"]
    api.delete(CUSTOM_RESOURCE_DEFINITION, "widgets.example.com")
    assert get(api, "/apis", accept=AGGREGATED, if_none_match=etag).status == 304


def test_plain_discovery_for_those_who_ask_for_it_first(api: Api) -> None:
    asked = f"application/json,{AGGREGATED}"
    assert get(api, "/apis", accept=asked).json()["kind"] == "APIGroupList"  # type: ignore[index,call-overload]
    other = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
    assert get(api, "/apis", accept=f"{other},application/json").json()["kind"] == "APIGroupList"  # type: ignore[index,call-overload]


@pytest.mark.accepts("K8-006")
def test_health(api: Api) -> None:
    for path in ("/healthz", "/livez", "/readyz", "/livez/ping", "/readyz/etcd"):
        answer = get(api, path)
        assert (answer.status, answer.body, answer.content_type) == (200, b"ok", "text/plain; charset=utf-8")
    lines = get(api, "/readyz?verbose").body.decode().splitlines()
    assert (lines[0], lines[-1]) == ("[+]ping ok", "readyz check passed")
    assert get(api, "/readyz?verbose&exclude=etcd").body.decode().splitlines()[2] == "[+]etcd excluded: ok"
    assert get(api, "/readyz/nope").status == 404


def test_metrics_count_what_is_stored(api: Api) -> None:
    api.config_map("a")
    lines = get(api, "/metrics").body.decode().splitlines()
    assert 'apiserver_storage_objects{resource="configmaps"} 1' in lines
    assert all(line.startswith("#") or line.rpartition(" ")[2].isdigit() for line in lines)


@pytest.mark.accepts("K8-002")
def test_groups_stand_in_the_order_of_their_priority(api: Api) -> None:
    api.create(CUSTOM_RESOURCE_DEFINITION, widget_definition())
    plain: Any = get(api, "/apis").json()
    names = [group["name"] for group in plain["groups"]]
    assert names[:4] == ["apiregistration.k8s.io", "apps", "events.k8s.io", "authentication.k8s.io"]
    assert names[-2] == "flowcontrol.apiserver.k8s.io"
    listed: Any = get(api, "/apis", accept=AGGREGATED).json()
    assert [group["metadata"]["name"] for group in listed["items"]] == names


def test_the_version_says_what_it_emulates(api: Api) -> None:
    found: Any = get(api, "/version").json()
    assert [found["emulationMajor"], found["emulationMinor"]] == ["1", "36"]
    assert [found["minCompatibilityMajor"], found["minCompatibilityMinor"]] == ["1", "35"]


@pytest.mark.accepts("K8-011")
def test_empty_tables_of_kinds_without_a_layout_have_no_rows(api: Api) -> None:
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    for path, empty in (("limitranges", None), ("configmaps", [])):
        found: Any = get(api, f"/api/v1/namespaces/default/{path}", accept=accept).json()
        assert found["rows"] == empty

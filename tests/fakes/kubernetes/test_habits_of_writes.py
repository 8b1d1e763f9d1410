"""Small things in which kinds differ when they are written, and warnings beside refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rayrig_core.http import HttpRequest
from rayrig_fakes.kubernetes.rest.handler import ApiResponse, handle
from tests.fakes.kubernetes.conftest import Api

CORE = "/api/v1/namespaces/default"
ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles"


def send(api: Api, method: str, target: str, body: Any = None) -> ApiResponse:
    content = b"" if body is None else json.dumps(body).encode()
    request = HttpRequest.of(method, target, headers={"content-type": "application/json"}, body=content)
    answer = handle(api.server, request)
    assert isinstance(answer, ApiResponse)
    return answer


@pytest.mark.accepts("K8-036")
def test_some_kinds_are_created_by_put(api: Api) -> None:
    assert send(api, "PUT", f"{ROLES}/a", {"metadata": {"name": "a"}, "rules": []}).status == 201
    assert send(api, "PUT", f"{CORE}/configmaps/a", {"metadata": {"name": "a"}}).status == 404


@pytest.mark.accepts("K8-059")
def test_some_kinds_show_what_was_deleted(api: Api) -> None:
    for plural, kind in (("serviceaccounts", "ServiceAccount"), ("configmaps", "Status")):
        send(api, "POST", f"{CORE}/{plural}", {"metadata": {"name": "a"}})
        assert send(api, "DELETE", f"{CORE}/{plural}/a").json()["kind"] == kind


@pytest.mark.accepts("K8-015")
def test_a_put_names_its_object(api: Api) -> None:
    answer = send(api, "PUT", f"{CORE}/configmaps/a", {"metadata": {}})
    assert answer.status == 400
    assert answer.json()["message"].startswith("the name of the object (a based on URL) was undeterminable")


@pytest.mark.accepts("K8-017")
def test_unknown_fields_are_told_beside_a_refusal(api: Api) -> None:
    answer = send(api, "POST", f"{CORE}/configmaps", {"metadata": {"name": "A!"}, "odd": 1})
    assert answer.status == 422
    assert answer.warnings == ('299 - "unknown field \\"odd\\""',)


@pytest.mark.accepts("K8-061")
def test_preconditions_hold_for_each_object_of_a_collection(api: Api) -> None:
    send(api, "POST", f"{CORE}/configmaps", {"metadata": {"name": "a"}})
    assert send(api, "DELETE", f"{CORE}/configmaps", {"preconditions": {"uid": "another"}}).status == 409
    assert send(api, "GET", f"{CORE}/configmaps/a").status == 200


@pytest.mark.accepts("K8-005")
@pytest.mark.parametrize("path", ["/api/v2", "/apis/apps/v9", "/apis/apps/v9/deployments"])
def test_versions_that_a_built_in_group_lacks_are_told_as_json(api: Api, path: str) -> None:
    assert send(api, "GET", path).content_type == "application/json"


def test_names_that_are_no_part_of_a_path_are_refused(api: Api) -> None:
    answer = send(api, "GET", f"{CORE}/configmaps/..")
    assert (answer.status, answer.json()["message"]) == (400, "Name parameter invalid: \"..\": may not be '..'")


OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "own", "uid": "u1"}


@pytest.mark.accepts("K8-034")
def test_an_owner_named_twice_is_kept_once_and_told(api: Api) -> None:
    references = [OWNER, OWNER, {**OWNER, "name": "other"}]
    answer = send(api, "POST", f"{CORE}/configmaps", {"metadata": {"name": "a", "ownerReferences": references}})
    assert [each["name"] for each in answer.json()["metadata"]["ownerReferences"]] == ["own", "other"]
    (warning,) = answer.warnings
    assert "duplicate UID(s) observed: u1" in warning


@pytest.mark.accepts("K8-048", "K8-049")
def test_a_list_from_the_cache_comes_whole(api: Api) -> None:
    for name in ("a", "b"):
        send(api, "POST", f"{CORE}/configmaps", {"metadata": {"name": name}})
    assert len(send(api, "GET", f"{CORE}/configmaps?limit=1").json()["items"]) == 1
    assert len(send(api, "GET", f"{CORE}/configmaps?limit=1&resourceVersion=0").json()["items"]) == 2


@pytest.mark.accepts("K8-032", "K8-064")
def test_an_eviction_may_be_a_dry_run_by_its_options(api: Api) -> None:
    api.pod("a", bound=False)
    eviction = {"metadata": {"name": "a"}, "deleteOptions": {"dryRun": ["All"]}}
    assert send(api, "POST", f"{CORE}/pods/a/eviction", eviction).status == 201
    assert send(api, "GET", f"{CORE}/pods/a").status == 200


@pytest.mark.parametrize("bound", [True, False])
def test_an_evicted_pod_is_marked_whether_it_has_a_node_or_not(api: Api, bound: bool) -> None:
    api.pod("a", bound=bound)
    path = f"{CORE}/pods/a"
    pod = send(api, "GET", path).json()
    pod["metadata"]["finalizers"] = ["example.test/keep"]
    send(api, "PUT", path, pod)
    assert send(api, "POST", f"{path}/eviction", {"metadata": {"name": "a"}}).status == 201
    conditions = send(api, "GET", path).json()["status"]["conditions"]
    assert [c["reason"] for c in conditions if c["type"] == "DisruptionTarget"] == ["EvictionByEvictionAPI"]


@pytest.mark.accepts("K8-031")
def test_no_account_is_begun_by_an_update(api: Api) -> None:
    send(api, "POST", f"{CORE}/configmaps", {"metadata": {"name": "a"}})
    changed = send(api, "PUT", f"{CORE}/configmaps/a", {"metadata": {"name": "a"}, "data": {"k": "v"}})
    assert "managedFields" not in changed.json()["metadata"]


@pytest.mark.accepts("K8-019", "K8-032")
def test_a_version_on_create_is_refused_when_all_else_is_good(api: Api) -> None:
    maps = f"{CORE}/configmaps"
    assert send(api, "POST", maps, {"metadata": {"name": "A!", "resourceVersion": "1"}}).status == 422
    assert send(api, "POST", maps, {"metadata": {"name": "a", "resourceVersion": "1"}}).status == 500
    shown = send(api, "POST", f"{maps}?dryRun=All", {"metadata": {"name": "a", "resourceVersion": "1"}})
    assert (shown.status, shown.json()["metadata"]["resourceVersion"]) == (201, "1")
    assert send(api, "POST", maps, {"metadata": {"name": "a", "resourceVersion": "no number"}}).status == 201


@pytest.mark.accepts("K8-020")
def test_a_name_that_is_taken_beside_a_prefix_may_be_tried_again(api: Api) -> None:
    body = {"metadata": {"name": "a", "generateName": "g-"}}
    send(api, "POST", f"{CORE}/configmaps", body)
    again = send(api, "POST", f"{CORE}/configmaps", body)
    assert again.status == 409
    assert ("retry-after", "1") in again.headers

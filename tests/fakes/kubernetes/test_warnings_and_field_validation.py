"""Unknown and duplicate fields, and what is only warned of: fieldValidation and Warning headers (kubernetes-api.md 3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rayrig_core.http import HttpRequest
from rayrig_core.resource_types import POD
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.rest.handler import ApiResponse, handle
from tests.fakes.kubernetes.conftest import Api, widget_definition

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
POD_WITH_TYPO = {
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "c", "image": "i", "imagee": "j"}], "nodeNam": "n"},
}


def send(api: Api, method: str, target: str, body: Any, **headers: str) -> ApiResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    answer = handle(api.server, HttpRequest.of(method, target, headers=named, body=raw))
    assert isinstance(answer, ApiResponse)
    return answer


def warnings(answer: ApiResponse) -> list[str]:
    return [value for name, value in answer.headers if name == "warning"]


@pytest.mark.accepts("K8-017")
@pytest.mark.parametrize("asked", ["?fieldValidation=Warn", ""])
def test_unknown_fields_of_built_in_kinds_are_warned_of_and_dropped(api: Api, asked: str) -> None:
    answer = send(api, "POST", PODS + asked, POD_WITH_TYPO)
    assert answer.status == 201
    assert warnings(answer) == [
        '299 - "unknown field \\"spec.containers[0].imagee\\""',
        '299 - "unknown field \\"spec.nodeNam\\""',
    ]
    spec = answer.json()["spec"]  # type: ignore[index,call-overload]
    assert "nodeNam" not in spec
    assert "imagee" not in spec["containers"][0]  # type: ignore[index,call-overload]


@pytest.mark.accepts("K8-017")
def test_unknown_fields_are_ignored_silently_where_asked_for(api: Api) -> None:
    answer = send(api, "POST", f"{PODS}?fieldValidation=Ignore", POD_WITH_TYPO)
    assert (answer.status, warnings(answer)) == (201, [])


@pytest.mark.accepts("K8-017")
def test_strict_refuses_unknown_and_duplicate_fields_together_and_stores_nothing(api: Api) -> None:
    body = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"k":"1","k":"2"},"datum":{}}'
    answer = send(api, "POST", f"{CONFIG_MAPS}?fieldValidation=Strict", body)
    assert answer.status == 400
    told = answer.json()
    assert isinstance(told, dict)
    assert (told["reason"], told["status"]) == ("BadRequest", "Failure")
    assert told["message"] == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data.k", '
        'unknown field "datum"'
    )
    assert send(api, "GET", f"{CONFIG_MAPS}/a", b"").status == 404


@pytest.mark.accepts("K8-017")
def test_the_last_of_two_equal_fields_counts_and_a_warning_says_so(api: Api) -> None:
    body = b'{"metadata":{"name":"a"},"data":{"k":"1","k":"2"}}'
    answer = send(api, "POST", CONFIG_MAPS, body)
    assert warnings(answer) == ['299 - "duplicate field \\"data.k\\""']
    assert answer.json()["data"] == {"k": "2"}  # type: ignore[index,call-overload]


@pytest.mark.accepts("K8-017")
def test_custom_resources_are_checked_in_the_same_way(custom: Api) -> None:
    body = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w"},
        "spec": {"owner": "ann", "colr": "red", "nested": {"deep": 1}},
    }
    warned = send(custom, "POST", f"{WIDGETS}?dryRun=All", body)
    assert warned.status == 201
    assert sorted(warnings(warned)) == [
        '299 - "unknown field \\"spec.colr\\""',
        '299 - "unknown field \\"spec.nested.deep\\""',
    ]
    refused = send(custom, "POST", f"{WIDGETS}?fieldValidation=Strict", body)
    assert refused.status == 400
    assert 'unknown field "spec.colr"' in str(refused.json()["message"])  # type: ignore[index,call-overload]
    body["spec"] = {"owner": "ann"}
    assert send(custom, "POST", f"{WIDGETS}?fieldValidation=Strict", body).status == 201


@pytest.mark.accepts("K8-017")
def test_in_a_patch_strict_errors_are_422(api: Api) -> None:
    api.config_map("a")
    target = f"{CONFIG_MAPS}/a?fieldValidation=Strict"
    answer = send(api, "PATCH", target, {"datum": {}}, content_type="application/merge-patch+json")
    assert answer.status == 422
    assert 'strict decoding error: unknown field "datum"' in str(answer.json()["message"])  # type: ignore[index,call-overload]
    assert send(api, "PATCH", target, {"data": {}}, content_type="application/merge-patch+json").status == 200


@pytest.mark.accepts("K8-017")
def test_another_word_than_the_three_is_refused(api: Api) -> None:
    answer = send(api, "POST", f"{CONFIG_MAPS}?fieldValidation=Loud", {"metadata": {"name": "a"}})
    assert answer.status in (400, 422)
    assert "fieldValidation" in str(answer.json()["message"])  # type: ignore[index,call-overload]


@pytest.mark.accepts("K8-018")
def test_every_request_to_a_deprecated_version_is_warned(api: Api) -> None:
    api.server.add_definitions([widget_definition(deprecated=True)])
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"owner": "ann"}}
    patch = {"content_type": "application/merge-patch+json"}
    text = ['299 - "example.com/v1 Widget is deprecated"']
    assert warnings(send(api, "POST", WIDGETS, widget)) == text
    assert warnings(send(api, "GET", WIDGETS, b"")) == text
    assert warnings(send(api, "GET", f"{WIDGETS}/w", b"")) == text
    assert warnings(send(api, "PATCH", f"{WIDGETS}/w", {"spec": {"size": 2}}, **patch)) == text
    assert warnings(send(api, "DELETE", f"{WIDGETS}/w", b"")) == text


@pytest.mark.accepts("K8-018")
def test_a_deprecated_version_may_bring_its_own_words(api: Api) -> None:
    api.server.add_definitions([widget_definition(deprecated=True, deprecationWarning="use gadgets")])
    assert warnings(send(api, "GET", WIDGETS, b"")) == ['299 - "use gadgets"']


@pytest.mark.accepts("K8-018")
def test_doubtful_names_are_taken_with_a_warning(api: Api) -> None:
    pod = {"metadata": {"name": "a.b"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    answer = send(api, "POST", PODS, pod)
    assert answer.status == 201
    (warning,) = warnings(answer)
    assert warning.startswith("299 - \"metadata.name: this is used in the Pod's hostname")
    pod["metadata"]["name"] = "ab"  # type: ignore[index]
    assert warnings(send(api, "POST", PODS, pod)) == []


@pytest.mark.accepts("K8-018")
def test_a_warning_is_one_line_whatever_the_client_has_sent(api: Api) -> None:
    body = {"metadata": {"name": "a"}, 'a\n\x01"\\é': 1}
    assert warnings(send(api, "POST", CONFIG_MAPS, body)) == [
        '299 - "unknown field \\"a\\\\n\\\\x01\\\\\\"\\\\\\\\é\\""'
    ]


@pytest.mark.accepts("K8-018")
def test_long_warnings_are_cut_once_there_are_too_many(api: Api) -> None:
    body: dict[str, Any] = {"metadata": {"generateName": "a"}, "x" * 400: 1}
    assert [len(each) for each in warnings(send(api, "POST", CONFIG_MAPS, body))] == [426]
    body |= {f"f{number}{'x' * 300}": 1 for number in range(100)}
    told = warnings(send(api, "POST", CONFIG_MAPS, body))
    assert len(told) == 16
    assert all(each.count("x") <= 256 for each in told)


@pytest.mark.accepts("K8-018")
def test_doubtful_pods_are_remarked_on_when_they_are_made_only(api: Api) -> None:
    ports = [{"containerPort": 80}]
    containers = [{"name": "a", "image": "i", "ports": ports}, {"name": "b", "image": "i", "ports": ports}]
    pod = {"metadata": {"name": "p"}, "spec": {"containers": containers}}
    call = ApiCall("create", POD, "default", body=pod, field_validation="Warn")
    text = "spec.containers[1].ports[0]: duplicate port definition with spec.containers[0].ports[0]"
    assert api.server.call(call).warnings == (text,)
    labels = {"metadata": {"labels": {"a": "b"}}}
    call = ApiCall("patch", POD, "default", "p", body=labels, patch_type="merge", field_validation="Warn")
    assert api.server.call(call).warnings == ()

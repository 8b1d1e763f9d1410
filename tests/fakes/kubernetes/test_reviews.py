"""Reviews: what they say of themselves, and what their metadata may not hold."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.errors import Invalid
from rayrig_core.resource_types import SERVICE_ACCOUNT, ResourceType

GROUP = "authorization.k8s.io"
OWN = ResourceType(GROUP, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False)
LOCAL = ResourceType(GROUP, "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview")
RULES = ResourceType(GROUP, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", False)
ASKED = {"resourceAttributes": {"verb": "get", "resource": "pods"}}


def fields(made: dict[str, Any]) -> list[tuple[str, str, Any]]:
    found = made["metadata"].get("managedFields", ())
    return [(entry["manager"], entry["operation"], entry["fieldsV1"]) for entry in found]


def test_a_review_of_access_tells_who_wrote_it(api: Any) -> None:
    made = api.create(OWN, {"spec": ASKED}, field_manager="me")
    asked = {"f:resourceAttributes": {".": {}, "f:resource": {}, "f:verb": {}}}
    assert fields(made) == [("me", "Update", {"f:spec": asked})]


def test_a_review_of_rules_has_no_metadata(api: Any) -> None:
    body = {"metadata": {"labels": {"a": "b"}}, "spec": {"namespace": "default"}}
    assert api.create(RULES, body, field_manager="me")["metadata"] == {}


def test_metadata_of_a_review_of_access_is_refused(api: Any) -> None:
    body = {"metadata": {"labels": {"a": "b"}}, "spec": ASKED}
    with pytest.raises(Invalid) as refused:
        api.create(OWN, body, field_manager="")
    text = 'metadata: Invalid value: {"labels":{"a":"b"}}: must be empty'
    assert refused.value.message == f'.{GROUP} "" is invalid: {text}'
    spec = {"user": "u", "resourceAttributes": {**ASKED["resourceAttributes"], "namespace": "default"}}
    with pytest.raises(Invalid) as refused:
        api.create(LOCAL, {"metadata": {"labels": {"a": "b"}}, "spec": spec}, field_manager="")
    shown = '{"namespace":"default","labels":{"a":"b"}}'
    assert refused.value.message == (
        f'.{GROUP} "" is invalid: metadata: Invalid value: {shown}: must be empty except for namespace'
    )


def test_a_token_request_tells_who_wrote_it(api: Any) -> None:
    api.create(SERVICE_ACCOUNT, {"metadata": {"name": "t"}})
    body = {"metadata": {"labels": {"a": "b"}}, "spec": {"audiences": ["x"]}}
    made = api.call("create", SERVICE_ACCOUNT, "t", subresource="token", body=body, field_manager="me")
    assert made["metadata"]["labels"] == {"a": "b"}
    (entry,) = made["metadata"]["managedFields"]
    assert (entry["manager"], entry["subresource"]) == ("me", "token")
    assert entry["fieldsV1"] == {
        "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
        "f:spec": {"f:audiences": {}, "f:expirationSeconds": {}},
    }

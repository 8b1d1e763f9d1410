"""Server-side apply: ownership, conflicts, removal, lists, status."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.errors import ApiError, Conflict, Invalid
from rayrig_core.resource_types import CONFIG_MAP, POD, SERVICE, ResourceType
from tests.fakes.kubernetes.conftest import WIDGET, Api


def apply(api: Api, kind: ResourceType, name: str, manager: str, **body: Any) -> dict[str, Any]:
    options = {field: body.pop(field) for field in ("force", "subresource") if field in body}
    return api.patch(kind, name, body, patch_type="apply", field_manager=manager, **options)


def owned(obj: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{entry['manager']} {entry['operation']}{' ' + entry['subresource'] if 'subresource' in entry else ''}": entry[
            "fieldsV1"
        ]
        for entry in obj["metadata"].get("managedFields", [])
    }


@pytest.mark.accepts("K8-030", "K8-031")
def test_applying_creates_and_owns(api: Api) -> None:
    made = apply(api, CONFIG_MAP, "a", "m1", data={"k": "v"})
    assert made["data"] == {"k": "v"}
    assert made["metadata"]["managedFields"] == [
        {
            "manager": "m1",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:k": {}}},
        }
    ]
    api.pass_time(60)
    again = apply(api, CONFIG_MAP, "a", "m1", data={"k": "v"})
    assert again == made, "nothing changed, not even the time"


@pytest.mark.accepts("K8-030")
def test_a_conflict_names_the_manager_and_the_field_and_can_be_forced(api: Api) -> None:
    apply(api, CONFIG_MAP, "a", "m1", data={"k": "v"})
    with pytest.raises(Conflict, match=r'^Apply failed with 1 conflict: conflict with "m1": \.data\.k$') as refused:
        apply(api, CONFIG_MAP, "a", "m2", data={"k": "w"})
    assert refused.value.status["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "m1"', "field": ".data.k"}
    ]
    apply(api, CONFIG_MAP, "a", "m3", data={"k": "v"})
    forced = apply(api, CONFIG_MAP, "a", "m2", data={"k": "w"}, force=True)
    assert forced["data"] == {"k": "w"}
    assert owned(forced) == {"m2 Apply": {"f:data": {"f:k": {}}}}


@pytest.mark.accepts("K8-030")
def test_what_is_left_out_goes_when_nobody_else_owns_it(api: Api) -> None:
    apply(api, CONFIG_MAP, "a", "m1", data={"k": "v", "l": "1", "m": "2"})
    apply(api, CONFIG_MAP, "a", "m2", data={"m": "2"})
    assert apply(api, CONFIG_MAP, "a", "m1", data={"k": "v"})["data"] == {"k": "v", "m": "2"}


@pytest.mark.accepts("K8-030")
def test_lists_merge_by_key_or_value(custom: Api) -> None:
    apply(custom, WIDGET, "w", "m1", spec={"owner": "ann", "tags": ["x"], "ports": [{"port": 1}]})
    second = apply(custom, WIDGET, "w", "m2", spec={"owner": "ann", "tags": ["y"], "ports": [{"port": 2}]})
    assert second["spec"]["tags"] == ["x", "y"]
    assert [port["port"] for port in second["spec"]["ports"]] == [1, 2]
    left = apply(custom, WIDGET, "w", "m1", spec={"owner": "ann"})
    assert left["spec"]["tags"] == ["y"]
    assert left["spec"]["ports"] == [{"port": 2, "protocol": "TCP"}]
    assert owned(left)["m2 Apply"]["f:spec"]["f:tags"] == {'v:"y"': {}}


@pytest.mark.accepts("K8-030")
def test_containers_merge_by_name(api: Api) -> None:
    apply(api, POD, "p", "m1", spec={"containers": [{"name": "c", "image": "i:1"}]})
    with pytest.raises(Conflict, match=r'\.spec\.containers\[name="c"\]\.image'):
        apply(api, POD, "p", "m2", spec={"containers": [{"name": "c", "image": "i:2"}]})
    assert owned(api.get(POD, "p")) == {
        "m1 Apply": {"f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}, "f:image": {}, "f:name": {}}}}}
    }


@pytest.mark.accepts("K8-030")
def test_status_is_applied_apart(custom: Api) -> None:
    apply(custom, WIDGET, "w", "m1", spec={"owner": "ann"})
    body = {"spec": {"owner": "eve"}, "status": {"phase": "Up"}}
    written = apply(custom, WIDGET, "w", "ctl", subresource="status", **body)
    assert (written["spec"]["owner"], written["status"]) == ("ann", {"phase": "Up"})
    assert owned(written)["ctl Apply status"] == {"f:status": {"f:phase": {}}}


@pytest.mark.accepts("K8-031")
def test_updates_are_accounted_for_once_a_manager_is_named(api: Api) -> None:
    api.create(CONFIG_MAP, {"metadata": {"name": "a"}, "data": {"k": "v"}}, field_manager="one")
    api.patch(CONFIG_MAP, "a", {"data": {"l": "w"}}, field_manager="two")
    taken = api.patch(CONFIG_MAP, "a", {"data": {"k": "x"}}, field_manager="two")
    assert owned(taken) == {
        "one Update": {"f:data": {}},
        "two Update": {"f:data": {"f:k": {}, "f:l": {}}},
    }
    with pytest.raises(Conflict, match=r'conflict with "two" using v1: \.data\.k'):
        apply(api, CONFIG_MAP, "a", "m1", data={"k": "y"})


def test_what_was_there_before_belongs_to_nobody_by_name(api: Api) -> None:
    api.create(SERVICE, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}})
    assert "managedFields" not in api.get(SERVICE, "s")["metadata"]
    with pytest.raises(Conflict, match=r'conflict with "before-first-apply" using v1: \.spec\.selector'):
        apply(api, SERVICE, "s", "m1", spec={"selector": {"a": "c"}})


@pytest.mark.accepts("K8-030")
def test_what_apply_asks_for(api: Api) -> None:
    with pytest.raises(Invalid, match="fieldManager: Required value: is required for apply patch"):
        api.patch(CONFIG_MAP, "a", {"data": {}}, patch_type="apply")
    with pytest.raises(ApiError, match=r"metadata\.managedFields must be nil") as refused:
        apply(api, CONFIG_MAP, "a", "m1", metadata={"managedFields": [{"manager": "x"}]})
    assert refused.value.code == 400
    assert apply(api, CONFIG_MAP, "a", "m1", data={"k": "v"})["metadata"]["name"] == "a"

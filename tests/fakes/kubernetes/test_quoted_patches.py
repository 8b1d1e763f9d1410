"""How messages quote an object that a patch has made into something else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rayrig_core.errors import Invalid
from rayrig_core.resource_types import CONFIG_MAP
from rayrig_fakes.kubernetes.patch.outcomes import patched_text

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"uid": "u", "name": "a", "labels": {"b": "1", "a": "2"}},
    "spec": {"containers": [{"image": "i", "name": "main"}], "nodeName": "n", "schedulerName": "s"},
}


def order(text: str) -> list[str]:
    """Keys of the object, of its metadata and of its spec."""
    obj = json.loads(text)
    return [*obj, *obj["metadata"], *obj["metadata"]["labels"], *obj["spec"], *obj["spec"]["containers"][0]]


@pytest.mark.accepts("K8-029")
def test_what_a_patch_does_not_go_into_has_the_order_of_its_type() -> None:
    shown = order(patched_text(POD, {"kind": "Pod"}, "core.v1.Pod"))
    assert shown == [
        *("apiVersion", "kind", "metadata", "spec"),
        *("name", "uid", "labels", "a", "b"),
        *("containers", "nodeName", "schedulerName", "name", "image"),
    ]


@pytest.mark.accepts("K8-029")
def test_what_comes_from_a_merge_patch_is_sorted() -> None:
    patch = {"metadata": {"labels": {"b": "1"}}, "spec": {"containers": POD["spec"]["containers"]}}
    assert order(patched_text(POD, patch, "core.v1.Pod")) == [
        *("apiVersion", "kind", "metadata", "spec"),
        *("labels", "name", "uid", "a", "b"),
        *("containers", "nodeName", "schedulerName", "image", "name"),
    ]


@pytest.mark.accepts("K8-029")
def test_objects_that_a_json_patch_goes_into_are_sorted() -> None:
    patch = [{"op": "add", "path": "/spec/containers/0/command", "value": 1}]
    made = POD | {"spec": {**POD["spec"], "containers": [{"name": "main", "image": "<i>", "command": 1}]}}
    text = patched_text(made, patch, "core.v1.Pod")
    assert order(text) == [
        *("apiVersion", "kind", "metadata", "spec"),
        *("name", "uid", "labels", "a", "b"),
        *("containers", "nodeName", "schedulerName", "command", "image", "name"),
    ]
    assert "\\u003ci\\u003e" in text


@pytest.mark.accepts("K8-029")
def test_a_merge_patch_leaves_nulls_out_of_the_items_of_lists(api: Any) -> None:
    api.create(CONFIG_MAP, {"metadata": {"name": "a"}})
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": None}
    with pytest.raises(Invalid) as refused:
        api.patch(CONFIG_MAP, "a", {"metadata": {"ownerReferences": [owner], "finalizers": [["x"]]}})
    assert (
        '\\"ownerReferences\\":[{\\"apiVersion\\":\\"v1\\",\\"kind\\":\\"Pod\\",\\"name\\":\\"p\\"'
        in refused.value.message
    )
    assert "controller" not in refused.value.message


@pytest.mark.accepts("K8-029")
def test_a_patch_that_makes_the_kind_no_text_is_quoted(api: Any) -> None:
    api.create(CONFIG_MAP, {"metadata": {"name": "a"}, "data": {"k": "v"}})
    with pytest.raises(Invalid) as refused:
        api.patch(CONFIG_MAP, "a", [{"op": "add", "path": "/kind", "value": {}}], patch_type="json")
    assert refused.value.message.startswith(
        ' "" is invalid: patch: Invalid value: "{\\"apiVersion\\":\\"v1\\",\\"data\\":{\\"k\\":\\"v\\"},\\"kind\\":{},'
    )
    assert refused.value.message.endswith(
        "couldn't get version/kind; json parse error: json: cannot unmarshal object into Go struct field .kind of type string"
    )

"""JSON patch, merge patch and strategic merge patch."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.errors import ApiError
from rayrig_core.ports import PatchType
from rayrig_core.resource_types import CONFIG_MAP, POD, SECRET, SERVICE
from rayrig_fakes.kubernetes.patch.json_patch import PatchFailed, apply_json_patch
from rayrig_fakes.kubernetes.patch.strategic import apply_strategic_patch
from tests.fakes.kubernetes.conftest import WIDGET, Api


@pytest.mark.accepts("K8-027")
@pytest.mark.parametrize(
    ("before", "operations", "after"),
    [
        ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
        ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
        ({"a": [1, 2]}, [{"op": "remove", "path": "/a/0"}], {"a": [2]}),
        ({"a": 1}, [{"op": "replace", "path": "/a", "value": None}], {"a": None}),
        ({"a": {"x": 1}, "b": {}}, [{"op": "move", "from": "/a/x", "path": "/b/y"}], {"a": {}, "b": {"y": 1}}),
        ({"a": [1]}, [{"op": "copy", "from": "/a", "path": "/b"}, {"op": "add", "path": "/b/-", "value": 2}],
         {"a": [1], "b": [1, 2]}),
        ({}, [{"op": "replace", "path": "/absent", "value": 1}], {"absent": 1}),
        ({}, [{"op": "add", "path": "/a"}, {"op": "copy", "from": "/none", "path": "/b"}], {"a": None, "b": None}),
        ({"l": [1, 2]}, [{"op": "replace", "path": "/l/-1", "value": 3}, {"op": "remove", "path": "/l/00"}], {"l": [3]}),
        ({"a": 1}, [{"op": "add", "path": "left-out/a", "value": 2}], {"a": 2}),
        ({"a/b": 1, "m~n": 2}, [{"op": "remove", "path": "/a~1b"}, {"op": "test", "path": "/m~0n", "value": 2}],
         {"m~n": 2}),
    ],
)  # fmt: skip
def test_json_patch_operations(before: Any, operations: list[Any], after: Any) -> None:
    assert apply_json_patch(before, operations) == after


@pytest.mark.accepts("K8-027")
@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/none"},
        {"op": "add", "path": "/none/x", "value": 1},
        {"op": "add", "path": "/list/7", "value": 1},
        {"op": "test", "path": "/a", "value": 2},
        {"op": "test", "path": "/a", "value": True},
        {"op": "jump", "path": "/a"},
        {"op": "move", "from": "/list", "path": "/list/0"},
        {"op": "add", "path": "", "value": {}},
        {"op": "remove", "path": "/list/-2"},
        {"op": "test", "path": "/none/x", "value": None},
        {"op": "add", "path": "nothing", "value": 1},
    ],
)
def test_json_patch_failures(operation: Any) -> None:
    with pytest.raises(PatchFailed):
        apply_json_patch({"a": 1, "list": [1]}, [operation])


@pytest.mark.accepts("K8-027")
def test_a_failing_json_patch_is_422_and_a_malformed_one_400(api: Api) -> None:
    api.config_map("a", data={"k": "v"})
    failing = [{"op": "replace", "path": "/data/k", "value": "w"}, {"op": "test", "path": "/data/k", "value": "v"}]
    with pytest.raises(ApiError, match="the server rejected our request due to an error in our request") as failed:
        api.patch(CONFIG_MAP, "a", failing, patch_type="json")
    assert failed.value.code == 422
    with pytest.raises(ApiError, match="error decoding patch") as malformed:
        api.patch(CONFIG_MAP, "a", {"op": "add"}, patch_type="json")
    assert malformed.value.code == 400
    assert api.get(CONFIG_MAP, "a")["data"] == {"k": "v"}


@pytest.mark.accepts("K8-028")
def test_merge_patch_deletes_by_null_and_replaces_lists(custom: Api) -> None:
    custom.config_map("a", data={"k": "v", "z": "1"})
    assert custom.patch(CONFIG_MAP, "a", {"data": {"k": None, "n": "2"}})["data"] == {"n": "2", "z": "1"}
    assert "data" not in custom.patch(CONFIG_MAP, "a", {"data": None})
    custom.widget("w", tags=["a", "b"])
    assert custom.patch(WIDGET, "w", {"spec": {"tags": ["c"]}})["spec"]["tags"] == ["c"]


@pytest.mark.accepts("K8-029")
def test_strategic_merge_goes_by_keys(api: Api) -> None:
    api.create(SERVICE, {"metadata": {"name": "s"}, "spec": {"ports": [{"name": "a", "port": 80}]}})

    def ports(patch: Any) -> list[tuple[str, int]]:
        found = api.patch(SERVICE, "s", {"spec": {"ports": patch}}, patch_type="strategic")["spec"]["ports"]
        return [(port.get("name", ""), port["port"]) for port in found]

    assert ports([{"name": "b", "port": 81}]) == [("b", 81), ("a", 80)]
    assert ports([{"name": "renamed", "port": 80}]) == [("b", 81), ("renamed", 80)]
    assert ports([{"port": 81, "$patch": "delete"}]) == [("renamed", 80)]
    assert ports([{"$patch": "replace"}, {"name": "only", "port": 1}]) == [("only", 1)]
    api.config_map("c", metadata={"finalizers": ["ex.com/a"]})
    merged = api.patch(CONFIG_MAP, "c", {"metadata": {"finalizers": ["ex.com/b"]}}, patch_type="strategic")
    assert merged["metadata"]["finalizers"] == ["ex.com/b", "ex.com/a"]
    left = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["ex.com/a", "ex.com/b"]}}
    assert "finalizers" not in api.patch(CONFIG_MAP, "c", left, patch_type="strategic")["metadata"]


@pytest.mark.accepts("K8-029")
def test_strategic_directives() -> None:
    pod = {
        "spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}], "nodeSelector": {"x": "1"}}
    }
    patched = apply_strategic_patch(
        pod,
        {
            "spec": {
                "$setElementOrder/containers": [{"name": "b"}, {"name": "c"}, {"name": "a"}],
                "containers": [{"name": "b", "image": "2"}, {"name": "c", "image": "3"}],
                "nodeSelector": {"$patch": "replace", "y": "2"},
            }
        },
        "core.v1.Pod",
    )
    assert patched == {
        "spec": {
            "containers": [{"name": "b", "image": "2"}, {"name": "c", "image": "3"}, {"name": "a", "image": "1"}],
            "nodeSelector": {"y": "2"},
        }
    }
    strategy = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    retained = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert apply_strategic_patch(strategy, retained, "apps.v1.Deployment") == {
        "spec": {"strategy": {"type": "Recreate"}}
    }
    with pytest.raises(ApiError, match="does not contain declared merge key"):
        apply_strategic_patch(pod, {"spec": {"containers": [{"image": "x"}]}}, "core.v1.Pod")


@pytest.mark.accepts("K8-029")
def test_strategic_merge_is_not_for_custom_resources(custom: Api) -> None:
    custom.widget("w")
    with pytest.raises(ApiError) as refused:
        custom.patch(WIDGET, "w", {"spec": {}}, patch_type="strategic")
    assert refused.value.code == 415


def test_a_patch_does_not_change_what_was_read_before(api: Api) -> None:
    api.pod("p")
    before = api.server.object(POD, "p", "default")
    assert before is not None
    version = before["metadata"]["resourceVersion"]
    api.patch(POD, "p", {"metadata": {"labels": {"a": "b"}}})
    api.patch(POD, "p", {"status": {"phase": "Running"}}, subresource="status")
    assert before["metadata"]["resourceVersion"] == version
    assert "labels" not in before["metadata"]
    assert before["status"]["phase"] == "Pending"


@pytest.mark.parametrize("patch_type", ["merge", "strategic"])
def test_a_patch_of_a_secrets_plain_text_replaces_what_was_there(api: Api, patch_type: PatchType) -> None:
    plain = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "1", "b": "1"}}
    api.create(SECRET, plain)
    before = api.server.object(SECRET, "s", "default")
    changed = api.patch(SECRET, "s", {"stringData": {"a": "2"}}, patch_type=patch_type)
    assert changed["data"] == {"a": "Mg==", "b": "MQ=="}
    assert before is not None
    assert before["data"] == {"a": "MQ==", "b": "MQ=="}

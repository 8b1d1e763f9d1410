"""Who owns which fields after creates and updates: shapes of the account, and that it adds up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayrig_core.resource_types import CONFIG_MAP, JOB, POD, SERVICE
from rayrig_fakes.kubernetes.apply.fields import from_fields_v1, to_fields_v1
from rayrig_fakes.kubernetes.apply.topology import CustomRoot, Place
from rayrig_fakes.kubernetes.apply.trees import created, differences, minus, plus
from tests.fakes.kubernetes.conftest import Api


def account(obj: dict[str, Any]) -> dict[str, Any]:
    return {entry["manager"]: entry["fieldsV1"] for entry in obj["metadata"].get("managedFields", [])}


@pytest.mark.accepts("K8-031")
def test_a_created_pod_is_owned_but_for_what_the_server_assigns(api: Api) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    container = {"name": "c", "image": "i:1", "env": env, "ports": [{"containerPort": 80}]}
    selecting = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}
    spec = {
        "containers": [container],
        "imagePullSecrets": [{"name": "s"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": selecting}},
    }
    pod = api.create(POD, {"metadata": {"name": "p", "labels": {"l": "1"}}, "spec": spec}, field_manager="m")
    (fields,) = account(pod).values()
    # Places that are there in an empty pod are nobody's; neither is what admission adds; some structs are owned whole.
    assert list(fields) == ["f:metadata", "f:spec"]
    assert fields["f:metadata"] == {"f:labels": {".": {}, "f:l": {}}}
    assert fields["f:spec"]["f:containers"] == {
        'k:{"name":"c"}': {
            ".": {},
            "f:env": {
                ".": {},
                'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}},
                'k:{"name":"F"}': {".": {}, "f:name": {}, "f:valueFrom": {".": {}, "f:fieldRef": {}}},
            },
            "f:image": {},
            "f:imagePullPolicy": {},
            "f:name": {},
            "f:ports": {
                ".": {},
                'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}},
            },
            "f:resources": {},
            "f:terminationMessagePath": {},
            "f:terminationMessagePolicy": {},
        }
    }
    assert fields["f:spec"]["f:affinity"] == {
        ".": {},
        "f:nodeAffinity": {".": {}, "f:requiredDuringSchedulingIgnoredDuringExecution": {}},
    }
    assert fields["f:spec"]["f:imagePullSecrets"] == {".": {}, 'k:{"name":"s"}': {}}
    assert not {"f:priority", "f:preemptionPolicy", "f:tolerations"} & set(fields["f:spec"])
    assert {"f:dnsPolicy", "f:enableServiceLinks", "f:securityContext"} < set(fields["f:spec"])


@pytest.mark.accepts("K8-031")
def test_an_address_that_was_allocated_is_nobodys(api: Api) -> None:
    made = api.create(SERVICE, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}, field_manager="m")
    assert made["spec"]["clusterIP"]
    assert not {"f:clusterIP", "f:clusterIPs", "f:ipFamilies"} & set(account(made)["m"]["f:spec"])
    body = {"metadata": {"name": "t"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}}
    asked = account(api.create(SERVICE, body, field_manager="m"))["m"]["f:spec"]
    assert "f:clusterIP" in asked
    assert "f:clusterIPs" not in asked


@pytest.mark.accepts("K8-031")
def test_what_marks_the_pods_of_a_job_is_nobodys(api: Api) -> None:
    def template_of(name: str, **metadata: Any) -> Any:
        template = {
            "metadata": metadata,
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]},
        }
        job = api.create(JOB, {"metadata": {"name": name}, "spec": {"template": template}}, field_manager="m")
        assert job["spec"]["selector"]
        assert "f:selector" not in account(job)["m"]["f:spec"]
        return account(job)["m"]["f:spec"]["f:template"]

    assert "f:metadata" not in template_of("a")
    assert template_of("b", labels={"l": "1"})["f:metadata"] == {"f:labels": {".": {}, "f:l": {}}}


@pytest.mark.accepts("K8-031")
def test_who_changes_a_field_takes_it_and_what_goes_is_nobodys(api: Api) -> None:
    labels = {"a": "1", "b": "1"}
    api.create(CONFIG_MAP, {"metadata": {"name": "a", "labels": labels}, "data": {"k": "v"}}, field_manager="one")
    changed = api.patch(CONFIG_MAP, "a", {"metadata": {"labels": {"a": "2", "c": "3"}}}, field_manager="two")
    assert account(changed) == {
        "one": {"f:data": {".": {}, "f:k": {}}, "f:metadata": {"f:labels": {".": {}, "f:b": {}}}},
        "two": {"f:metadata": {"f:labels": {"f:a": {}, "f:c": {}}}},
    }
    gone = api.patch(CONFIG_MAP, "a", {"metadata": {"labels": None}}, field_manager="three")
    assert account(gone) == {"one": {"f:data": {".": {}, "f:k": {}}}}


@pytest.mark.accepts("K8-031")
def test_a_container_that_goes_takes_its_fields_along(api: Api) -> None:
    containers = [{"name": "c", "image": "i:1"}, {"name": "d", "image": "i:1"}]
    api.create(POD, {"metadata": {"name": "p"}, "spec": {"containers": containers}}, field_manager="one")
    patch = {"spec": {"containers": [{"name": "d", "image": "i:2"}]}}
    after = api.patch(POD, "p", patch, patch_type="strategic", field_manager="two")
    assert account(after)["two"] == {"f:spec": {"f:containers": {'k:{"name":"d"}': {"f:image": {}}}}}
    mine = account(after)["one"]["f:spec"]["f:containers"]
    assert "f:image" in mine['k:{"name":"c"}']
    assert "f:image" not in mine['k:{"name":"d"}']


# That trees add up

_SCHEMA = {
    "type": "object",
    "properties": {
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic"},
        "values": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "keyed": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["n"],
            "items": {"type": "object", "properties": {"n": {"type": "string"}}},
        },
    },
}
_names = st.sampled_from("abc")
_scalars = st.integers(0, 2) | st.sampled_from("xy") | st.none()
_loose = st.recursive(_scalars, lambda inner: st.dictionaries(_names, inner, max_size=3), max_leaves=6)
_objects = st.fixed_dictionaries(
    {"metadata": st.fixed_dictionaries({"name": _names}, optional={"labels": st.dictionaries(_names, _names)})},
    optional={
        "whole": st.dictionaries(_names, _scalars),
        "values": st.lists(_names, unique=True, max_size=3),
        "keyed": st.lists(
            st.fixed_dictionaries({"n": _names}, optional={"v": _loose}), unique_by=lambda item: item["n"], max_size=3
        ),
        "loose": _loose,
    },
)


def _root() -> Place:
    return CustomRoot(_SCHEMA)


def _paths(tree: dict[str, Any] | None) -> dict[tuple[str, ...], None]:
    return from_fields_v1(tree) if tree else {}


@given(_objects, _objects)
def test_changed_and_gone_are_what_paths_and_values_say(old: dict[str, Any], new: dict[str, Any]) -> None:
    root = _root()
    changed, gone = (_paths(tree) for tree in differences(old, new, root))
    before, after = _paths(_everything(old)), _paths(_everything(new))
    assert not [path for path in changed if path not in after]
    assert not [path for path in gone if path not in before or path in after]
    assert [path for path in after if path not in before and path not in changed] == []
    assert [path for path in before if path not in after and path not in gone] == []


def _everything(obj: dict[str, Any]) -> dict[str, Any] | None:
    return created(obj, _root())


@given(_objects, _objects)
def test_trees_join_and_part_as_sets_of_paths_do(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = _everything(one), _everything(other)
    a, b = _paths(first), _paths(second)
    if first is None or second is None:
        return
    assert _paths(plus(first, second)) == to_paths({**a, **b})
    assert _paths(minus(first, second)) == to_paths({path: None for path in a if path not in b})


def to_paths(paths: dict[tuple[str, ...], None]) -> dict[tuple[str, ...], None]:
    return from_fields_v1(to_fields_v1(paths))

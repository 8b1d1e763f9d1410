"""CRDs and their objects: registration, pruning, defaults, validation, versions, scale."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.errors import ApiError, Invalid, NotFound
from rayrig_core.resource_types import CUSTOM_RESOURCE_DEFINITION as CRD
from rayrig_core.resource_types import GATEWAY, HTTP_ROUTE, RAY_CLUSTER, RAY_SERVICE, ResourceType
from rayrig_core.resources.crds import custom_resource_definitions
from tests.fakes.kubernetes.conftest import WIDGET, Api, widget_definition


def causes_of(error: ApiError) -> list[tuple[str, str]]:
    return [(cause["field"], cause["message"]) for cause in error.status["details"]["causes"]]


@pytest.mark.accepts("K8-042")
def test_a_definition_serves_and_its_deletion_takes_the_objects(api: Api) -> None:
    with pytest.raises(NotFound, match="the server could not find the requested resource"):
        api.widget("w")
    created = api.create(CRD, widget_definition())
    assert created["status"]["conditions"] is None
    assert created["spec"]["names"]["singular"] == "widget"
    established = api.get(CRD, "widgets.example.com")["status"]
    assert [(c["type"], c["status"]) for c in established["conditions"]] == [
        ("NamesAccepted", "True"),
        ("Established", "True"),
    ]
    api.widget("w")
    watch = api.watch(WIDGET)
    assert watch.take() is not None
    api.delete(CRD, "widgets.example.com")
    gone = watch.take()
    assert gone is not None
    assert gone.type == "DELETED"
    with pytest.raises(NotFound, match="the server could not find the requested resource"):
        api.get(WIDGET, "w")
    api.create(CRD, widget_definition())
    assert api.names(WIDGET) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"scope": "Everywhere"}, "spec.scope: Unsupported value"),
        ({"group": "other.com"}, "metadata.name: Invalid value"),
        ({"versions": []}, "must have exactly one version marked as storage version"),
    ],
)
def test_bad_definitions_are_refused(api: Api, change: dict[str, Any], says: str) -> None:
    definition = widget_definition()
    definition["spec"] |= change
    with pytest.raises(Invalid, match=says):
        api.create(CRD, definition)


@pytest.mark.accepts("K8-037")
def test_unknown_fields_are_pruned_and_defaults_filled_in(custom: Api) -> None:
    made = custom.widget(
        "w",
        unknown=1,
        nested={"zzz": True},
        free={"kept": {"deep": [1]}},
        ports=[{"port": 1, "zzz": 1}, {"port": 1, "protocol": "UDP"}],
        labels={"any": "key"},
    )
    assert made["spec"] == {
        "owner": "ann",
        "size": 1,
        "colour": "red",
        "nested": {"level": 3},
        "free": {"kept": {"deep": [1]}},
        "ports": [{"port": 1, "protocol": "TCP"}, {"port": 1, "protocol": "UDP"}],
        "labels": {"any": "key"},
    }


@pytest.mark.accepts("K8-037", "K8-028")
def test_a_null_brings_the_default_back(custom: Api) -> None:
    custom.widget("w", size=9, colour="green", nested={"level": 7})
    spec = custom.patch(WIDGET, "w", {"spec": {"size": None, "colour": None, "nested": None}})["spec"]
    assert spec == {"owner": "ann", "size": 1, "colour": "red", "nested": {"level": 3}}
    nulls = custom.widget("x", colour=None, maybe=None, tags=None)["spec"]
    assert nulls == {"owner": "ann", "size": 1, "colour": "red", "nested": {"level": 3}, "maybe": None}


@pytest.mark.accepts("K8-037")
def test_a_new_default_shows_when_reading_what_is_stored(custom: Api) -> None:
    custom.widget("w")
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/replicas/default"
    custom.patch(CRD, "widgets.example.com", [{"op": "add", "path": path, "value": 8}], patch_type="json")
    read = custom.get(WIDGET, "w")
    assert read["spec"]["replicas"] == 8
    assert read["metadata"]["generation"] == 1


@pytest.mark.accepts("K8-038")
@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"owner": None}, "spec.owner", "Required value"),
        ({"owner": 5}, "spec.owner", 'Invalid value: "integer": spec.owner in body must be of type string: "integer"'),
        ({"owner": "a"}, "spec.owner", 'Invalid value: "a": spec.owner in body should be at least 2 chars long'),
        ({"owner": "Ann9"}, "spec.owner", "Invalid value: \"Ann9\": spec.owner in body should match '^[a-z]+$'"),
        ({"size": 101}, "spec.size", "Invalid value: 101: spec.size in body should be less than or equal to 100"),
        ({"size": -1}, "spec.size", "Invalid value: -1: spec.size in body should be greater than or equal to 0"),
        ({"size": "big"}, "spec.size", 'Invalid value: "string": spec.size in body must be of type integer: "string"'),
        ({"size": True}, "spec.size", 'Invalid value: "boolean": spec.size in body must be of type integer: "boolean"'),
        ({"colour": "mauve"}, "spec.colour", 'Unsupported value: "mauve": supported values: "red", "green"'),
        (
            {"labels": {"a": 1}},
            "spec.labels.a",
            'Invalid value: "integer": spec.labels.a in body must be of type string: "integer"',
        ),
        ({"ports": [{"protocol": "TCP"}]}, "spec.ports[0].port", "Required value"),
    ],
)
def test_what_the_schema_refuses(custom: Api, spec: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        custom.widget("w", **spec)
    assert causes_of(refused.value) == [(field, message)]
    assert refused.value.message.startswith('Widget.example.com "w" is invalid: ')


@pytest.mark.accepts("K8-038")
@pytest.mark.parametrize("spec", [{"size": 2.0}, {"amount": 1}, {"amount": "25%"}, {"maybe": None}])
def test_what_the_schema_admits(custom: Api, spec: dict[str, Any]) -> None:
    made = custom.widget("w", **spec)["spec"]
    assert {field: made[field] for field in spec} == spec


def test_lists_that_are_sets_or_maps_have_no_duplicates(custom: Api) -> None:
    with pytest.raises(Invalid) as of_set:
        custom.widget("w", tags=["a", "b", "a"])
    assert causes_of(of_set.value) == [("spec.tags[2]", 'Duplicate value: "a"')]
    with pytest.raises(Invalid) as of_map:
        custom.widget("w", ports=[{"port": 1}, {"port": 1, "protocol": "TCP"}])
    assert causes_of(of_map.value) == [("spec.ports[1]", 'Duplicate value: {"port":1,"protocol":"TCP"}')]


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "format": "date-time"}, "2026-01-02T03:04:05Z", "yesterday"),
        ({"type": "string", "format": "ipv4"}, "10.0.0.1", "10.0.0"),
        ({"type": "string", "format": "byte"}, "bWU=", "?"),
        ({"type": "string", "maxLength": 2}, "ab", "abc"),
        ({"type": "number", "multipleOf": 0.5}, 1.5, 1.2),
        ({"type": "number", "minimum": 0, "exclusiveMinimum": True}, 0.1, -0.1),
        ({"type": "integer", "format": "int32"}, 2**31 - 1, 2**31),
        ({"type": "array", "maxItems": 1, "items": {"type": "integer"}}, [1], [1, 2]),
        ({"type": "object", "minProperties": 1, "additionalProperties": {"type": "integer"}}, {"a": 1}, {}),
        ({"type": "integer", "anyOf": [{"minimum": 10}, {"maximum": 2}]}, 1, 5),
        ({"type": "integer", "oneOf": [{"minimum": 3}, {"maximum": 5}]}, 1, 4),
        ({"type": "integer", "not": {"minimum": 3}}, 1, 4),
        ({"type": "integer", "allOf": [{"minimum": 3}, {"maximum": 5}]}, 4, 6),
    ],
)
def test_value_validations(api: Api, schema: dict[str, Any], good: Any, bad: Any) -> None:
    root = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"v": schema}}}}
    api.server.add_definitions([widget_definition(schema={"openAPIV3Schema": root})])
    api.create(WIDGET, {"metadata": {"name": "good"}, "spec": {"v": good}})
    with pytest.raises(Invalid):
        api.create(WIDGET, {"metadata": {"name": "bad"}, "spec": {"v": bad}})


def test_rules_that_could_not_be_checked_are_said_to_be_so(api: Api) -> None:
    spec = {
        "type": "object",
        "properties": {"n": {"type": "integer", "maximum": 5}},
        "x-kubernetes-validations": [{"rule": "self.n > 0"}],
    }
    root = {"type": "object", "properties": {"spec": spec}}
    api.server.add_definitions([widget_definition(schema={"openAPIV3Schema": root})])
    with pytest.raises(Invalid) as blocking:
        api.create(WIDGET, {"metadata": {"name": "w"}, "spec": {"n": "x"}})
    assert [field for field, _ in causes_of(blocking.value)] == ["spec.n", "<nil>"]
    with pytest.raises(Invalid) as other:
        api.create(WIDGET, {"metadata": {"name": "w"}, "spec": {"n": 6}})
    assert [field for field, _ in causes_of(other.value)] == ["spec.n"]


@pytest.mark.accepts("K8-041")
def test_versions_read_and_write_one_object(api: Api) -> None:
    definition = widget_definition()
    old = {**definition["spec"]["versions"][0], "name": "v1beta1", "storage": False}
    gone = {**old, "name": "v1alpha1", "served": False}
    definition["spec"]["versions"] += [old, gone]
    api.server.add_definitions([definition])
    beta = ResourceType("example.com", "v1beta1", "widgets", "Widget")
    made = api.create(beta, {"metadata": {"name": "w"}, "spec": {"owner": "ann"}})
    assert made["apiVersion"] == "example.com/v1beta1"
    assert api.get(WIDGET, "w") == {**made, "apiVersion": "example.com/v1"}
    watch = api.watch(beta, resource_version=made["metadata"]["resourceVersion"])
    api.patch(WIDGET, "w", {"spec": {"size": 4}})
    told = watch.take()
    assert told is not None
    assert (told.object["apiVersion"], told.object["spec"]["size"]) == ("example.com/v1beta1", 4)
    alpha = ResourceType("example.com", "v1alpha1", "widgets", "Widget")
    with pytest.raises(NotFound):
        api.get(alpha, "w")


@pytest.mark.accepts("K8-044")
def test_scale_reads_and_writes_where_the_definition_says(custom: Api) -> None:
    custom.widget("w", replicas=3)
    custom.patch(WIDGET, "w", {"status": {"replicas": 2, "selector": "a=b"}}, subresource="status")
    scale = custom.get(WIDGET, "w", subresource="scale")
    assert (scale["kind"], scale["spec"], scale["status"]) == (
        "Scale",
        {"replicas": 3},
        {"replicas": 2, "selector": "a=b"},
    )
    custom.patch(WIDGET, "w", {"spec": {"replicas": 5}}, subresource="scale")
    body = {"metadata": {"name": "w"}, "spec": {"replicas": 4}}
    custom.call("update", WIDGET, "w", subresource="scale", body=body)
    widget = custom.get(WIDGET, "w")
    assert (widget["spec"]["replicas"], widget["metadata"]["generation"]) == (4, 3)
    with pytest.raises(Invalid):
        custom.patch(WIDGET, "w", {"spec": {"replicas": -1}}, subresource="scale")


def test_our_own_definitions_are_served(api: Api) -> None:
    api.server.add_definitions(custom_resource_definitions())
    assert len(api.trace) == 0
    for kind in (RAY_SERVICE, RAY_CLUSTER, GATEWAY, HTTP_ROUTE):
        assert api.names(kind) == []

"""Definitions of custom resources: what is refused in them, how they become served, the rules they bring (kubernetes-api.md 4)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrig_core.errors import ApiError, Invalid
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import CUSTOM_RESOURCE_DEFINITION, ResourceType
from tests.fakes.kubernetes.conftest import WIDGET, Api, widget_definition

RULED = ResourceType("example.com", "v1", "ruled", "Ruled")


def definition(schema: JsonObject, **spec: Any) -> JsonObject:
    """Of `ruled.example.com`, with this schema of its spec."""
    root = {"type": "object", "properties": {"spec": schema}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": root}}
    names = {"kind": "Ruled", "plural": "ruled"}
    return {
        "metadata": {"name": "ruled.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version], **spec},
    }


def causes(refused: Invalid) -> list[tuple[str, str]]:
    return [(cause["reason"], cause["field"]) for cause in refused.status["details"]["causes"]]


# Definitions


@pytest.mark.accepts("K8-040")
def test_a_new_definition_has_its_names_accepted_and_is_established(api: Api) -> None:
    made = api.create(CUSTOM_RESOURCE_DEFINITION, definition({"type": "object"}))
    assert not (made.get("status") or {}).get("conditions")
    assert made["spec"]["names"] == {"kind": "Ruled", "listKind": "RuledList", "plural": "ruled", "singular": "ruled"}
    found = api.get(CUSTOM_RESOURCE_DEFINITION, "ruled.example.com")["status"]
    told = {each["type"]: (each["status"], each["reason"]) for each in found["conditions"]}
    assert told == {"NamesAccepted": ("True", "NoConflicts"), "Established": ("True", "InitialNamesAccepted")}
    assert found["acceptedNames"]["plural"] == "ruled"
    assert found["storedVersions"] == ["v1"]
    assert api.create(RULED, {"metadata": {"name": "a"}, "spec": {}})["kind"] == "Ruled"


_ROOT = "spec.validation.openAPIV3Schema"
_SPEC = f"{_ROOT}.properties[spec]"


@pytest.mark.accepts("K8-040")
@pytest.mark.parametrize(
    ("schema", "reason", "field"),
    [
        ({"properties": {}}, "FieldValueRequired", f"{_SPEC}.type"),
        ({"type": "objekt"}, "FieldValueNotSupported", f"{_SPEC}.type"),
        (
            {"type": "object", "properties": {"a": {"type": "array"}}},
            "FieldValueRequired",
            f"{_SPEC}.properties[a].items",
        ),
        ({"type": "object", "$ref": "#/x"}, "FieldValueForbidden", f"{_SPEC}.$ref"),
        (
            {"type": "object", "properties": {"a": {"type": "integer", "default": "one"}}},
            "FieldValueTypeInvalid",
            f"{_SPEC}.properties[a].default",
        ),
        (
            {"type": "object", "x-kubernetes-validations": [{"rule": "self.a >"}]},
            "FieldValueInvalid",
            f"{_SPEC}.x-kubernetes-validations[0].rule",
        ),
    ],
)
def test_a_schema_that_is_not_structural_is_refused(api: Api, schema: JsonObject, reason: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        api.create(CUSTOM_RESOURCE_DEFINITION, definition(schema))
    assert (reason, field) in causes(refused.value), refused.value.message
    assert api.names(CUSTOM_RESOURCE_DEFINITION) == []


@pytest.mark.accepts("K8-040")
def test_names_and_versions_must_fit(api: Api) -> None:
    version = definition({"type": "object"})["spec"]["versions"][0]
    wrong = {
        "metadata.name": {"metadata": {"name": "others.example.com"}},
        "spec.names.kind": {"names": {"plural": "ruled"}},
        "spec.scope": {"scope": "Galaxy"},
        "spec.versions": {"versions": [version, {**version, "name": "v2"}]},
    }
    for field, change in wrong.items():
        body = definition({"type": "object"})
        if "metadata" in change:
            body["metadata"] = change["metadata"]
        else:
            body["spec"] |= change
        with pytest.raises(Invalid) as refused:
            api.create(CUSTOM_RESOURCE_DEFINITION, body)
        assert field in [name for _, name in causes(refused.value)], refused.value.message


@pytest.mark.accepts("K8-040")
def test_a_second_definition_of_the_same_kind_is_not_established(api: Api) -> None:
    api.create(CUSTOM_RESOURCE_DEFINITION, definition({"type": "object"}))
    second = definition({"type": "object"}, names={"kind": "Ruled", "plural": "rules"})
    second["metadata"]["name"] = "rules.example.com"
    api.create(CUSTOM_RESOURCE_DEFINITION, second)
    found = api.get(CUSTOM_RESOURCE_DEFINITION, "rules.example.com")["status"]["conditions"]
    told = {each["type"]: (each["status"], each["reason"]) for each in found}
    assert told == {"NamesAccepted": ("False", "ListKindConflict"), "Established": ("False", "NotAccepted")}
    assert found[0]["message"] == '"RuledList" is already in use'
    with pytest.raises(ApiError, match="the server could not find the requested resource"):
        api.create(ResourceType("example.com", "v1", "rules", "Ruled"), {"metadata": {"name": "a"}})
    api.delete(CUSTOM_RESOURCE_DEFINITION, "ruled.example.com")
    found = api.get(CUSTOM_RESOURCE_DEFINITION, "rules.example.com")["status"]["conditions"]
    assert {each["type"]: each["status"] for each in found} == {"NamesAccepted": "True", "Established": "True"}


# Lists


@pytest.mark.accepts("K8-039")
def test_elements_of_a_set_and_keys_of_a_map_occur_once(custom: Api) -> None:
    with pytest.raises(Invalid) as refused:
        custom.widget("w", tags=["a", "b", "a"])
    assert causes(refused.value) == [("FieldValueDuplicate", "spec.tags[2]")]
    assert refused.value.message.endswith('spec.tags[2]: Duplicate value: "a"')
    with pytest.raises(Invalid) as refused:
        # The protocol is TCP by default: these two are the same key.
        custom.widget("w", ports=[{"port": 80}, {"port": 80, "protocol": "TCP"}])
    assert causes(refused.value) == [("FieldValueDuplicate", "spec.ports[1]")]
    made = custom.widget("w", tags=["a", "b"], ports=[{"port": 80}, {"port": 80, "protocol": "UDP"}])
    assert len(made["spec"]["ports"]) == 2


# Rules

_RULES = {
    "type": "object",
    "properties": {
        "least": {"type": "integer"},
        "most": {"type": "integer"},
        "name": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "is fixed"}]},
    },
    "x-kubernetes-validations": [
        {
            "rule": "!has(self.most) || self.least <= self.most",
            "messageExpression": "'least is ' + (self.least == 3 ? '3' : 'not 3')",
        },
        {"rule": "!has(oldSelf.least) || self.least >= oldSelf.least", "reason": "FieldValueForbidden"},
    ],
}


@pytest.fixture
def ruled(api: Api) -> Api:
    api.server.add_definitions([definition(_RULES)])
    return api


@pytest.mark.accepts("K8-039")
def test_a_rule_that_does_not_hold_is_told_in_its_own_words(ruled: Api) -> None:
    with pytest.raises(Invalid) as refused:
        ruled.create(RULED, {"metadata": {"name": "a"}, "spec": {"least": 3, "most": 2}})
    (cause,) = refused.value.status["details"]["causes"]
    assert (cause["reason"], cause["field"]) == ("FieldValueInvalid", "spec")
    assert cause["message"].endswith("least is 3")
    assert ruled.create(RULED, {"metadata": {"name": "a"}, "spec": {"least": 2, "most": 2}})["spec"]["least"] == 2


@pytest.mark.accepts("K8-039")
def test_rules_over_the_old_value_hold_in_updates_only(ruled: Api) -> None:
    ruled.create(RULED, {"metadata": {"name": "a"}, "spec": {"least": 3, "name": "x"}})
    with pytest.raises(Invalid, match="is fixed"):
        ruled.patch(RULED, "a", {"spec": {"name": "y"}})
    with pytest.raises(Invalid) as refused:
        ruled.patch(RULED, "a", {"spec": {"least": 2}})
    assert causes(refused.value) == [("FieldValueForbidden", "spec")]
    assert ruled.patch(RULED, "a", {"spec": {"least": 4}})["spec"] == {"least": 4, "name": "x"}


@pytest.mark.accepts("K8-039")
def test_rules_are_left_out_when_the_schema_does_not_hold(ruled: Api) -> None:
    with pytest.raises(Invalid) as refused:
        ruled.create(RULED, {"metadata": {"name": "a"}, "spec": {"least": 3, "most": 2, "name": 1}})
    told = [cause["message"] for cause in refused.value.status["details"]["causes"]]
    assert any("must be of type string" in text for text in told)
    assert any("some validation rules were not checked" in text for text in told)
    assert not any("least is 3" in text for text in told)


@pytest.mark.accepts("K8-042")
def test_what_is_no_longer_defined_is_gone_for_a_later_definition(api: Api) -> None:
    api.server.add_definitions([widget_definition()])
    api.widget("w")
    api.delete(CUSTOM_RESOURCE_DEFINITION, "widgets.example.com")
    with pytest.raises(ApiError, match="could not find the requested resource"):
        api.get(WIDGET, "w")
    api.server.add_definitions([widget_definition()])
    assert api.names(WIDGET) == []

"""Definitions from their creation to their end: names, versions, stricter schemas, deletion with objects that stay."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rayrig_core.errors import ApiError, Invalid, NotFound
from rayrig_core.http import HttpRequest
from rayrig_core.resource_types import CUSTOM_RESOURCE_DEFINITION, ResourceType
from rayrig_fakes.kubernetes.calls import Answer, ApiCall
from rayrig_fakes.kubernetes.rest.handler import ApiResponse, handle
from rayrig_fakes.kubernetes.server import ApiServer

GROUP = "toys.example.com"
THING = ResourceType(GROUP, "v1", "things", "Thing")
NAME = f"things.{GROUP}"


def spec_of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}


def version(name: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": schema}, **more}


def definition(*versions: dict[str, Any], **names: Any) -> dict[str, Any]:
    all_names = {"plural": "things", "kind": "Thing", **names}
    return {
        "metadata": {"name": f"{all_names['plural']}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": all_names, "versions": list(versions)},
    }


class Cluster:
    def __init__(self) -> None:
        self.server = ApiServer(lambda: 1_700_000_000_000_000_000, Random(1))

    def define(self, *versions: dict[str, Any], **names: Any) -> dict[str, Any]:
        return self.call("create", CUSTOM_RESOURCE_DEFINITION, body=definition(*versions, **names)).body

    def call(self, verb: Any, kind: ResourceType, name: str = "", **options: Any) -> Answer:
        namespace = "default" if kind.namespaced else ""
        return self.server.call(ApiCall(verb, kind, namespace, name, field_validation="Warn", **options))

    def definition(self, name: str = NAME) -> dict[str, Any]:
        return self.call("get", CUSTOM_RESOURCE_DEFINITION, name).body

    def conditions(self, name: str = NAME) -> list[tuple[str, str, str, str]]:
        found = self.definition(name)["status"]["conditions"]
        return [(each["type"], each["status"], each["reason"], each["message"]) for each in found]

    def change(self, patch: Any, kind: ResourceType = CUSTOM_RESOURCE_DEFINITION, name: str = NAME) -> Answer:
        return self.call("patch", kind, name, body=patch, patch_type="merge")

    def get(self, path: str) -> ApiResponse:
        answer = handle(self.server, HttpRequest("GET", path))
        assert isinstance(answer, ApiResponse)
        return answer


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def causes(refused: ApiError) -> list[tuple[str, str]]:
    return [(cause["field"], cause["message"]) for cause in refused.status["details"]["causes"]]


@pytest.mark.accepts("K8-040")
def test_names_are_accepted_and_the_definition_is_established(cluster: Cluster) -> None:
    created = cluster.define(version("v1", spec_of()), shortNames=["th"])
    assert created["status"] == {
        "conditions": None,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": ["v1"],
    }
    assert cluster.conditions() == [
        ("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
    ]
    assert cluster.definition()["status"]["acceptedNames"] == {
        "plural": "things",
        "singular": "thing",
        "shortNames": ["th"],
        "kind": "Thing",
        "listKind": "ThingList",
    }


@pytest.mark.accepts("K8-040")
@pytest.mark.parametrize(
    ("names", "reason", "message"),
    [
        ({"singular": "thing", "kind": "Other"}, "SingularConflict", '"thing" is already in use'),
        ({"kind": "Thing", "listKind": "OtherList"}, "KindConflict", '"Thing" is already in use'),
        ({"kind": "Other", "listKind": "ThingList"}, "ListKindConflict", '"ThingList" is already in use'),
        (
            {"kind": "Other", "shortNames": ["th", "things", "o"]},
            "ShortNamesConflict",
            '["th" is already in use, "things" is already in use]',
        ),
    ],
)
def test_names_that_others_have_are_not_accepted(
    cluster: Cluster, names: dict[str, Any], reason: str, message: str
) -> None:
    cluster.define(version("v1", spec_of()), shortNames=["th"])
    cluster.define(version("v1", spec_of()), plural="others", **{"singular": "other", **names})
    assert cluster.conditions(f"others.{GROUP}") == [
        ("NamesAccepted", "False", reason, message),
        ("Established", "False", "NotAccepted", "not all names are accepted"),
    ]
    assert cluster.get(f"/apis/{GROUP}/v1/others").status == 404


@pytest.mark.accepts("K8-040")
@pytest.mark.parametrize(
    ("patch", "field", "value"),
    [
        ({"names": {"plural": "others"}}, "spec.names.plural", "others"),
        ({"names": {"kind": "Other"}}, "spec.names.kind", "Other"),
        ({"scope": "Cluster"}, "spec.scope", "Cluster"),
        ({"group": "x.y"}, "spec.group", "x.y"),
    ],
)
def test_what_does_not_change(cluster: Cluster, patch: dict[str, Any], field: str, value: str) -> None:
    cluster.define(version("v1", spec_of()))
    with pytest.raises(Invalid) as refused:
        cluster.change({"spec": patch})
    assert causes(refused.value) == [(field, f'Invalid value: "{value}": field is immutable')]


@pytest.mark.accepts("K8-041")
def test_a_stored_version_stays_until_nothing_is_stored_in_it(cluster: Cluster) -> None:
    cluster.define(version("v1", spec_of()))
    second = version("v2", spec_of(b={"type": "string", "default": "B"}), storage=True)
    cluster.change({"spec": {"versions": [version("v1", spec_of(), storage=False), second]}})
    assert cluster.definition()["status"]["storedVersions"] == ["v1", "v2"]
    with pytest.raises(Invalid) as refused:
        cluster.change({"spec": {"versions": [second]}})
    assert causes(refused.value) == [
        (
            "status.storedVersions[0]",
            (
                'Invalid value: "v1": missing from spec.versions; v1 was previously a storage version, and must remain in '
                "spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from "
                "status.storedVersions"
            ),
        )
    ]
    cluster.call(
        "patch",
        CUSTOM_RESOURCE_DEFINITION,
        NAME,
        subresource="status",
        body={"status": {"storedVersions": ["v2"]}},
        patch_type="merge",
    )
    cluster.change({"spec": {"versions": [second]}})
    assert cluster.definition()["status"]["storedVersions"] == ["v2"]


@pytest.mark.accepts("K8-041")
def test_a_deprecated_version_names_the_one_to_use(cluster: Cluster) -> None:
    cluster.define(
        version("v1", spec_of()),
        version("v1beta1", spec_of(), deprecated=True),
        version("v1alpha1", spec_of(), deprecated=True, deprecationWarning='use "v1"'),
    )
    assert cluster.get(f"/apis/{GROUP}/v1/things").warnings == ()
    assert cluster.get(f"/apis/{GROUP}/v1beta1/things").warnings == (
        f'299 - "{GROUP}/v1beta1 Thing is deprecated; use {GROUP}/v1 Thing"',
    )
    assert cluster.get(f"/apis/{GROUP}/v1alpha1/things").warnings == ('299 - "use \\"v1\\""',)


@pytest.mark.accepts("K8-042")
def test_a_definition_stays_as_long_as_its_objects_do(cluster: Cluster) -> None:
    cluster.define(version("v1", spec_of()))
    cluster.call("create", THING, body={"metadata": {"name": "held", "finalizers": ["example.com/f"]}})
    cluster.call("create", THING, body={"metadata": {"name": "free"}})
    deleted = cluster.call("delete", CUSTOM_RESOURCE_DEFINITION, NAME).body
    assert deleted["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert deleted["metadata"]["generation"] == 1
    assert [each["reason"] for each in deleted["status"]["conditions"]][-1] == "InstanceDeletionPending"
    assert cluster.conditions()[-1] == (
        "Terminating",
        "True",
        "InstanceDeletionInProgress",
        "CustomResource deletion is in progress",
    )
    with pytest.raises(NotFound):
        cluster.call("get", THING, "free")
    with pytest.raises(ApiError, match="create not allowed while custom resource definition is terminating") as refused:
        cluster.call("create", THING, body={"metadata": {"name": "new"}})
    assert refused.value.code == 403
    cluster.change({"metadata": {"finalizers": None}}, THING, "held")
    with pytest.raises(NotFound):
        cluster.definition()
    assert cluster.get(f"/apis/{GROUP}/v1/things").status == 404


@pytest.mark.accepts("K8-038", "K8-039")
def test_an_update_is_not_held_to_what_it_leaves_alone(cluster: Cluster) -> None:
    text = {"type": "string"}
    cluster.define(version("v1", spec_of(a=text, m={"type": "object", "additionalProperties": text}, o=text)))
    cluster.call("create", THING, body={"metadata": {"name": "t"}, "spec": {"a": "long", "m": {"p": "long"}, "o": "x"}})
    short = {"type": "string", "maxLength": 2}
    ruled = {"type": "string", "x-kubernetes-validations": [{"rule": "self == 'y'", "message": "must be y"}]}
    stricter = spec_of(a=short, m={"type": "object", "additionalProperties": short}, o=ruled)
    cluster.change({"spec": {"versions": [version("v1", stricter)]}})
    kept = cluster.change({"spec": {"m": {"q": "ok"}}}, THING, "t")
    assert kept.body["spec"]["m"] == {"p": "long", "q": "ok"}
    assert kept.warnings == ('spec.o: Invalid value: "x": must be y',)
    with pytest.raises(Invalid) as refused:
        cluster.change({"spec": {"m": {"q": "too long"}}}, THING, "t")
    assert ("spec.m.q", "Too long: may not be more than 2 bytes") in causes(refused.value)
    with pytest.raises(Invalid) as ruled_out:
        cluster.change({"spec": {"o": "z"}}, THING, "t")
    assert causes(ruled_out.value) == [("spec.o", 'Invalid value: "z": must be y')]


@pytest.mark.accepts("K8-038")
def test_what_is_wrong_with_a_status_is_said_from_inside_it(cluster: Cluster) -> None:
    status = {"type": "object", "properties": {"x": {"type": "string"}}}
    schema = {"type": "object", "properties": {"status": status}}
    cluster.define(version("v1", schema, subresources={"status": {}}))
    cluster.call("create", THING, body={"metadata": {"name": "t"}})
    with pytest.raises(Invalid) as refused:
        cluster.call("patch", THING, "t", subresource="status", body={"status": {"x": 5}}, patch_type="merge")
    assert causes(refused.value) == [
        ("status.x", 'Invalid value: "integer": x in body must be of type string: "integer"')
    ]

"""What the server sets, checks and counts when objects are created and changed."""

from __future__ import annotations

import re

import pytest

from rayrig_core.errors import AlreadyExists, ApiError, Conflict, Forbidden, Invalid, NotFound
from rayrig_core.resource_types import CONFIG_MAP, LEASE, NAMESPACE, NODE, POD, SECRET, SERVICE
from rayrig_core.trace import Kind
from tests.fakes.kubernetes.conftest import WIDGET, Api


@pytest.mark.accepts("K8-019", "K8-081")
def test_the_server_sets_what_is_the_servers(api: Api) -> None:
    made = api.config_map("a", metadata={"uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "selfLink": "/x"})
    assert made["apiVersion"] == "v1"
    assert made["kind"] == "ConfigMap"
    meta = made["metadata"]
    assert meta["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", meta["uid"])
    assert "selfLink" not in meta
    with pytest.raises(ApiError) as refused:
        api.config_map("b", metadata={"resourceVersion": "5"})
    assert refused.value.code == 500
    assert refused.value.message == "resourceVersion should not be set on objects to be created"


@pytest.mark.accepts("K8-020")
def test_generated_names_have_five_characters_and_fit_63(api: Api) -> None:
    short = api.create(CONFIG_MAP, {"metadata": {"generateName": "pre-"}})["metadata"]["name"]
    assert re.fullmatch(r"pre-[bcdfghjklmnpqrstvwxz2456789]{5}", short)
    long = api.create(CONFIG_MAP, {"metadata": {"generateName": "x" * 70}})["metadata"]["name"]
    assert re.fullmatch(r"x{58}[bcdfghjklmnpqrstvwxz2456789]{5}", long)
    both = api.create(CONFIG_MAP, {"metadata": {"generateName": "pre-", "name": "given"}})
    assert both["metadata"]["name"] == "given"


@pytest.mark.accepts("K8-082")
def test_one_seed_gives_the_same_uids_and_names() -> None:
    def story(seed: int) -> list[str]:
        api = Api(seed)
        made = api.create(CONFIG_MAP, {"metadata": {"generateName": "a-"}})
        address = api.create(SERVICE, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
        return [made["metadata"]["name"], made["metadata"]["uid"], address["spec"]["clusterIP"]]

    assert story(1) == story(1)
    assert story(1) != story(2)


@pytest.mark.accepts("K8-021")
def test_the_version_grows_over_all_kinds_and_an_empty_change_keeps_it(api: Api) -> None:
    first = int(api.config_map("a", data={"k": "v"})["metadata"]["resourceVersion"])
    second = int(api.pod("p")["metadata"]["resourceVersion"])
    assert second == first + 1
    watch = api.watch(CONFIG_MAP, resource_version=str(second))
    same = api.patch(CONFIG_MAP, "a", {"data": {"k": "v"}})
    assert int(same["metadata"]["resourceVersion"]) == first
    assert watch.take() is None
    assert api.server.revision == second


@pytest.mark.accepts("K8-014")
def test_errors_name_the_resource(api: Api) -> None:
    with pytest.raises(NotFound, match=r'^configmaps "x" not found$') as missing:
        api.get(CONFIG_MAP, "x")
    assert missing.value.status["details"] == {"name": "x", "kind": "configmaps"}
    api.config_map("a")
    with pytest.raises(AlreadyExists, match=r'^configmaps "a" already exists$'):
        api.config_map("a")
    with pytest.raises(Invalid) as bad:
        api.create(CONFIG_MAP, {"metadata": {}})
    assert bad.value.message == (
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required'
    )
    assert bad.value.status["details"]["causes"] == [
        {
            "reason": "FieldValueRequired",
            "message": "Required value: name or generateName is required",
            "field": "metadata.name",
        }
    ]


@pytest.mark.accepts("K8-034")
@pytest.mark.parametrize(
    ("metadata", "field", "says"),
    [
        ({"name": "Upper"}, "metadata.name", "a lowercase RFC 1123 subdomain"),
        ({"name": "x" * 254}, "metadata.name", "must be no more than 253 characters"),
        ({"name": "a", "labels": {"k": "-x"}}, "metadata.labels", "a valid label must be an empty string"),
        ({"name": "a", "labels": {"k": "x" * 64}}, "metadata.labels", "must be no more than 63 bytes"),
        ({"name": "a", "labels": {"/k": "x"}}, "metadata.labels", "prefix part must be non-empty"),
        ({"name": "a", "annotations": {"k": "x" * 262_144}}, "metadata.annotations", "may not be more than 262144"),
        ({"name": "a", "finalizers": ["unqualified"]}, "metadata.finalizers[0]", "nor is it fully qualified"),
        ({"name": "a", "ownerReferences": [{"kind": "X", "name": "x"}]}, "metadata.ownerReferences.uid", "empty"),
    ],
)
def test_metadata_has_rules(api: Api, metadata: dict[str, object], field: str, says: str) -> None:
    with pytest.raises(Invalid) as refused:
        api.create(CONFIG_MAP, {"metadata": metadata})
    causes = refused.value.status["details"]["causes"]
    assert any(cause["field"] == field and says in cause["message"] for cause in causes)


@pytest.mark.accepts("K8-015")
def test_a_body_must_speak_of_the_object_of_the_path(api: Api) -> None:
    api.config_map("a")
    for body, message in (
        ({"metadata": {"name": "b"}}, "the name of the object (b) does not match the name on the URL (a)"),
        (
            {"metadata": {"name": "a", "namespace": "other"}},
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
    ):
        with pytest.raises(ApiError) as refused:
            api.call("update", CONFIG_MAP, "a", body=body)
        assert (refused.value.code, refused.value.message) == (400, message)
    with pytest.raises(ApiError, match="unknown conversion") as wrong_kind:
        api.create(CONFIG_MAP, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}})
    assert wrong_kind.value.code == 400


def test_a_missing_namespace_is_404_and_a_terminating_one_refuses_creates(api: Api) -> None:
    with pytest.raises(NotFound, match=r'^namespaces "nowhere" not found$'):
        api.create(CONFIG_MAP, {"metadata": {"name": "a"}}, namespace="nowhere")
    api.create(NAMESPACE, {"metadata": {"name": "soon"}})
    assert api.delete(NAMESPACE, "soon")["status"]["phase"] == "Terminating"
    with pytest.raises(Forbidden, match="because it is being terminated"):
        api.create(CONFIG_MAP, {"metadata": {"name": "a"}}, namespace="soon")
    for protected in ("default", "kube-system"):
        with pytest.raises(Forbidden, match="this namespace may not be deleted"):
            api.delete(NAMESPACE, protected)


@pytest.mark.accepts("K8-022")
def test_a_stale_version_conflicts_in_put_and_patch(api: Api) -> None:
    stale = api.config_map("a", data={"k": "1"})
    api.patch(CONFIG_MAP, "a", {"data": {"k": "2"}})
    message = (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the '
        "latest version and try again"
    )
    stale["data"]["k"] = "3"
    with pytest.raises(Conflict) as refused:
        api.update(CONFIG_MAP, stale)
    assert refused.value.message == message
    with pytest.raises(Conflict):
        api.patch(CONFIG_MAP, "a", {"metadata": {"resourceVersion": stale["metadata"]["resourceVersion"]}})
    assert api.get(CONFIG_MAP, "a")["data"] == {"k": "2"}


@pytest.mark.accepts("K8-023")
def test_put_without_a_version_is_taken_except_for_custom_resources(custom: Api) -> None:
    custom.config_map("a")
    assert custom.update(CONFIG_MAP, {"metadata": {"name": "a"}, "data": {"k": "v"}})["data"] == {"k": "v"}
    custom.widget("w")
    with pytest.raises(Invalid, match=r"metadata\.resourceVersion: Invalid value: 0: must be specified for an update"):
        custom.update(WIDGET, {"metadata": {"name": "w"}, "spec": {"owner": "bob"}})


@pytest.mark.accepts("K8-025")
def test_generation_counts_changes_of_the_spec(custom: Api) -> None:
    def generation(obj: dict[str, dict[str, int]]) -> int:
        return obj["metadata"]["generation"]

    assert generation(custom.widget("w")) == 1
    assert generation(custom.patch(WIDGET, "w", {"metadata": {"labels": {"a": "b"}}})) == 1
    assert generation(custom.patch(WIDGET, "w", {"status": {"phase": "Up"}}, subresource="status")) == 1
    assert generation(custom.patch(WIDGET, "w", {"spec": {"size": 5}})) == 2
    assert generation(custom.patch(WIDGET, "w", {"metadata": {"finalizers": ["example.com/f"]}})) == 2
    assert generation(custom.delete(WIDGET, "w")) == 3
    assert generation(custom.delete(WIDGET, "w")) == 3
    assert generation(custom.pod("p")) == 1
    assert "generation" not in custom.config_map("c")["metadata"]


@pytest.mark.accepts("K8-026")
@pytest.mark.parametrize("kind", [WIDGET, POD])
def test_status_and_the_rest_are_written_apart(custom: Api, kind: object) -> None:
    made = custom.widget("x") if kind is WIDGET else custom.pod("x", bound=False)
    before = made["spec"]
    written = custom.patch(
        made_kind := (WIDGET if kind is WIDGET else POD),
        "x",
        {"status": {"phase": "Running"}, "spec": {"owner": "eve"}},
        subresource="status",
    )
    assert written["status"]["phase"] == "Running"
    assert written["spec"] == before
    written["status"]["phase"] = "Failed"
    written["metadata"]["labels"] = {"a": "b"}
    kept = custom.update(made_kind, written)
    assert kept["status"]["phase"] == "Running"
    assert kept["metadata"]["labels"] == {"a": "b"}


def test_kinds_without_a_status_path_answer_404(api: Api) -> None:
    api.config_map("a")
    with pytest.raises(NotFound, match="the server could not find the requested resource"):
        api.patch(CONFIG_MAP, "a", {"status": {}}, subresource="status")


@pytest.mark.accepts("K8-032")
def test_a_dry_run_does_everything_but_store(api: Api) -> None:
    made = api.create(SERVICE, {"metadata": {"generateName": "s-"}, "spec": {"ports": [{"port": 80}]}}, dry_run=True)
    assert made["spec"]["clusterIP"].startswith("10.96.")
    assert len(made["metadata"]["name"]) == 7
    assert "resourceVersion" not in made["metadata"]
    api.config_map("a", data={"k": "v"})
    assert api.patch(CONFIG_MAP, "a", {"data": {"k": "w"}}, dry_run=True)["data"] == {"k": "w"}
    assert api.delete(CONFIG_MAP, "a", dry_run=True)["status"] == "Success"
    assert api.names(SERVICE) == []
    assert api.get(CONFIG_MAP, "a")["data"] == {"k": "v"}
    with pytest.raises(Invalid):
        api.create(SERVICE, {"metadata": {"name": "s"}, "spec": {}}, dry_run=True)


@pytest.mark.accepts("K8-033")
def test_immutable_parts(api: Api) -> None:
    api.config_map("a", data={"k": "v"}, immutable=True)
    with pytest.raises(Invalid, match="data: Forbidden: field is immutable when `immutable` is set"):
        api.patch(CONFIG_MAP, "a", {"data": {"k": "w"}})
    api.pod("p")
    containers = [{"name": "c", "image": "i:2"}]
    assert (
        api.patch(POD, "p", {"spec": {"containers": containers}}, patch_type="strategic")["spec"]["containers"][0][
            "image"
        ]
        == "i:2"
    )
    with pytest.raises(Invalid, match="pod updates may not change fields other than"):
        api.patch(POD, "p", {"spec": {"restartPolicy": "Never"}})
    api.create(SERVICE, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    with pytest.raises(Invalid, match="may not change once set"):
        api.patch(SERVICE, "s", {"spec": {"clusterIP": "10.96.77.77"}})


@pytest.mark.accepts("K8-035")
def test_string_data_becomes_data(api: Api) -> None:
    made = api.create(SECRET, {"metadata": {"name": "s"}, "stringData": {"u": "me"}})
    assert (made["data"], made["type"]) == ({"u": "bWU="}, "Opaque")
    assert "stringData" not in made
    with pytest.raises(ApiError, match="illegal base64 data at input byte 3") as refused:
        api.create(SECRET, {"metadata": {"name": "t"}, "data": {"u": "not base64!"}})
    assert refused.value.code == 400


@pytest.mark.accepts("K8-036")
def test_put_creates_leases_and_services_only(api: Api) -> None:
    assert api.update(LEASE, {"metadata": {"name": "l"}, "spec": {"holderIdentity": "a"}})["metadata"]["uid"]
    assert api.update(SERVICE, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 1}]}})["spec"]["clusterIP"]
    with pytest.raises(NotFound):
        api.update(CONFIG_MAP, {"metadata": {"name": "c"}})


def test_writes_and_refusals_are_traced_and_reads_are_not(api: Api) -> None:
    api.config_map("a")
    api.get(CONFIG_MAP, "a")
    with pytest.raises(AlreadyExists):
        api.config_map("a")
    api.patch(CONFIG_MAP, "a", {"data": {}})
    api.create(NODE, {"metadata": {"name": "n1"}})
    told = [(event.kind, event.subject, event.data) for event in api.trace]
    first = api.server.revision - 1
    assert told == [
        (Kind.API_WRITE, "configmaps/default/a", ("create", "configmaps", first, "")),
        (Kind.API_REFUSED, "configmaps/default/a", ("create", "configmaps", 409, "AlreadyExists")),
        (Kind.API_WRITE, "nodes/n1", ("create", "nodes", first + 1, "")),
    ]


def test_what_a_client_keeps_is_its_own(api: Api) -> None:
    shared = {"cpu": "1"}
    body = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": shared, "requests": shared}}]},
    }
    made = api.create(POD, body)
    shared["cpu"] = "2"
    made["spec"]["containers"].clear()
    kept = api.get(POD, "p")["spec"]["containers"][0]["resources"]
    assert kept == {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
    assert "status" not in body

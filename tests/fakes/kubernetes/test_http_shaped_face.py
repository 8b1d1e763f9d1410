"""The server behind HTTP requests and responses, without sockets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rayrig_core.http import HttpRequest
from rayrig_fakes.kubernetes.rest.handler import ApiResponse, WatchResponse, bookmark_line, handle
from tests.fakes.kubernetes.conftest import Api

MAPS = "/api/v1/namespaces/default/configmaps"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
AGGREGATED = {"accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"}


def send(api: Api, method: str, target: str, body: Any = None, **headers: str) -> ApiResponse:
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if content:
        named.setdefault("content-type", "application/json")
    answer = handle(api.server, HttpRequest.of(method, target, headers=named, body=content))
    assert isinstance(answer, ApiResponse)
    return answer


def watch(api: Api, target: str, **headers: str) -> WatchResponse:
    answer = handle(api.server, HttpRequest.of("GET", target, headers=headers))
    assert isinstance(answer, WatchResponse)
    return answer


def lines(stream: WatchResponse) -> list[tuple[str, Any]]:
    return [(event["type"], event["object"]) for event in map(json.loads, stream.lines())]


def config_map(name: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **fields}


def test_the_life_of_an_object(api: Api) -> None:
    made = send(api, "POST", MAPS, config_map("a", data={"k": "v"}))
    assert (made.status, made.content_type) == (201, "application/json")
    assert send(api, "GET", f"{MAPS}/a").json() == made.json()
    replaced = send(api, "PUT", f"{MAPS}/a", config_map("a", data={"k": "w"}))
    assert (replaced.status, replaced.json()["data"]) == (200, {"k": "w"})
    patched = send(api, "PATCH", f"{MAPS}/a", {"data": {"l": "x"}}, content_type="application/merge-patch+json")
    assert patched.json()["data"] == {"k": "w", "l": "x"}
    listed = send(api, "GET", MAPS).json()
    assert (listed["kind"], listed["apiVersion"], len(listed["items"])) == ("ConfigMapList", "v1", 1)
    assert "kind" not in listed["items"][0]
    assert send(api, "DELETE", f"{MAPS}/a").json()["status"] == "Success"
    assert send(api, "GET", f"{MAPS}/a").json()["code"] == 404


@pytest.mark.accepts("K8-005")
def test_unknown_paths(custom: Api) -> None:
    for path in ("/apis/nope.example.com/v1", "/apis/nope.example.com", "/nope", "/apis/example.com/v9/widgets"):
        answer = send(custom, "GET", path)
        assert (answer.status, answer.body, answer.content_type) == (
            404,
            b"404 page not found\n",
            "text/plain; charset=utf-8",
        )
    for path in ("/api/v1/namespaces/default/flurbs", "/apis/apps/v1/flurbs", "/api/v1/namespaces/x/nodes"):
        assert send(custom, "GET", path).json()["message"] == "the server could not find the requested resource"
    assert send(custom, "GET", f"{MAPS}/").status == 200


@pytest.mark.accepts("K8-013", "K8-015")
def test_refusals_are_statuses(custom: Api) -> None:
    for method, target, body, code, reason in (
        ("PUT", MAPS, config_map("a"), 405, "MethodNotAllowed"),
        ("POST", f"{MAPS}/a", config_map("a"), 405, "MethodNotAllowed"),
        ("POST", "/api/v1/configmaps", config_map("a"), 405, "MethodNotAllowed"),
        ("DELETE", "/version", None, 405, "MethodNotAllowed"),
        ("POST", MAPS, b"{", 400, "BadRequest"),
        ("POST", MAPS, b"[]", 400, "BadRequest"),
        ("POST", WIDGETS, b'{"metadata":{"name":"a"}}', 400, "BadRequest"),
        ("POST", MAPS, {**config_map("a"), "kind": "Secret"}, 400, "BadRequest"),
        ("POST", MAPS, {**config_map("a"), "apiVersion": "v2"}, 400, "BadRequest"),
        ("POST", MAPS, config_map("a", data={"k": "x" * 3_200_000}), 413, "RequestEntityTooLarge"),
        ("POST", MAPS, config_map("Bad"), 422, "Invalid"),
        ("POST", f"{MAPS}?dryRun=Some", config_map("a"), 422, "Invalid"),
        ("DELETE", f"{MAPS}/a?propagationPolicy=Sideways", None, 422, "Invalid"),
        ("GET", f"{MAPS}?resourceVersionMatch=Exact", None, 422, "Invalid"),
        ("GET", f"{MAPS}?labelSelector=a=b=c", None, 400, "BadRequest"),
    ):
        answer = send(custom, method, target, body)
        status = answer.json()
        assert (answer.status, status["kind"], status["reason"], status["code"]) == (code, "Status", reason, code), (
            target
        )
    assert (
        send(
            custom,
            "POST",
            f"{WIDGETS}/w",
            {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"owner": "ann"}},
        ).status
        == 201
    )


@pytest.mark.accepts("K8-015")
def test_a_token_that_is_none_is_told_of_a_byte_or_of_a_letter(custom: Api) -> None:
    for collection, shown in ((MAPS, r"'\x81'"), (WIDGETS, r"'\u0081'")):
        answer = send(custom, "GET", f"{collection}?continue=garbage")
        assert answer.json()["message"] == (
            "invalid continue token: continue key is not valid: "
            f"invalid character {shown} looking for beginning of value"
        )


@pytest.mark.accepts("K8-010")
def test_media_types(api: Api) -> None:
    assert send(api, "POST", MAPS, b"x", content_type="text/plain").status == 415
    assert send(api, "PATCH", f"{MAPS}/a", {}, content_type="application/json").status == 415
    assert send(api, "GET", MAPS, accept="text/html").status == 406
    for accept in ("", "*/*", "application/json", "text/html;q=0.9,application/json;q=0.1"):
        assert send(api, "GET", MAPS, accept=accept).status == 200
    yaml_body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: in-yaml}\ndata: {k: v}\n"
    assert send(api, "POST", MAPS, yaml_body, content_type="application/yaml").json()["data"] == {"k": "v"}
    shown = send(api, "GET", f"{MAPS}/in-yaml", accept="application/yaml")
    assert shown.content_type == "application/yaml"
    assert b"kind: ConfigMap" in shown.body


@pytest.mark.accepts("K8-009")
def test_custom_resources_have_no_protobuf(custom: Api) -> None:
    only = "application/vnd.kubernetes.protobuf"
    assert send(custom, "GET", WIDGETS, accept=only).status == 406
    both = send(custom, "GET", WIDGETS, accept=f"{only},application/json")
    assert (both.status, both.content_type) == (200, "application/json")


@pytest.mark.accepts("K8-001", "K8-002")
def test_discovery_tells_what_is_served(custom: Api) -> None:
    assert send(custom, "GET", "/version").json()["gitVersion"].startswith("v1.")
    assert send(custom, "GET", "/api").json()["versions"] == ["v1"]
    groups = {group["name"]: group for group in send(custom, "GET", "/apis").json()["groups"]}
    assert groups["example.com"]["preferredVersion"] == {"groupVersion": "example.com/v1", "version": "v1"}
    assert send(custom, "GET", "/apis/apps").json()["kind"] == "APIGroup"
    core = {each["name"]: each for each in send(custom, "GET", "/api/v1").json()["resources"]}
    assert core["pods"]["shortNames"] == ["po"]
    assert core["pods/binding"]["kind"] == "Binding"
    assert core["nodes"]["namespaced"] is False
    found = {each["name"]: each for each in send(custom, "GET", "/apis/example.com/v1").json()["resources"]}
    assert list(found) == ["widgets", "widgets/status", "widgets/scale"]
    assert found["widgets"]["categories"] == ["toys"]
    assert found["widgets"]["verbs"] == [
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "create",
        "update",
        "watch",
    ]
    assert found["widgets/scale"]["group"] == "autoscaling"


@pytest.mark.accepts("K8-003")
def test_aggregated_discovery(custom: Api) -> None:
    answer = send(custom, "GET", "/apis", **AGGREGATED)
    assert "as=APIGroupDiscoveryList" in answer.content_type
    groups = {item["metadata"]["name"]: item["versions"] for item in answer.json()["items"]}
    (widgets,) = groups["example.com"][0]["resources"]
    assert (widgets["resource"], widgets["scope"], widgets["responseKind"]["kind"]) == (
        "widgets",
        "Namespaced",
        "Widget",
    )
    assert [each["subresource"] for each in widgets["subresources"]] == ["scale", "status"]
    assert send(custom, "GET", "/api", **AGGREGATED).json()["items"][0]["metadata"] == {}
    assert send(custom, "GET", "/apis").json()["kind"] == "APIGroupList"


@pytest.mark.accepts("K8-006")
@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_health(api: Api, path: str) -> None:
    answer = send(api, "GET", path)
    assert (answer.status, answer.body) == (200, b"ok")


@pytest.mark.accepts("K8-012")
def test_metadata_alone(api: Api) -> None:
    send(api, "POST", MAPS, config_map("a", data={"k": "v"}))
    one = send(api, "GET", f"{MAPS}/a", accept="application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io").json()
    assert (one["kind"], one["apiVersion"], one["metadata"]["name"]) == ("PartialObjectMetadata", "meta.k8s.io/v1", "a")
    assert "data" not in one
    many = send(api, "GET", MAPS, accept="application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io").json()
    assert [item["kind"] for item in many["items"]] == ["PartialObjectMetadata"]


def test_tables(custom: Api) -> None:
    custom.widget("w", colour="green")
    custom.pass_time(90)
    table = send(custom, "GET", WIDGETS, **TABLE).json()
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Colour", "Age"]
    assert [row["cells"] for row in table["rows"]] == [["w", "green", "90s"]]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    bare = send(custom, "GET", f"{WIDGETS}?includeObject=None", **TABLE).json()
    assert bare["rows"][0]["object"] is None
    assert send(custom, "GET", f"{WIDGETS}?includeObject=Half", **TABLE).status == 400


def test_unknown_fields_warn_or_refuse(custom: Api) -> None:
    def create(name: str, mode: str) -> ApiResponse:
        body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name},
                "spec": {"owner": "ann", "bogus": 1, "nested": {"zzz": 1}}}  # fmt: skip
        return send(custom, "POST", f"{WIDGETS}{mode}", body)

    assert create("a", "").headers[1:] == [
        ("warning", '299 - "unknown field \\"spec.bogus\\""'),
        ("warning", '299 - "unknown field \\"spec.nested.zzz\\""'),
    ]
    assert create("b", "?fieldValidation=Ignore").warnings == ()
    strict = create("c", "?fieldValidation=Strict")
    assert strict.status == 400
    assert 'strict decoding error: unknown field "spec.bogus"' in strict.json()["message"]


def test_watch_streams(api: Api) -> None:
    send(api, "POST", MAPS, config_map("a"))
    stream = watch(api, f"{MAPS}?watch=true&timeoutSeconds=30&allowWatchBookmarks=true")
    assert (stream.status, stream.timeout_s, stream.bookmarks) == (200, 30.0, True)
    (kind, added), (then, closing) = lines(stream)
    assert (kind, added["kind"], added["metadata"]["name"]) == ("ADDED", "ConfigMap", "a")
    assert (then, closing["metadata"]["annotations"]) == ("BOOKMARK", {"k8s.io/initial-events-end": "true"})
    ready: list[bool] = []
    stream.call_when_ready(lambda: ready.append(True))
    send(api, "DELETE", f"{MAPS}/a")
    assert ready == [True]
    assert [kind for kind, _ in lines(stream)] == ["DELETED"]
    bookmark = json.loads(bookmark_line(api.server, stream))
    assert bookmark == {
        "type": "BOOKMARK",
        "object": {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": str(api.server.revision)}},
    }
    stream.close()
    assert stream.is_ended


@pytest.mark.accepts("K8-055", "K8-056")
def test_who_stops_at_the_closing_bookmark_misses_nothing(api: Api) -> None:
    send(api, "POST", MAPS, config_map("a"))
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    stream = watch(api, f"{MAPS}?watch=true&{query}")
    assert json.loads(next(iter(stream.lines())))["type"] == "ADDED"
    send(api, "POST", MAPS, config_map("b"))
    assert json.loads(next(iter(stream.lines())))["type"] == "BOOKMARK"
    assert [(kind, obj["metadata"]["name"]) for kind, obj in lines(stream)] == [("ADDED", "b")]


@pytest.mark.accepts("K8-052")
def test_a_watch_from_before_the_compaction_is_one_error_event(api: Api) -> None:
    version = send(api, "POST", MAPS, config_map("a")).json()["metadata"]["resourceVersion"]
    send(api, "POST", MAPS, config_map("b"))
    api.server.compact()
    stream = watch(api, f"{MAPS}?watch=true&resourceVersion={version}")
    ((kind, status),) = lines(stream)
    assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
    assert stream.is_ended


@pytest.mark.accepts("K8-055")
def test_initial_events_end_with_a_bookmark(api: Api) -> None:
    send(api, "POST", MAPS, config_map("a"))
    query = "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    stream = watch(api, f"{MAPS}?{query}")
    first, closing = lines(stream)
    assert first[0] == "ADDED"
    assert closing[1]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    send(api, "POST", MAPS, config_map("b"))
    assert [kind for kind, _ in lines(stream)] == ["ADDED"]
    assert send(api, "GET", f"{MAPS}?watch=true&sendInitialEvents=true").status == 422


@pytest.mark.accepts("K8-057")
def test_watches_as_tables_and_metadata(api: Api) -> None:
    send(api, "POST", MAPS, config_map("a"))
    send(api, "POST", MAPS, config_map("b"))
    first, second = (obj for _, obj in lines(watch(api, f"{MAPS}?watch=true", **TABLE)))
    assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["columnDefinitions"] is None
    partial = watch(api, f"{MAPS}?watch=true", accept="application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")
    assert [obj["kind"] for _, obj in lines(partial)] == ["PartialObjectMetadata"] * 2


@pytest.mark.accepts("K8-080")
def test_an_event_has_two_shapes(api: Api) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "reason": "Unhealthy",
        "message": "Readiness probe failed",
        "type": "Warning",
        "count": 1,
    }
    send(api, "POST", "/api/v1/namespaces/default/events", body)
    new = "/apis/events.k8s.io/v1/namespaces/default/events/e"
    other = send(api, "GET", new).json()
    assert (other["regarding"]["name"], other["note"], other["deprecatedCount"]) == ("p", "Readiness probe failed", 1)
    send(api, "PATCH", "/api/v1/namespaces/default/events/e", {"count": 5}, content_type="application/merge-patch+json")
    assert send(api, "GET", new).json()["deprecatedCount"] == 5


@pytest.mark.accepts("K8-049", "K8-055")
@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("resourceVersionMatch=Odd", ["resourceVersionMatch"] * 2),
        ("resourceVersionMatch=Exact&continue=x", ["resourceVersionMatch"] * 2),
        ("sendInitialEvents=true&resourceVersionMatch=NotOlderThan", ["resourceVersionMatch", "sendInitialEvents"]),
        ("watch=true&resourceVersionMatch=Exact", ["resourceVersionMatch"] * 2),
        ("watch=true&continue=x", ["resourceVersionMatch"]),
    ],
)
def test_everything_that_is_wrong_with_list_parameters_is_told(api: Api, query: str, fields: list[str]) -> None:
    answer = send(api, "GET", f"{MAPS}?{query}")
    assert answer.status == 422
    assert [cause["field"] for cause in answer.json()["details"]["causes"]] == fields


@pytest.mark.accepts("K8-032")
def test_the_body_of_a_delete_is_all_that_counts(api: Api) -> None:
    send(api, "POST", MAPS, config_map("a"))
    odd = send(api, "DELETE", f"{MAPS}/a", {"kind": "Pod", "apiVersion": "v1"})
    assert (odd.status, odd.json()["message"]) == (
        400,
        'no kind "Pod" is registered for version "v1" in scheme "pkg/runtime/scheme.go:111"',
    )
    send(api, "DELETE", f"{MAPS}/a?dryRun=All", {"kind": "DeleteOptions", "apiVersion": "apps/v1"})
    assert send(api, "GET", f"{MAPS}/a").status == 404


@pytest.mark.accepts("K8-031")
def test_names_of_managers_are_short_and_printable(api: Api) -> None:
    for manager, why in ((129 * "x", "Too long"), ("a%0Ab", "invalid character U+000A (at position 1)")):
        answer = send(api, "POST", f"{MAPS}?fieldManager={manager}", config_map("a"))
        assert answer.status == 422
        assert why in answer.json()["message"]


@pytest.mark.accepts("K8-054")
def test_bookmarks_hold_what_their_type_writes_out_although_empty(api: Api) -> None:
    stream = watch(api, "/api/v1/namespaces/default/pods?watch=true&allowWatchBookmarks=true")
    ((_, closing),) = lines(stream)
    assert (closing["spec"], closing["status"]) == ({"containers": None}, {})
    stream.close()


@pytest.mark.accepts("K8-010", "K8-011")
@pytest.mark.parametrize(
    ("accept", "told"),
    [
        ("application/json;as=Table", "only the following media types are accepted: "),
        ("application/json;as=Other;v=v1;g=meta.k8s.io", "only the following media types are accepted: "),
        ("text/html", "406: Not Acceptable"),
    ],
)
def test_forms_nobody_serves_are_refused(api: Api, accept: str, told: str) -> None:
    answer = send(api, "GET", MAPS, accept=accept)
    assert answer.status == 406
    assert answer.json()["message"].startswith(told)


@pytest.mark.accepts("K8-011")
def test_tables_in_their_older_version_and_in_yaml(api: Api) -> None:
    older = send(api, "GET", MAPS, accept="application/json;as=Table;v=v1beta1;g=meta.k8s.io")
    assert older.json()["apiVersion"] == "meta.k8s.io/v1beta1"
    in_yaml = send(api, "GET", MAPS, accept="application/yaml;as=Table;v=v1;g=meta.k8s.io")
    assert in_yaml.content_type == "application/yaml"
    assert b"columnDefinitions" in in_yaml.body

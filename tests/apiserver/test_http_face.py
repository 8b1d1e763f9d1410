"""What a client meets before any call: routes, bad requests, redirects, forms, tokens, other origins, descriptions
(`kuberay-apiserver.md` 1, 2, 13.5).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from rayrig.apiserver.server import ApiServerSettings
from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.resource_types import RAY_CLUSTER

CLUSTERS = "/apis/v1/namespaces/default/clusters"
FORM = "application/x-www-form-urlencoded"


def _ask(site: Any, method: str, target: str, body: str = "", **headers: str) -> HttpResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = HttpRequest.of(method, target, headers=named, body=body.encode())
    answer: HttpResponse = site.run(site.server.handle(request))
    return answer


def _told(site: Any, method: str, target: str, body: str = "", **headers: str) -> tuple[int, int, str]:
    """Status, code and message of a refusal."""
    answer = _ask(site, method, target, body, **headers)
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert set(told) == {"code", "message"}
    return answer.status, told["code"], told["message"]


@pytest.mark.accepts("AS-018")
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"name":', "unexpected EOF"),
        ("null", "proto:\u00a0syntax error (line 1:1): unexpected token null"),
        (
            '{"clusterSpec": {"workerGroupSpec": [{"replicas": "three"}]}}',
            'proto:\u00a0(line 1:51): invalid value for int32 field replicas: "three"',
        ),
    ],
)
def test_a_body_that_cannot_be_read(site: Any, body: str, message: str) -> None:
    assert _told(site, "POST", CLUSTERS, body) == (400, 3, message)


@pytest.mark.accepts("AS-019")
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_method_that_a_path_does_not_have(site: Any, method: str) -> None:
    assert _told(site, method, f"{CLUSTERS}/test-cluster", "{}") == (501, 12, "Method Not Allowed")


@pytest.mark.accepts("AS-019")
@pytest.mark.parametrize("path", ["/apis/v1/nonsense", "/", "/apis/v1", "/apis/v1/clusters/", "/apis/v2/clusters"])
def test_a_path_that_is_nobodys(site: Any, path: str) -> None:
    assert _told(site, "GET", path) == (404, 5, "Not Found")


@pytest.mark.accepts("AS-020")
def test_a_slash_at_the_end_asks_for_an_object_without_a_name(site: Any) -> None:
    status, code, message = _told(site, "GET", f"{CLUSTERS}/")
    assert (status, code) == (400, 3)
    assert message.startswith("Cluster name is empty.")


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("/apis/v1/namespaces//clusters", "/apis/v1/namespaces/clusters"),
        ("/apis/v1/namespaces//clusters?limit=1", "/apis/v1/namespaces/clusters?limit=1"),
        ("//apis/v1/./x/../clusters/", "/apis/v1/clusters/"),
        ("/swagger", "/swagger/"),
        ("/apis/ray.io/v1?limit=1", "/apis/ray.io/v1/?limit=1"),
    ],
)
def test_a_path_is_cleaned_first(site: Any, path: str, leads_to: str) -> None:
    answer = _ask(site, "GET", path)
    assert (answer.status, answer.headers["location"]) == (307, leads_to)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.body.decode() == f'<a href="{leads_to}">Temporary Redirect</a>.\n\n'
    assert _ask(site, "POST", path).body == b""


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=abc", 'parsing field "limit": strconv.ParseInt: parsing "abc": invalid syntax'),
        ("limit=", 'parsing field "limit": strconv.ParseInt: parsing "": invalid syntax'),
        (f"limit={2**63}", f'parsing field "limit": strconv.ParseInt: parsing "{2**63}": value out of range'),
        (f"limit={'9' * 5000}", f'parsing field "limit": strconv.ParseInt: parsing "{"9" * 5000}": value out of range'),
        ("limit=1&limit=2", 'too many values for field "limit": 1, 2'),
        ("limit.x=1", 'invalid path: "limit" is not a message'),
        ("limit[3]=1", 'too many values for field "limit": 3, 1'),
    ],
)
def test_query_parameters_that_cannot_be_read(site: Any, query: str, message: str) -> None:
    assert _told(site, "GET", f"{CLUSTERS}?{query}") == (400, 3, message)


def test_query_parameters_that_nobody_knows_and_those_of_the_path_are_passed_over(site: Any) -> None:
    assert site.ok("GET", f"{CLUSTERS}?pretty=1&namespace=team-b&limit=0&x.y=z") == {}
    assert site.ok("GET", "/apis/v1/namespaces/default/services?page_size=5&pageToken=") == {}


def test_a_form_to_a_path_that_takes_posts_is_taken_for_json(site: Any) -> None:
    told = _told(site, "POST", CLUSTERS, "a=b", content_type=FORM)
    assert told == (400, 3, "invalid character 'a' looking for beginning of value")


def test_a_form_to_a_path_that_takes_none_is_a_long_query(site: Any) -> None:
    site.create_cluster()
    answer = _ask(site, "POST", "/apis/v1/clusters", "limit=1", content_type=FORM)
    assert [each["name"] for each in answer.json()["clusters"]] == ["test-cluster"]
    told = _told(site, "POST", "/apis/v1/clusters?limit=1", "limit=2", content_type=FORM)
    assert told == (400, 3, 'too many values for field "limit": 2, 1')


def test_a_form_may_say_another_method(site: Any) -> None:
    site.create_cluster()
    listed = _ask(site, "POST", CLUSTERS, "limit=1", content_type=FORM, x_http_method_override="get")
    assert len(listed.json()["clusters"]) == 1
    deleted = _ask(site, "POST", f"{CLUSTERS}/test-cluster", content_type=FORM, x_http_method_override="DELETE")
    assert (deleted.status, deleted.body) == (200, b"{}")
    # Read as a form, the body is no object any more.
    told = _told(site, "POST", CLUSTERS, "a=b", content_type=FORM, x_http_method_override="POST")
    assert told[:2] == (400, 3)
    assert told[2].startswith("The namespace in the request is different")
    # Nothing but a form may.
    told = _told(site, "POST", f"{CLUSTERS}/x", content_type="application/json", x_http_method_override="DELETE")
    assert told == (501, 12, "Method Not Allowed")


def test_a_call_has_only_so_much_time(new_site: Any) -> None:
    site = new_site(ApiServerSettings(call_timeout_s=5))
    site.create_cluster()
    site.write_status(RAY_CLUSTER, "test-cluster", {"state": "ready"})

    async def never(_: Any) -> HttpResponse:
        await site.world.runtime.sleep(100)
        raise AssertionError

    site.upstream.answer = never
    begun = site.now_s
    told = _told(site, "GET", "/apis/v1/namespaces/default/serveapplication/test-cluster")
    assert told == (504, 4, "context deadline exceeded")
    assert site.now_s == begun + 5


@pytest.mark.accepts("AS-066")
@pytest.mark.parametrize("path", [CLUSTERS, "/apis/ray.io/v1/namespaces/default/rayclusters"])
def test_with_a_token_only_who_says_it_word_for_word_is_answered(new_site: Any, path: str) -> None:
    site = new_site(ApiServerSettings(token="s3cret"))
    for wrong in ({}, {"authorization": "Bearer s3cret"}, {"authorization": "S3cret"}):
        answer = _ask(site, "GET", path, **wrong)
        assert (answer.status, answer.body) == (401, b"Unauthorized\n")
        assert answer.headers["content-type"].startswith("text/plain")
    assert _ask(site, "GET", path, authorization="s3cret").status != 401
    assert _ask(site, "GET", CLUSTERS, authorization="s3cret").status == 200


@pytest.mark.accepts("AS-070")
def test_health_and_metrics(site: Any) -> None:
    health = _ask(site, "GET", "/healthz")
    assert (health.status, health.body, health.headers) == (200, b"", {})
    site.ok("GET", CLUSTERS)
    assert _ask(site, "GET", f"{CLUSTERS}/none").status == 404
    metrics = _ask(site, "GET", "/metrics")
    assert metrics.status == 200
    labels = 'grpc_service="proto.ClusterService",grpc_type="unary"'
    lines = metrics.body.decode().splitlines()
    assert f'grpc_server_started_total{{grpc_method="GetCluster",{labels}}} 1' in lines
    assert f'grpc_server_started_total{{grpc_method="DeleteCluster",{labels}}} 0' in lines
    assert f'grpc_server_handled_total{{grpc_code="OK",grpc_method="ListCluster",{labels}}} 1' in lines
    assert f'grpc_server_handled_total{{grpc_code="NotFound",grpc_method="GetCluster",{labels}}} 1' in lines


def test_no_other_origin_is_allowed_unless_asked_for(site: Any) -> None:
    assert _ask(site, "OPTIONS", CLUSTERS, access_control_request_method="GET", origin="http://ui").status == 501
    assert "access-control-allow-origin" not in _ask(site, "GET", CLUSTERS, origin="http://ui").headers


def test_pages_of_one_origin_are_allowed(new_site: Any) -> None:
    site = new_site(ApiServerSettings(cors_origin="http://ui"))
    for path in (CLUSTERS, "/apis/ray.io/v1/namespaces/default/rayclusters"):
        asked = {"access_control_request_method": "DELETE", "access_control_request_headers": "Content-Type"}
        before = _ask(site, "OPTIONS", path, origin="http://ui", **asked)
        assert (before.status, before.headers["access-control-allow-origin"]) == (204, "http://ui")
        assert before.headers["access-control-allow-methods"] == "DELETE"
        assert "access-control-allow-origin" not in _ask(site, "OPTIONS", path, origin="http://x", **asked).headers
    assert _ask(site, "GET", CLUSTERS, origin="http://ui").headers["access-control-allow-origin"] == "http://ui"
    assert "access-control-allow-origin" not in _ask(site, "GET", CLUSTERS, origin="http://x").headers
    assert _ask(site, "OPTIONS", CLUSTERS, origin="http://ui").status == 501


def test_everybodys_pages_are_allowed(new_site: Any) -> None:
    site = new_site(ApiServerSettings(cors_origin="*"))
    assert _ask(site, "GET", CLUSTERS, origin="http://x").headers["access-control-allow-origin"] == "*"


def test_without_v2_kubernetes_own_paths_are_nobodys(new_site: Any) -> None:
    site = new_site(ApiServerSettings(v2=False))
    assert _told(site, "GET", "/apis/ray.io/v1/namespaces/default/rayclusters") == (404, 5, "Not Found")


@pytest.mark.accepts("AS-071")
def test_two_runs_give_equal_replies(new_site: Any) -> None:
    runs = []
    for _ in range(2):
        site = new_site().start()
        site.create_cluster()
        site.until(site.is_ready)
        runs.append(
            [
                json.dumps(site.send("GET", path))
                for path in ("/apis/v1/clusters", "/apis/v1/compute_templates", f"{CLUSTERS}/none", "/apis/v1/services")
            ]
        )
    assert "ready" in runs[0][0]
    assert runs[0] == runs[1]


def test_replies_say_what_type_the_call_had_and_refusals_do_not(site: Any) -> None:
    listed, refused = _ask(site, "GET", CLUSTERS), _ask(site, "GET", f"{CLUSTERS}/nobody")
    assert (listed.status, listed.headers["grpc-metadata-content-type"]) == (200, "application/grpc")
    assert refused.status == 404
    assert "grpc-metadata-content-type" not in refused.headers

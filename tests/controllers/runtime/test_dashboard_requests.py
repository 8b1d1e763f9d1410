"""What goes to a dashboard or a Serve proxy, and what their answers mean."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

import pytest

from rayrig_controllers.dashboard_client import (
    DashboardClient,
    DashboardError,
    ServeProxyHealth,
    application_statuses,
)
from rayrig_core.http import Failure, HttpFailure, HttpResponse

PLACE = (
    "https://docs.ray.io/en/master/cluster/kubernetes/troubleshooting/rayservice-troubleshooting.html"
    "#kuberay-raysvc-troubleshoot"
)


class Http:
    """Port `HttpClient` with one answer."""

    def __init__(self, answer: HttpResponse | HttpFailure) -> None:
        self.answer = answer
        self.seen: list[tuple[str, str, bytes, dict[str, str], float]] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpResponse:
        self.seen.append((method, url, body, dict(headers or {}), timeout_s))
        if isinstance(self.answer, HttpFailure):
            raise self.answer
        return self.answer


def result(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine that waits for nothing returns."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


def test_a_get_asks_for_what_was_declared_within_two_seconds() -> None:
    http = Http(HttpResponse(200, b"{}"))
    assert result(DashboardClient(http, "http://head:8265").get_applications()) == b"{}"
    assert http.seen == [("GET", "http://head:8265/api/serve/applications/?api_type=declarative", b"", {}, 2.0)]


def test_a_put_carries_json_and_the_token() -> None:
    http = Http(HttpResponse(200, b""))
    result(DashboardClient(http, "http://head:8265", "secret", timeout_s=10.0).put_applications('{"ä":1}'))
    headers = {"content-type": "application/json", "x-ray-authorization": "Bearer secret"}
    assert http.seen == [("PUT", "http://head:8265/api/serve/applications/", '{"ä":1}'.encode(), headers, 10.0)]


@pytest.mark.parametrize("status", [200, 201, 299])
def test_any_success_is_one(status: int) -> None:
    result(DashboardClient(Http(HttpResponse(status, b"")), "").put_applications("{}"))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (HttpResponse(199, b"x"), "199 x"),
        (HttpResponse(300, b"x"), "300 Multiple Choices x"),
        (HttpResponse(500, b"broken \xff"), "500 Internal Server Error broken \ufffd"),
        (HttpResponse(503, b"", reason="Out of service"), "503 Out of service "),
        (HttpFailure(Failure.REFUSED, "head:8265"), str(HttpFailure(Failure.REFUSED, "head:8265"))),
    ],
)
def test_anything_else_is_an_error_that_says_where_to_look(answer: Any, told: str) -> None:
    client = DashboardClient(Http(answer), "")
    with pytest.raises(DashboardError) as caught:
        result(client.get_applications())
    assert str(caught.value) == (
        "failed to get Serve application statuses from the dashboard. If you observe this error consistently, please check "
        f'"Issue 5: Fail to create / update Serve applications." in {PLACE} for more details. err: {told}'
    )
    with pytest.raises(DashboardError) as caught:
        result(client.put_applications("{}"))
    assert str(caught.value) == (
        "fail to create / update Serve applications. If you observe this error consistently, please check "
        f'"Issue 5: Fail to create / update Serve applications." in {PLACE} for more details. '
        f"err: UpdateDeployments fail: {told}"
    )


def test_statuses_and_messages_are_taken_and_nothing_else() -> None:
    body = b"""{"applications": {
        "a": {"name": "a", "status": "RUNNING", "message": "", "route_prefix": "/", "deployments": {
            "D": {"name": "D", "status": "HEALTHY", "message": "fine", "replicas": []},
            "E": {"status": "", "message": ""}}},
        "b": {"status": "DEPLOYING", "message": "soon", "deployments": {}},
        "": {"status": "RUNNING", "name": "named"},
        "c": {}}}"""
    assert application_statuses(body) == {
        "a": {
            "status": "RUNNING",
            "serveDeploymentStatuses": {"D": {"status": "HEALTHY", "message": "fine"}, "E": {}},
        },
        "b": {"status": "DEPLOYING", "message": "soon"},
        "named": {"status": "RUNNING"},
        "c": {},
    }
    assert application_statuses(b'{"applications": {"": {}}}') == {"default": {}}
    assert application_statuses(b"{}") == {}
    assert application_statuses(b'{"applications": null}') == {}


@pytest.mark.parametrize("body", [b"no json", b"[]", b'{"applications": {"a": 1}}', b'{"applications": []}x'])
def test_what_is_no_such_answer_is_an_error(body: bytes) -> None:
    with pytest.raises(DashboardError) as caught:
        application_statuses(body)
    assert str(caught.value).startswith(
        "failed to get Serve application statuses from the dashboard. err: GetServeDetails failed. Failed to unmarshal bytes: "
    )
    assert not str(caught.value).endswith("None")


@pytest.mark.parametrize(
    ("answer", "exactly_200", "any_success"),
    [
        (HttpResponse(200, b""), True, True),
        (HttpResponse(204, b""), False, True),
        (HttpResponse(199, b""), False, False),
        (HttpResponse(300, b""), False, False),
        (HttpFailure(Failure.TIMEOUT), False, False),
    ],
)
def test_a_proxy_is_healthy_when_it_says_200(answer: Any, exactly_200: bool, any_success: bool) -> None:
    http = Http(answer)
    health = ServeProxyHealth(http)
    assert result(health.is_healthy("http://10.0.0.1:8000/-/healthz")) is exactly_200
    assert result(health.is_healthy("http://10.0.0.1:8000/-/healthz", timeout_s=0.02, any_success=True)) is any_success
    assert [(method, url, timeout_s) for method, url, _, _, timeout_s in http.seen] == [
        ("GET", "http://10.0.0.1:8000/-/healthz", 2.0),
        ("GET", "http://10.0.0.1:8000/-/healthz", 0.02),
    ]

"""What only a fake has, over HTTP: faults that come and go, what was asked before, forgetting; and who may use it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_core.errors import ApiError
from rayrig_fakes.kubernetes.identity import UserInfo

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def thread() -> Iterator[KubernetesThread]:
    with KubernetesThread(KubernetesOptions(controllers=False)) as running:
        yield running


@pytest.fixture
def client(thread: KubernetesThread) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=thread.url, trust_env=False, timeout=10, headers={"user-agent": "tester/1"}) as opened:
        yield opened


def make(client: httpx.Client, name: str, **data: str) -> httpx.Response:
    return client.post(MAPS, json={"metadata": {"name": name}, "data": data})


def fault(client: httpx.Client, kind: str, **how: Any) -> dict[str, Any]:
    answer = client.post("/rayrig/faults", json={"kind": kind, **how})
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def names(client: httpx.Client) -> list[str]:
    return [item["metadata"]["name"] for item in client.get(MAPS).json()["items"]]


# Requests


@pytest.mark.accepts("K8-084", "K8-058")
def test_so_many_calls_fail_and_then_no_more(client: httpx.Client) -> None:
    set_ = fault(client, "error", verb="create", resource="configmaps", count=2, code=503, retryAfter=7)
    assert (set_["id"], set_["struck"], set_["left"]) == (1, 0, 2)
    for _ in range(2):
        refused = make(client, "a")
        assert (refused.status_code, refused.json()["reason"]) == (503, "ServiceUnavailable")
        assert refused.headers["retry-after"] == "7"
    assert client.get(MAPS).status_code == 200
    assert make(client, "a").status_code == 201
    (shown,) = client.get("/rayrig/faults").json()["items"]
    assert (shown["struck"], shown["left"]) == (2, 0)


@pytest.mark.accepts("K8-084")
def test_an_answer_is_lost_after_the_write_took_effect(client: httpx.Client) -> None:
    fault(client, "error-after-effect", verb="create", name="lost", count=1)
    lost = make(client, "lost")
    assert (lost.status_code, lost.json()["reason"]) == (504, "Timeout")
    assert names(client) == ["lost"]
    fault(client, "drop-answer", verb="create", name="gone", count=1)
    with pytest.raises(httpx.TransportError):
        make(client, "gone")
    assert names(client) == ["gone", "lost"]
    fault(client, "drop-request", verb="create", name="never", count=1)
    with pytest.raises(httpx.TransportError):
        make(client, "never")
    assert names(client) == ["gone", "lost"]


@pytest.mark.accepts("K8-084")
def test_reads_are_answered_from_an_older_state(client: httpx.Client) -> None:
    make(client, "a", k="1")
    seen = client.get(MAPS).json()["metadata"]["resourceVersion"]
    client.patch(f"{MAPS}/a", json={"data": {"k": "2"}}, headers={"content-type": "application/merge-patch+json"})
    make(client, "b")
    number = fault(client, "stale-read", resource="configmaps", changes=2)["id"]
    stale = client.get(MAPS).json()
    assert [item["data"] for item in stale["items"]] == [{"k": "1"}]
    assert stale["metadata"]["resourceVersion"] == seen
    assert client.get(f"{MAPS}/a").json()["data"] == {"k": "1"}
    assert client.get(f"{MAPS}/b").status_code == 404
    assert make(client, "b").status_code == 409
    assert client.delete(f"/rayrig/faults/{number}").status_code == 200
    assert names(client) == ["a", "b"]
    fault(client, "stale-read", lag="1h")
    assert names(client) == []


def test_a_fault_strikes_whom_it_names(client: httpx.Client) -> None:
    fault(client, "error", actor="other*", code=500)
    assert client.get(MAPS).status_code == 200
    assert client.get(MAPS, headers={"user-agent": "otherwise/2"}).status_code == 500
    fault(client, "error", resource="configmaps", namespace="default", skip=1, count=1, code=418)
    assert [client.get(MAPS).status_code for _ in range(3)] == [200, 418, 200]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "kind"),
        ({"kind": "flood"}, "kind"),
        ({"kind": "delay"}, "delay"),
        ({"kind": "delay", "delay": "soon"}, "delay"),
        ({"kind": "error", "code": 200}, "code"),
        ({"kind": "error", "count": -1}, "count"),
        ({"kind": "error", "lag": "1s"}, "lag"),
        ({"kind": "error", "verb": 1}, "verb"),
    ],
)
def test_what_is_no_fault_is_refused_by_field(client: httpx.Client, spec: dict[str, Any], field: str) -> None:
    refused = client.post("/rayrig/faults", json=spec)
    assert refused.status_code == 422
    assert [cause["field"] for cause in refused.json()["details"]["causes"]] == [field]
    assert client.post("/rayrig/faults", content=b"{").status_code == 400
    assert client.get("/rayrig/faults").json() == {"items": []}
    assert client.get("/rayrig/faults/9").status_code == 404


# Events


def events(client: httpx.Client, count: int, *then: Any) -> list[str]:
    """The first events of a watch, each as `TYPE name`; `then` are called when it is open."""
    found: list[str] = []
    params = {"watch": "1", "timeoutSeconds": "5"}
    with client.stream("GET", MAPS, params=params) as stream:
        for each in then:
            each()
        for line in stream.iter_lines():
            event = json.loads(line)
            name = event["object"].get("metadata", {}).get("name") or event["object"].get("code")
            found.append(f"{event['type']} {name}")
            if len(found) == count:
                break
    return found


@pytest.mark.accepts("K8-084", "K8-058")
def test_faults_strike_the_events_of_open_watches(thread: KubernetesThread) -> None:
    with httpx.Client(base_url=thread.url, trust_env=False, timeout=10) as reader:
        writer = httpx.Client(base_url=thread.url, trust_env=False, timeout=10)

        def write(*made: str) -> Any:
            return lambda: [make(writer, name) for name in made]

        dropped = events(reader, 2, write("a"), lambda: thread.fault("drop-event", name="b", count=1), write("b", "c"))
        assert dropped == ["ADDED a", "ADDED c"]
        twice = events(reader, 5, lambda: thread.fault("duplicate-event", name="d", count=1), write("d", "e"))
        assert twice == ["ADDED a", "ADDED b", "ADDED c", "ADDED d", "ADDED d"]
        cut = events(reader, 9, lambda: thread.fault("cut-watch", name="f", count=1), write("f", "g"))
        assert cut == ["ADDED a", "ADDED b", "ADDED c", "ADDED d", "ADDED e"]
        thread.fault("expire-watch", count=1)
        assert events(reader, 9)[-1] == "ERROR 410"
        thread.end_fault()
        assert thread.faults() == []
        writer.close()


# In the fixture


def test_the_fixture_sets_faults_and_tells_of_requests(thread: KubernetesThread, client: httpx.Client) -> None:
    number = thread.fault("error", verb="create", code=429, retry_after=1)
    assert make(client, "a").status_code == 429
    assert thread.faults()[0]["struck"] == 1
    thread.end_fault(number)
    assert make(client, "a").status_code == 201
    with pytest.raises(ApiError):
        thread.fault("flood")
    last = thread.requests()[-1]
    assert (last["verb"], last["objectRef"]["name"], last["responseStatus"]["code"]) == ("create", "a", 201)


# Past requests


@pytest.mark.accepts("K8-083")
def test_every_request_can_be_asked_for_afterwards(client: httpx.Client) -> None:
    make(client, "a", k="v")
    client.get(f"{MAPS}/nope?pretty=true")
    fault(client, "error", verb="delete", code=500)
    client.delete(f"{MAPS}/a")
    events(client, 1)
    items = client.get("/rayrig/requests").json()["items"]
    created, missed, struck, *_ = items
    assert created["kind"] == "Event"
    assert created["apiVersion"] == "audit.k8s.io/v1"
    assert created["verb"] == "create"
    assert created["userAgent"] == "tester/1"
    assert created["user"]["username"] == "kubernetes-admin"
    assert created["objectRef"] == {
        "resource": "configmaps",
        "namespace": "default",
        "name": "a",
        "apiVersion": "v1",
    }
    assert created["responseStatus"] == {"metadata": {}, "code": 201}
    assert created["requestReceivedTimestamp"] <= created["stageTimestamp"]
    assert missed["requestURI"] == f"{MAPS}/nope?pretty=true"
    assert missed["responseStatus"]["reason"] == "NotFound"
    assert struck["annotations"]["rayrig/fault"] == "ErrorBefore"
    stages = [item["stage"] for item in items if item["verb"] == "watch"]
    assert stages[0] == "ResponseStarted"
    (only,) = client.get("/rayrig/requests", params={"verb": "get", "code": "404"}).json()["items"]
    assert only["auditID"] == missed["auditID"]
    client.delete("/rayrig/requests")
    assert all(item["verb"] != "create" for item in client.get("/rayrig/requests").json()["items"])


@pytest.mark.accepts("K8-083")
def test_an_audit_log_gets_a_line_for_each_request(tmp_path: Any) -> None:
    file = tmp_path / "audit.jsonl"
    options = KubernetesOptions(controllers=False, audit_log=file)
    with KubernetesThread(options) as thread, httpx.Client(base_url=thread.url, trust_env=False) as client:
        client.get("/version")
        make(client, "a")
        client.get("/api/v1/namespaces/default/secrets", headers={"impersonate-user": "ann"})
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [(line["verb"], line["requestURI"]) for line in lines] == [
        ("get", "/version"),
        ("create", MAPS),
        ("list", "/api/v1/namespaces/default/secrets"),
    ]
    assert lines[2]["impersonatedUser"]["username"] == "ann"


# Who may


def test_roles_say_who_may_use_what_only_a_fake_has() -> None:
    users = {"adm": UserInfo("admin", "1", ("system:masters",)), "rd": UserInfo("reader", "2")}
    options = KubernetesOptions(users=users, authorization="RBAC", controllers=False)
    with KubernetesThread(options) as thread, httpx.Client(base_url=thread.url, trust_env=False) as client:

        def ask(token: str, method: str, path: str, **sent: Any) -> httpx.Response:
            return client.request(method, path, headers={"authorization": f"Bearer {token}"}, **sent)

        refused = ask("rd", "POST", "/rayrig/compact")
        assert refused.status_code == 403
        assert refused.json()["message"] == 'forbidden: User "reader" cannot post path "/rayrig/compact"'
        assert client.get("/rayrig/requests").status_code == 403
        assert ask("adm", "POST", "/rayrig/compact").status_code == 200
        group = "rbac.authorization.k8s.io"
        rule = {"verbs": ["get", "post"], "nonResourceURLs": ["/rayrig/*"]}
        role = {"metadata": {"name": "rigger"}, "rules": [rule]}
        bound = {
            "metadata": {"name": "rigger"},
            "subjects": [{"kind": "User", "apiGroup": group, "name": "reader"}],
            "roleRef": {"kind": "ClusterRole", "apiGroup": group, "name": "rigger"},
        }
        assert ask("adm", "POST", f"/apis/{group}/v1/clusterroles", json=role).status_code == 201
        assert ask("adm", "POST", f"/apis/{group}/v1/clusterrolebindings", json=bound).status_code == 201
        assert ask("rd", "POST", "/rayrig/compact").status_code == 200
        assert ask("rd", "DELETE", "/rayrig/faults").status_code == 403


def test_other_paths_and_methods_are_refused(client: httpx.Client) -> None:
    assert client.get("/rayrig/nope").status_code == 404
    assert client.get("/rayrig/compact").status_code == 405
    assert client.put("/rayrig/faults", json={}).status_code == 405
    assert client.post("/rayrig/requests", json={}).status_code == 405

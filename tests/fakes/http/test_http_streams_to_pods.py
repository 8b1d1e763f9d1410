"""Logs, exec, attach, port-forward and proxies of pods, as far as somebody models them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from rayrig_backends.served_kubernetes import KubernetesOptions, KubernetesThread
from rayrig_core.http import Failure, HttpFailure, HttpResponse
from rayrig_fakes.kubernetes.state import CommandResult

websocket = pytest.importorskip("websocket")

PODS = "/api/v1/namespaces/default/pods"
MERGE = {"content-type": "application/merge-patch+json"}


class Served:
    """What the model serves: `HttpClient` with one host."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpResponse:
        self.asked.append(f"{method} {url}")
        if not url.startswith("http://10.1.2.3:8000/"):
            raise HttpFailure(Failure.REFUSED)
        if url.endswith("/moved"):
            return HttpResponse(302, b"", {"location": "/there"})
        return HttpResponse(200, b"hello " + body, {"content-type": "text/plain"})


@pytest.fixture(scope="module")
def served() -> Served:
    return Served()


@pytest.fixture(scope="module")
def thread(served: Served) -> Iterator[KubernetesThread]:
    with KubernetesThread(KubernetesOptions(controllers=False, http=served)) as running:
        running.ask(lambda api: setattr(api.state, "run_command", answer_commands))
        yield running


@pytest.fixture(scope="module")
def client(thread: KubernetesThread) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=thread.url, trust_env=False, timeout=10) as opened:
        node = {"metadata": {"name": "n1"}}
        opened.post("/api/v1/nodes", json=node).raise_for_status()
        told = {"status": {"addresses": [{"type": "InternalIP", "address": "10.9.9.9"}]}}
        opened.patch("/api/v1/nodes/n1/status", json=told, headers=MERGE).raise_for_status()
        make_pod(opened, "idle")
        make_pod(opened, "bound", node="n1")
        make_pod(opened, "web", node="n1")
        run(opened, "web")
        yield opened


def answer_commands(pod: Any, container: str, command: list[str]) -> CommandResult | None:
    if command[0] == "echo":
        return CommandResult(0, " ".join(command[1:]) + "\n")
    return CommandResult(3, "", "no\n") if command[0] == "false" else None


def make_pod(client: httpx.Client, name: str, node: str = "") -> None:
    container = {"name": "c", "image": "i", "ports": [{"containerPort": 8000}]}
    spec: dict[str, Any] = {"containers": [container], "schedulerName": "nobody"}
    if node:
        spec["nodeName"] = node
    client.post(PODS, json={"metadata": {"name": name, "labels": {"app": name}}, "spec": spec}).raise_for_status()


def run(client: httpx.Client, name: str, **state: Any) -> None:
    """Tell what a kubelet would."""
    one = {"name": "c", "image": "i", "imageID": "", "ready": True, "restartCount": 0}
    one["state"] = state or {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    told = {"phase": "Running", "podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}], "containerStatuses": [one]}
    client.patch(f"{PODS}/{name}/status", json={"status": told}, headers=MERGE).raise_for_status()


def message(answer: httpx.Response) -> str:
    return str(answer.json()["message"])


# Logs


def test_logs_are_what_whoever_models_the_container_wrote(client: httpx.Client) -> None:
    make_pod(client, "logs", node="n1")
    run(client, "logs")
    assert client.post("/rayrig/logs/default/logs/c", content=b"one\ntwo\nthree\n").json() == {"written": 3}
    log = f"{PODS}/logs/log"
    assert client.get(log).text == "one\ntwo\nthree\n"
    assert client.get(log, params={"tailLines": 1}).text == "three\n"
    assert client.get(log, params={"limitBytes": 5}).text == "one\nt"
    assert client.get(log, params={"sinceTime": "2999-01-01T00:00:00Z"}).status_code == 204
    stamped = client.get(log, params={"timestamps": "true", "tailLines": 1}).text
    assert stamped.endswith("Z three\n")
    assert message(client.get(log, params={"previous": "true"})) == (
        'previous terminated container "c" in pod "logs" not found'
    )
    client.post("/rayrig/logs/default/logs/c?restart=true", content=b"again\n")
    assert client.get(log).text == "again\n"
    assert client.get(log, params={"previous": "true"}).text == "one\ntwo\nthree\n"


def test_a_log_is_followed_until_its_container_ends(client: httpx.Client) -> None:
    make_pod(client, "follow", node="n1")
    run(client, "follow")
    client.post("/rayrig/logs/default/follow", content=b"old\n")
    told: list[str] = []
    with client.stream("GET", f"{PODS}/follow/log", params={"follow": "true"}) as stream:
        lines = stream.iter_lines()
        told.append(next(lines))
        client.post("/rayrig/logs/default/follow", content=b"new\n")
        told.append(next(lines))
        run(client, "follow", terminated={"exitCode": 0})
        assert list(lines) == []
    assert told == ["old", "new"]


@pytest.mark.parametrize(
    ("pod", "params", "code", "says"),
    [
        ("idle", {"container": "x"}, 400, "container x is not valid for pod idle"),
        ("idle", {"tailLines": "-1"}, 422, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("idle", {"tailLines": "x"}, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("idle", {"sinceSeconds": "0"}, 422, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        (
            "idle",
            {"sinceTime": "x"},
            400,
            'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"',
        ),
        ("idle", {"stream": "Stdout"}, 422, "stream: Forbidden: may not be specified"),
        ("nope", {}, 404, 'pods "nope" not found'),
        (
            "bound",
            {"tailLines": "5"},
            500,
            ':10250/containerLogs/default/bound/c?tailLines=5": dial tcp 10.9.9.9:10250: connect: connection refused',
        ),
    ],
)
def test_logs_that_are_refused(client: httpx.Client, pod: str, params: dict[str, str], code: int, says: str) -> None:
    refused = client.get(f"{PODS}/{pod}/log", params=params)
    assert refused.status_code == code
    assert message(refused).endswith(says)


# Commands


def stream(thread: KubernetesThread, path: str, protocol: str = "v5.channel.k8s.io") -> Any:
    url = thread.url.replace("http", "ws", 1) + PODS + path
    return websocket.create_connection(url, subprotocols=[protocol], timeout=10)


def channels(opened: Any) -> list[tuple[int, bytes]]:
    """All that comes, until the server closes."""
    found = []
    while data := opened.recv():
        found.append((data[0], data[1:]))
    opened.shutdown()
    return found


def test_commands_run_where_somebody_answers_them(thread: KubernetesThread, client: httpx.Client) -> None:
    opened = stream(thread, "/web/exec?command=echo&command=hi&stdout=true")
    assert opened.getsubprotocol() == "v5.channel.k8s.io"
    assert channels(opened) == [(1, b"hi\n"), (3, b'{"metadata":{},"status":"Success"}')]
    (_, complaint), (_, outcome) = channels(stream(thread, "/web/exec?command=false", "v4.channel.k8s.io"))
    assert complaint == b"no\n"
    told = json.loads(outcome)
    assert (told["reason"], told["details"]["causes"]) == ("NonZeroExitCode", [{"reason": "ExitCode", "message": "3"}])


def test_other_commands_are_not_found(thread: KubernetesThread, client: httpx.Client) -> None:
    ((channel, outcome),) = channels(stream(thread, "/web/exec?command=ls&stdout=true"))
    told = json.loads(outcome)
    assert (channel, told["code"], told["reason"]) == (3, 500, "InternalError")
    assert 'exec: "ls": executable file not found in $PATH: the model cannot run commands' in told["message"]


def test_what_the_container_writes_is_attached_to(thread: KubernetesThread, client: httpx.Client) -> None:
    make_pod(client, "attach", node="n1")
    run(client, "attach")
    opened = stream(thread, "/attach/attach?stdout=true")
    writer = threading.Thread(
        target=lambda: (
            client.post("/rayrig/logs/default/attach", content=b"hello\n"),
            run(client, "attach", terminated={"exitCode": 0}),
        )
    )
    writer.start()
    found = channels(opened)
    writer.join()
    assert found == [(1, b"hello\n"), (3, b'{"metadata":{},"status":"Success"}')]


def test_without_a_kubelet_there_is_nobody_to_talk_to(thread: KubernetesThread, client: httpx.Client) -> None:
    (_, (_, outcome)) = channels(stream(thread, "/bound/exec?command=a&stdout=true&tty=true"))
    assert json.loads(outcome)["message"] == (
        'Internal error occurred: error sending request: Post "https://10.9.9.9:10250/exec/default/bound/c?'
        'command=a&output=1&tty=1": dial tcp 10.9.9.9:10250: connect: connection refused'
    )
    assert message(client.post(f"{PODS}/idle/exec?command=a")) == "pod idle does not have a host assigned"
    assert message(client.post(f"{PODS}/bound/attach?container=x")) == "container x is not valid for pod bound"
    assert message(client.post(f"{PODS}/web/exec?command=a")) == "Upgrade request required"
    spdy = {"connection": "Upgrade", "upgrade": "SPDY/3.1"}
    refused = client.post(f"{PODS}/bound/portforward", headers=spdy)
    assert (refused.status_code, message(refused)) == (
        500,
        "error dialing backend: dial tcp 10.9.9.9:10250: connect: connection refused",
    )


# Ports and proxies


def test_ports_are_forwarded_to_what_the_model_serves(thread: KubernetesThread, client: httpx.Client) -> None:
    opened = stream(thread, "/web/portforward?ports=8000,9", "v4.channel.k8s.io")
    heads = [opened.recv() for _ in range(4)]
    assert heads == [bytes([channel]) + port.to_bytes(2, "little") for channel, port in enumerate((8000, 8000, 9, 9))]
    opened.send_binary(b"\x00POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nyou")
    answer = opened.recv()
    assert answer[0] == 0
    assert answer.startswith(b"\x00HTTP/1.1 200")
    assert answer.endswith(b"hello you")
    opened.send_binary(b"\x02GET / HTTP/1.1\r\nhost: h\r\n\r\n")
    refused = opened.recv()
    opened.shutdown()
    assert (refused[0], refused.endswith(b"connect: connection refused")) == (3, True)


def test_pods_are_reached_through_the_proxy(client: httpx.Client) -> None:
    assert client.post(f"{PODS}/web/proxy/a/b", content=b"x").text == "hello x"
    assert client.get(f"{PODS}/http:web:8000/proxy/a").status_code == 200
    plain = client.get(f"{PODS}/web/proxy")
    assert (plain.status_code, plain.headers["location"]) == (301, f"{PODS}/web/proxy/")
    assert client.get(f"{PODS}/web/proxy/moved").headers["location"] == f"{PODS}/web/proxy/there"
    nothing = client.get(f"{PODS}/web:81/proxy/")
    assert (nothing.status_code, message(nothing)) == (
        503,
        "error trying to reach service: dial tcp 10.1.2.3:81: connect: connection refused",
    )
    assert message(client.get(f"{PODS}/idle/proxy/x")) == "address not allowed"
    assert message(client.get(f"{PODS}/ftp:web:1/proxy/x")) == 'invalid pod request "ftp:web:1"'


def test_services_are_reached_at_their_ready_endpoints(client: httpx.Client) -> None:
    services = "/api/v1/namespaces/default/services"
    ports = [{"name": "http", "port": 80, "targetPort": 8000}]
    client.post(services, json={"metadata": {"name": "web"}, "spec": {"ports": ports}}).raise_for_status()
    assert message(client.get(f"{services}/web:80/proxy/x")) == 'services "web" not found'
    slice_ = {
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8000, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": ["10.1.2.3"],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "name": "web", "namespace": "default"},
            }
        ],
    }
    client.post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", json=slice_).raise_for_status()
    assert client.get(f"{services}/web:80/proxy/x").text == "hello "
    assert client.get(f"{services}/http:web:http/proxy/x").text == "hello "
    assert message(client.get(f"{services}/web:81/proxy/x")) == 'no service port 81 found for service "web"'
    assert message(client.get(f"{services}/web/proxy/x")) == 'no endpoints available for service "web"'
    assert message(client.get("/api/v1/nodes/n1/proxy/x")).endswith(
        "dial tcp 10.9.9.9:10250: connect: connection refused"
    )

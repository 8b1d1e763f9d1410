"""The dashboard's REST surface over a recorded instance."""

from __future__ import annotations

import json
import re
from collections.abc import Coroutine, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from rayrig_core.errors import ServeRefused, ServeUnavailable
from rayrig_core.http import HttpRequest, HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_fakes.dashboard import DashboardAgent

_CASES = Path(__file__).parents[4] / "shared" / "golden" / "ray-serve" / "cases"
PATH = "/api/serve/applications/"
EMPTY = {"controller_info": {}, "proxies": {}, "applications": {}, "target_capacity": None}


class Instance:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.documents: list[JsonObject] = []
        self.is_running = False
        self.is_lost = False
        self.scaled: list[tuple[str, str, int]] = []
        self.body: JsonObject = {"applications": {"a": {"source": "declarative"}}}
        self.asked: list[Sequence[str]] = []

    def details(self, sources: Sequence[str] = ("declarative", "imperative")) -> JsonObject:
        if self.is_lost:
            raise ServeUnavailable("it died")
        self.asked.append(sources)
        return self.body

    async def answering(self) -> None:
        pass

    async def deploy(self, config: JsonObject) -> None:
        self.documents.append(config)
        self.is_running = True

    async def shutdown(self) -> None:
        self.is_running = False

    def scale(self, app: str, deployment: str, num_replicas: int) -> None:
        if app == "none":
            raise KeyError(app)
        if app == "fix":
            raise ServeRefused("external_scaler_enabled is false")
        self.scaled.append((app, deployment, num_replicas))


class Cluster:
    session_name = "session_1"
    reason = ""

    def gcs_health(self) -> str:
        return self.reason

    def total_resources(self) -> dict[str, float]:
        return {"CPU": 4.0}

    def available_resources(self) -> dict[str, float]:
        return {"CPU": 3.0}

    def demand(self) -> list[JsonObject]:
        return [{"GPU": 1.0}]

    def node_states(self) -> list[JsonObject]:
        return [{"node_id": "n"}]

    def actor_states(self) -> list[JsonObject]:
        return [{"actor_id": name, "class_name": "C", "state": "ALIVE"} for name in "ab"]

    def host_names(self) -> list[str]:
        return ["h"]


class Clock:
    """A clock that a test sets."""

    now_ns = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def unix_ns(self) -> int:
        return 1_700_000_000_000_000_000 + self.now_ns

    def sleep(self, duration_s: float) -> Any:
        raise AssertionError("nobody sleeps here")


def run(coroutine: Coroutine[Any, Any, HttpResponse]) -> HttpResponse:
    """Nothing awaited here ever waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        answer: HttpResponse = end.value
        return answer
    raise AssertionError("it waits")


class Asker:
    def __init__(self, **options: Any) -> None:
        self.instance = Instance()
        self.cluster = Cluster()
        self.clock = Clock()
        self.agent = DashboardAgent(
            self.instance, cluster=self.cluster, clock=self.clock, rng=Random(0), importable=lambda _: True, **options
        )

    def __call__(
        self, method: str, target: str, body: Any = None, text: str | None = None, **headers: str
    ) -> HttpResponse:
        raw = text.encode() if text is not None else b"" if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return run(self.agent.handle(HttpRequest.of(method, target, headers=named, body=raw)))


@pytest.fixture
def ask() -> Asker:
    return Asker()


@pytest.mark.accepts("SV-001")
def test_without_an_instance_the_answer_is_empty(ask: Asker) -> None:
    answer = ask("GET", PATH)
    assert (answer.status, answer.json()) == (200, EMPTY)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert ask("DELETE", PATH).status == 200


@pytest.mark.accepts("SV-002", "SV-003")
def test_paths_and_methods(ask: Asker) -> None:
    assert (ask("GET", PATH[:-1]).status, ask("GET", PATH[:-1]).body) == (404, b"404: Not Found")
    for method in ("POST", "PATCH", "OPTIONS"):
        answer = ask(method, PATH)
        assert (answer.status, answer.body) == (405, b"405: Method Not Allowed")
        assert answer.headers["allow"] == "DELETE,GET,HEAD,PUT"
    assert (ask("HEAD", PATH).status, ask("HEAD", PATH).body) == (200, b"")


@pytest.mark.accepts("SV-004")
def test_api_type(ask: Asker) -> None:
    ask("PUT", PATH, {"applications": []})
    assert ask("GET", PATH + "?api_type=DECLARATIVE").status == 200
    assert ask.instance.asked == [("declarative",)]
    for given in ("bogus", "unknown", ""):
        answer = ask("GET", f"{PATH}?api_type={given}")
        assert answer.status == 400
        assert answer.body.decode() == f"Invalid 'api_type' value: '{given}'. Must be one of: imperative, declarative"


@pytest.mark.accepts("SV-006", "SV-008")
def test_bodies_that_are_refused(ask: Asker) -> None:
    for text in ("this is not json", "", "applications: []"):
        answer = ask("PUT", PATH, text=text)
        assert answer.status == 500
        assert answer.body.startswith(b"Traceback (most recent call last):")
        assert answer.body.rstrip().endswith(b"json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)")
    for text in ("null", '"abc"', "{}"):
        answer = ask("PUT", PATH, text=text)
        assert (answer.status, answer.body.splitlines()[0]) == (400, b"1 validation error for ServeDeploySchema")
    assert ask("PUT", PATH, {}).body.splitlines()[1:3][0] == b"applications"
    assert b"Field required" in ask("PUT", PATH, {}).body
    assert ask.instance.documents == []


@pytest.mark.accepts("SV-044")
def test_a_policy_that_cannot_be_imported_is_a_500() -> None:
    ask = Asker()
    ask.agent = DashboardAgent(ask.instance)
    policy = {"autoscaling_config": {"policy": {"policy_function": "no_such_module:f"}}}
    document = {"applications": [{"import_path": "m:a", "deployments": [{"name": "D", **policy}]}]}
    answer = ask("PUT", PATH, document)
    assert answer.status == 500
    assert answer.body.rstrip().endswith(b"ModuleNotFoundError: No module named 'no_such_module'")


@pytest.mark.accepts("SV-007")
def test_the_content_type_of_a_document_does_not_matter(ask: Asker) -> None:
    document = {"applications": [{"import_path": "m:a", "unknown": 1}]}
    answer = ask("PUT", PATH, document, content_type="application/yaml")
    assert (answer.status, answer.body, dict(answer.headers)) == (200, b"", {})
    assert ask.instance.documents == [{"applications": [{"import_path": "m:a"}]}]


def test_an_unchanged_answer_is_encoded_once(ask: Asker) -> None:
    ask("PUT", PATH, {"applications": []})
    first, second = ask("GET", PATH).body, ask("GET", PATH).body
    assert first is second
    ask.instance.body = {"applications": {}}
    assert ask("GET", PATH).json() == {"applications": {}}


@pytest.mark.accepts("SV-028")
def test_a_lost_controller_is_a_503(ask: Asker) -> None:
    ask("PUT", PATH, {"applications": []})
    ask.instance.is_lost = True
    answer = ask("GET", PATH)
    assert answer.status == 503
    assert answer.body.decode() == (
        "Failed to get a response from the controller. The GCS may be down, please retry later: it died"
    )


@pytest.mark.accepts("SV-020")
def test_the_scale_path(ask: Asker) -> None:
    path = "/api/v1/applications/ext/deployments/Probe/scale"
    answer = ask("POST", path, {"target_num_replicas": 2})
    assert (answer.status, answer.json()) == (503, {"error": "Serve controller is not available"})
    ask("PUT", PATH, {"applications": []})
    answer = ask("POST", path, {"target_num_replicas": "3", "other": 1})
    assert answer.json() == {"message": "Scaling request received. Deployment will get scaled asynchronously."}
    assert ask.instance.scaled == [("ext", "Probe", 3)]
    assert ask("POST", path.replace("ext", "fix"), {"target_num_replicas": 2}).status == 412
    answer = ask("POST", path.replace("ext", "none"), {"target_num_replicas": 2})
    assert (answer.status, answer.json()) == (404, {"error": "Application or Deployment not found"})
    answer = ask("POST", path, {})
    assert answer.status == 400
    assert answer.json()["error"].startswith("Invalid request body: 1 validation error for ScaleDeploymentRequest")


@pytest.mark.accepts("SV-021", "SV-022", "SV-025")
def test_version_health_and_status(ask: Asker) -> None:
    for path in ("/api/version", "/api/ray/version"):
        body = ask("GET", path).json()
        assert (body["version"], body["ray_version"], body["session_name"]) == ("4", "2.60.0", "session_1")
    answer = ask("GET", "/api/gcs_healthz")
    assert (answer.status, answer.body) == (200, b"success")
    assert answer.headers["content-type"] == "application/text; charset=utf-8"
    assert ask("POST", "/api/gcs_healthz").headers["allow"] == "GET,HEAD"
    ask.cluster.reason = "Health check failed: gone"
    assert ask("GET", "/api/gcs_healthz").status == 503
    status = ask("GET", "/api/cluster_status").json()
    assert (status["result"], status["msg"]) == (True, "Got cluster status.")
    assert status["data"]["clusterStatus"]["loadMetricsReport"]["usage"] == {"CPU": [1.0, 4.0]}
    formatted = ask("GET", "/api/cluster_status?format=1").json()
    assert formatted["msg"] == "Got formatted cluster status."
    assert " 1/4 CPU" in formatted["data"]["clusterStatus"]
    assert ask("GET", "/api/local_raylet_healthz").status == 404


@pytest.mark.accepts("SV-026")
def test_jobs(ask: Asker) -> None:
    submit = {"entrypoint": "sleep 3", "submission_id": "j1"}
    assert ask("POST", "/api/jobs/", submit).json() == {"job_id": "j1", "submission_id": "j1"}
    again = ask("POST", "/api/jobs/", submit)
    assert again.status == 500
    assert b"Job with submission_id j1 already exists." in again.body
    assert ask("POST", "/api/jobs/", {}).status == 400
    none = ask("GET", "/api/jobs/none")
    assert (none.status, none.body) == (404, b"Job none does not exist")
    seen = []
    for second in (0, 3, 9):
        ask.clock.now_ns = second * 1_000_000_000
        seen.append(ask("GET", "/api/jobs/j1").json()["status"])
    assert seen == ["PENDING", "RUNNING", "SUCCEEDED"]
    assert ask("DELETE", "/api/jobs/j1").json() == {"deleted": True}


@pytest.mark.accepts("SV-027")
def test_token_authentication() -> None:
    ask = Asker(token="secret")
    answer = ask("GET", PATH)
    assert (answer.status, answer.body) == (401, b"Unauthorized: Missing authentication token")
    answer = ask("GET", PATH, authorization="Bearer other")
    assert (answer.status, answer.body) == (403, b"Forbidden: Invalid authentication token")
    for headers in (
        {"authorization": "Bearer secret"},
        {"x_ray_authorization": "Bearer secret"},
        {"cookie": "ray-authentication-token=secret"},
    ):
        assert ask("GET", PATH, **headers).status == 200
    assert ask("GET", "/api/gcs_healthz").status == 200
    assert ask("GET", "/api/authentication_mode").json() == {"authentication_mode": "token"}
    assert ask("POST", "/api/authenticate", authorization="Bearer secret").status == 200


@pytest.mark.accepts("SV-029")
def test_browsers_may_only_read(ask: Asker) -> None:
    ask.instance.body = {"applications": {"a": {"deployed_app_config": {"runtime_env": {"env_vars": {"A": "1"}}}}}}
    answer = ask("PUT", PATH, {"applications": []}, user_agent="Mozilla/5.0")
    assert (answer.status, answer.body) == (405, b"'PUT' method not allowed for browser traffic.")
    ask("PUT", PATH, {"applications": []})
    shown = ask("GET", PATH, user_agent="Mozilla/5.0").json()
    assert shown["applications"]["a"]["deployed_app_config"]["runtime_env"] == {"env_vars": {"A": "<redacted>"}}
    plain = ask("GET", PATH).json()
    assert plain["applications"]["a"]["deployed_app_config"]["runtime_env"] == {"env_vars": {"A": "1"}}


def _requests(case: str) -> list[Any]:
    path = _CASES / f"{case}.json"
    if not path.exists():
        return []
    steps = json.loads(path.read_text())["steps"]
    return [s for s in steps if s["op"] == "request" and s["request"]["to"] == "dashboard"]


def _plain(text: str) -> str:
    """Without what differs between machines: frames, addresses of help pages."""
    text = re.sub(r"\n\s+For further information visit \S+", "", text)
    text = re.sub(r'\n  (File "|<frames>).*', "", text)
    return re.sub(r"\{(<[^{}]*>)\}", lambda m: "{" + ", ".join(sorted(m[1].split(", "))) + "}", text).strip()


@pytest.mark.parametrize("case", ["S01-before-serve", "S02-invalid-configs"])
def test_recorded_exchanges(ask: Asker, case: str) -> None:
    steps = _requests(case)
    if not steps:
        pytest.skip("the recordings are not here")
    ask.agent = DashboardAgent(ask.instance, cluster=ask.cluster)
    wrong = []
    for step in steps:
        request, recorded = step["request"], step["response"]
        if request["path"] == "/" or step.get("compare") == "none":
            continue
        answer = ask(request["method"], request["path"], request.get("body"), request.get("text"))
        got: tuple[Any, ...] = (answer.status, answer.headers.get("content-type"))
        want: tuple[Any, ...] = (recorded["status"], recorded["headers"].get("content-type"))
        if "text" in recorded:
            got, want = (*got, _plain(answer.body.decode())), (*want, _plain(recorded["text"]))
        elif "body" in recorded and "version" not in request["path"]:
            got, want = (*got, answer.json()), (*want, recorded["body"])
        if got != want:
            wrong.append(f"{request}:\n  got  {got}\n  want {want}")
    assert not wrong, "\n".join(wrong)


def test_a_list_of_actors_is_cut_at_its_limit() -> None:
    ask = Asker()
    listed = json.loads(ask("GET", "/api/v0/actors?limit=1").body)["data"]["result"]
    assert (listed["total"], [actor["actor_id"] for actor in listed["result"]]) == (2, ["a"])


def test_views_of_nodes() -> None:
    ask = Asker()
    assert json.loads(ask("GET", "/nodes?view=hostnamelist").body)["data"] == {"hostNameList": ["h"]}
    assert json.loads(ask("GET", "/nodes?view=other").body)["result"] is False


def test_a_running_job_is_an_active_driver() -> None:
    ask = Asker()
    ask("POST", "/api/jobs/", {"entrypoint": "sleep 9"})
    activity = [json.loads(ask("GET", "/api/component_activities").body)["driver"]["is_active"]]
    ask.clock.now_ns = 3_000_000_000
    activity.append(json.loads(ask("GET", "/api/component_activities").body)["driver"]["is_active"])
    assert activity == ["INACTIVE", "ACTIVE"]


def test_a_job_leaves_what_it_printed() -> None:
    ask = Asker()
    ask("POST", "/api/jobs/", {"entrypoint": "echo hello", "submission_id": "j"})
    assert json.loads(ask("GET", "/api/jobs/j/logs").body)["logs"] == (
        "2023-11-14 22:13:20,000\tINFO job_manager.py:581 -- Runtime env is setting up.\n"
        "hello\nRunning entrypoint for job j: echo hello\n"
    )

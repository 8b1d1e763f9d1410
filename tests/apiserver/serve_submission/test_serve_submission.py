"""Serve submission through the REST API (`kuberay-apiserver.md` section 11): to a cluster that runs, and to agents with tricks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from rayrig.apiserver.server import ApiServerSettings
from rayrig_core.http import Failure, HttpFailure, HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_core.resource_types import RAY_CLUSTER

Site = Any

APPLICATIONS = "/apis/v1/namespaces/default/serveapplication/test-cluster"
AGENT = "http://test-cluster-head-svc.default.svc.cluster.local:52365/api/serve/applications/"
WORKING_DIR = "https://github.com/ray-project/test_dag/archive/41d09119cbdf8450599f993f51318e9e27c59098.zip"


def deployment(name: str, **options: Any) -> JsonObject:
    return {"name": name, "num_replicas": 1, "ray_actor_options": {"num_cpus": 0.1}, **options}


FRUIT = {
    "name": "fruit_app",
    "import_path": "fruit.deployment_graph",
    "route_prefix": "/fruit",
    "runtime_env": {"working_dir": WORKING_DIR},
    "deployments": [
        deployment("MangoStand", user_config={"price": 3}),
        deployment("OrangeStand", user_config={"price": 2}),
        deployment("PearStand", user_config={"price": 1}),
        deployment("FruitMarket"),
        deployment("DAGDriver"),
    ],
}
MATH = {
    "name": "math_app",
    "import_path": "conditional_dag.serve_dag",
    "route_prefix": "/calc",
    "runtime_env": {"working_dir": WORKING_DIR},
    "deployments": [
        deployment("Adder", user_config={"increment": 3}),
        deployment("Multiplier", user_config={"factor": 5}),
        deployment("Router"),
        deployment("create_order"),
        deployment("DAGDriver"),
    ],
}


def submission(*applications: JsonObject) -> JsonObject:
    return {"configyaml": yaml.safe_dump({"applications": list(applications)}, sort_keys=False)}


def statuses(site: Site) -> dict[str, str]:
    reply = site.ok("GET", APPLICATIONS)
    return {name: app["status"] for name, app in reply.get("applications", {}).items()}


def all_run(site: Site, *names: str) -> Callable[[], bool]:
    return lambda: statuses(site) == dict.fromkeys(names, "RUNNING")


@pytest.fixture
def running(new_site: Callable[[], Site]) -> Site:
    """A cluster that is ready, with everything that runs in it."""
    site = new_site().start()
    site.create_cluster()
    site.until(site.is_ready)
    return site


@pytest.fixture
def scripted(site: Site) -> Site:
    """A cluster that is said to be ready; `site.upstream.answer` is its agent."""
    site.create_cluster()
    site.write_status(RAY_CLUSTER, "test-cluster", {"state": "ready"})
    return site


def answers(site: Site, answer: HttpResponse | HttpFailure, after_s: float = 0.0) -> None:
    async def agent(_: Any) -> HttpResponse:
        await site.world.runtime.sleep(after_s)
        if isinstance(answer, HttpFailure):
            raise answer
        return answer

    site.upstream.answer = agent


# With a cluster that runs


@pytest.mark.accepts("AS-050", "AS-051")
def test_two_applications_are_submitted_and_told_of(running: Site) -> None:
    assert running.ok("POST", APPLICATIONS, submission(FRUIT, MATH)) == {}
    (put,) = running.upstream.sent
    assert (put.method, put.url) == ("PUT", AGENT)
    assert json.loads(put.body) == {"applications": [FRUIT, MATH]}
    running.until(all_run(running, "fruit_app", "math_app"))
    reply = running.ok("GET", APPLICATIONS)
    nodes = running.world.ray.cluster("default", "test-cluster").nodes
    assert sorted(reply["proxies"]) == sorted(node.node_id for node in nodes.values())
    assert [proxy["status"] for proxy in reply["proxies"].values()] == ["HEALTHY", "HEALTHY"]
    fruit = reply["applications"]["fruit_app"]
    assert (fruit["routePrefix"], sorted(fruit["deployments"])) == (
        "/fruit",
        sorted(d["name"] for d in FRUIT["deployments"]),
    )
    mango = fruit["deployments"]["MangoStand"]
    assert mango["deploymentConfig"]["userConfig"] == {"price": "3"}
    assert mango["deploymentConfig"]["rayActorOptions"]["runtimeEnv"]["env_vars"] == "map[]"
    assert (mango["deploymentConfig"]["numReplicas"], mango["replicas"][0]["state"]) == (1, "RUNNING")
    assert fruit["deployedAppConfig"]["importPath"] == "fruit.deployment_graph"
    assert fruit["deployedAppConfig"]["deployments"][0] == {
        "name": "MangoStand",
        "numReplicas": 1,
        "userConfig": {"price": "3"},
        "rayActorOptions": {"numCpus": 0.1},
    }
    assert "workerId" not in reply["controllerInfo"]


@pytest.mark.accepts("AS-052")
def test_an_application_that_is_not_listed_goes(running: Site) -> None:
    running.ok("POST", APPLICATIONS, submission(FRUIT, MATH))
    running.until(all_run(running, "fruit_app", "math_app"))
    running.ok("POST", APPLICATIONS, submission(MATH))
    assert statuses(running)["fruit_app"] == "DELETING"
    running.until(all_run(running, "math_app"))


@pytest.mark.accepts("AS-053")
def test_deletion_shuts_serve_down_and_may_be_repeated(running: Site) -> None:
    running.ok("POST", APPLICATIONS, submission(FRUIT))
    running.until(all_run(running, "fruit_app"))
    assert running.ok("DELETE", APPLICATIONS) == {}
    nothing = {"controllerInfo": {}, "httpOptions": {}, "grpcOptions": {}}
    assert running.ok("GET", APPLICATIONS) == nothing
    assert running.ok("DELETE", APPLICATIONS) == {}
    running.world.dashboards.set_error("default", "test-cluster", 500)
    assert running.send("GET", APPLICATIONS)[0] == 500
    assert running.ok("DELETE", APPLICATIONS) == {}


@pytest.mark.accepts("AS-055")
def test_what_the_agent_refuses_is_passed_on(running: Site) -> None:
    status, refused = running.send("POST", APPLICATIONS, submission({"name": "no_import_path"}))
    assert (status, refused["code"]) == (500, 2)
    assert refused["message"].startswith("UpdateDeployments fail: 400 Bad Request ")
    assert "import_path" in refused["message"]
    assert running.ok("GET", APPLICATIONS).get("applications") is None


# With an agent that plays tricks


@pytest.mark.accepts("AS-053", "AS-055")
def test_an_agent_in_trouble(scripted: Site) -> None:
    answers(scripted, HttpResponse.text(503, "Serve is restarting", "text/plain"))
    status, refused = scripted.send("GET", APPLICATIONS)
    assert (status, refused) == (
        500,
        {"code": 2, "message": "GetServeDetails fail: 503 Service Unavailable Serve is restarting"},
    )
    assert scripted.ok("DELETE", APPLICATIONS) == {}
    answers(scripted, HttpResponse.text(200, "<html>"))
    status, refused = scripted.send("GET", APPLICATIONS)
    assert (status, refused) == (
        500,
        {"code": 2, "message": "GetServeDetails failed. Failed to unmarshal bytes: <html>"},
    )


@pytest.mark.parametrize(
    "details",
    [
        [],
        {"applications": []},
        {"deploy_mode": 3},
        {"proxies": {"n": {"status": True}}},
        {"http_options": {"port": 1.5}},
    ],
)
def test_details_of_another_form_are_not_understood(scripted: Site, details: Any) -> None:
    answers(scripted, HttpResponse.of_json(200, details))
    status, refused = scripted.send("GET", APPLICATIONS)
    assert (status, refused["code"]) == (500, 2)
    assert (
        refused["message"]
        == f"GetServeDetails failed. Failed to unmarshal bytes: {json.dumps(details, separators=(',', ':'))}"
    )


def test_details_are_told_in_the_replys_form(scripted: Site) -> None:
    details = {
        "deploy_mode": "EveryNode",
        "controller_info": {"node_id": "n", "worker_id": "w"},
        "http_options": {"host": "0.0.0.0", "port": 8000, "root_path": "", "request_timeout_s": 2.5},
        "grpc_options": {"port": 9000, "grpc_servicer_functions": ["a.b"]},
        "target_capacity": None,
        "applications": {
            "a": {
                "name": "a",
                "docs_path": None,
                "last_deployed_time_s": 1702216484.5,
                "deployed_app_config": {"args": {"depth": 1e6, "names": ["x", 2], "on": True}, "runtime_env": {}},
                "deployments": {
                    "D": {
                        "deployment_config": {
                            "user_config": {"nested": {"b": None, "a": 0.5}},
                            "placement_group_bundles": [{"CPU": 1, "GPU": 0.5}],
                            "ray_actor_options": {"memory": 5000000000, "resources": {"TPU": 2}},
                        }
                    }
                },
            }
        },
    }
    answers(scripted, HttpResponse.of_json(200, details))
    assert scripted.ok("GET", APPLICATIONS) == {
        "deployMode": "EveryNode",
        "controllerInfo": {"nodeId": "n"},
        "httpOptions": {"host": "0.0.0.0", "port": 8000, "requestTimeoutS": 2.5},
        "grpcOptions": {"port": 9000, "grpcServicerFunctions": ["a.b"]},
        "applications": {
            "a": {
                "name": "a",
                "lastDeployedTimeS": 1702216400,
                "deployedAppConfig": {"args": {"depth": "1e+06", "names": "[x 2]", "on": "true"}},
                "deployments": {
                    "D": {
                        "deploymentConfig": {
                            "userConfig": {"nested": "map[a:0.5 b:<nil>]"},
                            "placementGroupBundles": [{"bundle": {"CPU": 1, "GPU": 0.5}}],
                            "rayActorOptions": {"memory": "5000000000", "resources": {"TPU": "2"}},
                        }
                    }
                },
            }
        },
    }


@pytest.mark.accepts("AS-054")
@pytest.mark.parametrize("state", ["", "suspended", "failed"])
def test_a_cluster_that_is_not_ready_is_left_alone(site: Site, state: str) -> None:
    for method in ("POST", "GET", "DELETE"):
        status, refused = site.send(method, APPLICATIONS, submission(FRUIT) if method == "POST" else None)
        assert (status, refused["code"]) == (404, 5)
        assert refused["message"].startswith("Cluster test-cluster not found: Get cluster failed.")
    site.create_cluster()
    if state:
        site.write_status(RAY_CLUSTER, "test-cluster", {"state": state})
    for method in ("POST", "GET", "DELETE"):
        status, refused = site.send(method, APPLICATIONS, submission(FRUIT) if method == "POST" else None)
        assert (status, refused) == (500, {"code": 2, "message": "cluster is not ready"})
    assert site.upstream.sent == []


def test_a_cluster_without_a_name_is_asked_for_its_name(site: Site) -> None:
    status, refused = site.send("GET", "/apis/v1/namespaces/default/serveapplication/")
    assert (status, refused["code"]) == (400, 3)
    assert refused["message"].startswith("Cluster name is empty. Please specify a valid value.")


@pytest.mark.accepts("AS-056")
def test_what_is_no_yaml_is_not_sent(scripted: Site) -> None:
    status, refused = scripted.send("POST", APPLICATIONS, {"configyaml": "a: [b"})
    assert (status, refused["code"]) == (500, 2)
    assert refused["message"].startswith("yaml: line 1: ")
    assert scripted.upstream.sent == []


@pytest.mark.parametrize("body", [None, {}, {"configyaml": ""}])
def test_no_configuration_is_sent_as_null(scripted: Site, body: Any) -> None:
    answers(scripted, HttpResponse(200))
    assert scripted.ok("POST", APPLICATIONS, body) == {}
    assert [sent.body for sent in scripted.upstream.sent] == [b"null"]


def test_an_agent_that_is_not_there(scripted: Site) -> None:
    answers(scripted, HttpFailure(Failure.REFUSED, "10.96.0.7:52365"))
    for method, word in (("POST", "Put"), ("GET", "Get"), ("DELETE", "Delete")):
        status, refused = scripted.send(method, APPLICATIONS, submission(FRUIT) if method == "POST" else None)
        assert (status, refused["code"]) == (500, 2)
        assert refused["message"] == f'{word} "{AGENT}": connection refused: 10.96.0.7:52365'


@pytest.mark.accepts("AS-057")
def test_a_submission_that_is_taken_but_answered_too_late(running: Site) -> None:
    agent = running.upstream.world

    async def slow(sent: Any) -> HttpResponse:
        answer = await agent.request(sent.method, sent.url, body=sent.body)
        await running.world.runtime.sleep(90.0)
        return answer

    running.upstream.answer = slow
    before_s = running.now_s
    status, refused = running.send("POST", APPLICATIONS, submission(FRUIT))
    assert (status, refused["code"], round(running.now_s - before_s)) == (504, 4, 60)
    running.upstream.answer = None
    running.until(all_run(running, "fruit_app"))
    assert running.ok("POST", APPLICATIONS, submission(FRUIT)) == {}
    assert statuses(running) == {"fruit_app": "RUNNING"}


@pytest.mark.accepts("AS-058")
def test_switched_off_the_path_is_unknown(new_site: Callable[..., Site]) -> None:
    site = new_site(ApiServerSettings(serve_submission=False))
    for method in ("POST", "GET", "DELETE"):
        assert site.send(method, APPLICATIONS) == (404, {"code": 5, "message": "Not Found"})

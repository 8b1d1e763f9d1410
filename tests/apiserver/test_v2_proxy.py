"""API server v2: what is handed on to Kubernetes, what is done to it before, and what isn't (kuberay-apiserver 13)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest
import yaml

from rayrig.apiserver.server import ApiServerSettings
from rayrig.apiserver.v2.head_services import refusal
from rayrig_core.http import Failure, HttpFailure, HttpResponse
from rayrig_core.objects import JsonObject
from rayrig_core.ports import HttpClient, KubernetesClient
from rayrig_core.resource_types import ENDPOINT_SLICE, EVENT, POD, RAY_CLUSTER, RAY_JOB, RAY_SERVICE, SERVICE
from rayrig_sim.kernel import Kernel
from tests.apiserver.in_process import C1, Stage

RAY = "/apis/ray.io/v1/namespaces/default"
CLUSTERS = f"{RAY}/rayclusters"
EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
SERVICES = "/api/v1/namespaces/default/services"
CONFIG = "applications:\n- name: fruit_app\n  import_path: fruit.deployment_graph\n  route_prefix: /fruit\n"
MERGE = {"content-type": "application/merge-patch+json"}


class Between:
    """What v2 sends, and what is done to it: `strike` gives an answer or None before a request, `replace` may change one."""

    def __init__(self, kernel: Kernel, http: HttpClient) -> None:
        self._kernel = kernel
        self._http = http
        #: When (virtual seconds), method and target.
        self.log: list[tuple[float, str, str]] = []
        self.headers: list[Mapping[str, str]] = []
        self.strike: Callable[[int], HttpResponse | Exception | None] = lambda number: None
        self.replace: Callable[[int, HttpResponse], HttpResponse] = lambda number, answer: answer
        self.takes_s = 0.0

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpResponse:
        number = len(self.log)
        self.log.append((self._kernel.monotonic_ns() / 1e9, method, url.removeprefix("kubernetes://")))
        self.headers.append(headers or {})
        await self._kernel.sleep(min(self.takes_s, timeout_s))
        if self.takes_s > timeout_s:
            raise HttpFailure(Failure.TIMEOUT, url)
        struck = self.strike(number)
        if isinstance(struck, Exception):
            raise struck
        if struck is not None:
            return struck
        answer = await self._http.request(method, url, body=body, headers=headers, timeout_s=timeout_s)
        return self.replace(number, answer)


def staged() -> tuple[Stage, Between]:
    made: list[Between] = []

    def between(kernel: Kernel, http: HttpClient) -> Between:
        made.append(Between(kernel, http))
        return made[0]

    return Stage(between=between), made[0]


def cluster(template: str = "t", name: str = "v2") -> JsonObject:
    return {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": name}, "spec": cluster_spec(template)}


def cluster_spec(template: str = "t") -> JsonObject:
    head = {"spec": {"containers": [{"name": "ray-head", "image": "x"}, {"name": "side", "image": "z"}]}}
    worker = {"spec": {"containers": [{"name": "ray-worker", "image": "x"}]}}
    group = {"groupName": "g", "computeTemplate": template, "template": worker, "replicas": 1, "maxReplicas": 2}
    return {
        "headGroupSpec": {"computeTemplate": template, "rayStartParams": {}, "template": head},
        "workerGroupSpecs": [group],
    }


AMOUNTS = {"cpu": "2", "memory": "4Gi"}
BOTH = {"limits": AMOUNTS, "requests": AMOUNTS}


# As it is


@pytest.mark.accepts("AS-060")
def test_lists_and_refusals_are_kubernetes_own() -> None:
    stage = Stage()
    stage.has_ready_cluster()
    status, found = stage.told("GET", CLUSTERS)
    assert status == 200
    assert (found["kind"], found["apiVersion"]) == ("RayClusterList", "ray.io/v1")
    assert [item["metadata"]["name"] for item in found["items"]] == ["c1"]
    assert found["metadata"]["resourceVersion"]
    status, missing = stage.told("GET", f"{CLUSTERS}/none")
    assert status == 404
    assert (missing["kind"], missing["reason"], missing["message"]) == (
        "Status",
        "NotFound",
        'rayclusters.ray.io "none" not found',
    )


def test_all_of_ray_and_nothing_else_is_reached() -> None:
    stage = Stage()
    for plural in ("rayclusters", "rayjobs", "rayservices"):
        assert stage.told("GET", f"/apis/ray.io/v1/{plural}")[0] == 200
    for path in (
        "/api/v1/pods",
        "/apis/apps/v1/deployments",
        "/api/v1/namespaces/default/configmaps",
        SERVICES,
        "/version",
    ):
        assert stage.told("GET", path) == (404, {"code": 5, "message": "Not Found"})
    assert stage.ask("GET", "/apis/ray.io/v1").headers["location"] == "/apis/ray.io/v1/"


def test_selectors_pages_and_patches_are_kubernetes() -> None:
    stage = Stage()
    stage.has_template()
    for name in ("a", "b", "c"):
        assert stage.ask("POST", CLUSTERS, cluster(name=name)).status == 201
    stage.ask("PATCH", f"{CLUSTERS}/b", {"metadata": {"labels": {"k": "v"}}}, MERGE)
    labelled = stage.told("GET", f"{CLUSTERS}?labelSelector=k%3Dv")[1]
    assert [item["metadata"]["name"] for item in labelled["items"]] == ["b"]
    first = stage.told("GET", f"{CLUSTERS}?limit=2")[1]
    rest = stage.told("GET", f"{CLUSTERS}?limit=2&continue={first['metadata']['continue']}")[1]
    assert [item["metadata"]["name"] for item in first["items"] + rest["items"]] == ["a", "b", "c"]
    applied = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "spec": {"suspend": True}}
    answer = stage.ask(
        "PATCH", f"{CLUSTERS}/a?fieldManager=me", applied, {"content-type": "application/apply-patch+yaml"}
    )
    assert answer.json()["spec"]["suspend"] is True
    assert stage.told("DELETE", f"{CLUSTERS}/c")[0] == 200


def test_v2_can_be_switched_off() -> None:
    stage = Stage(ApiServerSettings(v2=False))
    assert stage.told("GET", CLUSTERS) == (404, {"code": 5, "message": "Not Found"})


def test_whose_request_it_is_kubernetes_is_not_told() -> None:
    stage, between = staged()
    stage.ask("GET", CLUSTERS, headers={"authorization": "mine", "connection": "close", "accept": "application/json"})
    assert between.headers == [{"accept": "application/json", "content-type": "application/json"}]


def test_a_watch_is_read_to_its_end() -> None:
    stage = Stage()
    stage.has_ready_cluster()
    answer = stage.ask("GET", f"{CLUSTERS}?watch=true&timeoutSeconds=5")
    assert [json.loads(line)["type"] for line in answer.body.splitlines()] == ["ADDED"]
    assert stage.kernel.monotonic_ns() == 5_000_000_000
    assert stage.ask("GET", f"{CLUSTERS}?watch=true").status == 502
    assert stage.kernel.monotonic_ns() == 35_000_000_000


# Compute templates


@pytest.mark.accepts("AS-061")
@pytest.mark.parametrize(
    "content_type", ["application/json", "", "application/yaml", "application/yaml; charset=utf-8"]
)
def test_a_template_decides_about_resources(content_type: str) -> None:
    stage = Stage()
    stage.has_template(
        gpu=1,
        extendedResources={"example.com/x": 3},
        tolerations=[{"key": "k", "operator": "Exists", "effect": "NoSchedule"}],
    )
    body = cluster()
    head = body["spec"]["headGroupSpec"]["template"]
    head["metadata"] = {"annotations": {"kept": "yes"}}
    head["spec"]["tolerations"] = [{"key": "first", "operator": "Exists"}]
    head["spec"]["containers"][0]["resources"] = {"limits": {"memory": "1Gi", "ephemeral-storage": "1Gi"}}
    raw = yaml.safe_dump(body) if "yaml" in content_type else json.dumps(body)
    answer = stage.ask("POST", CLUSTERS, raw=raw.encode(), headers={"content-type": content_type})
    assert answer.status == 201
    spec = stage.kube("get", RAY_CLUSTER, name="v2")["spec"]
    template = spec["headGroupSpec"]["template"]
    assert template["metadata"]["annotations"] == {"kept": "yes", "ray.io/compute-template": "t"}
    devices = {**AMOUNTS, "nvidia.com/gpu": 1, "example.com/x": 3}
    ray, side = template["spec"]["containers"]
    assert ray["resources"] == {"limits": {**devices, "ephemeral-storage": "1Gi"}, "requests": devices}
    assert side["resources"] == BOTH
    added = {"key": "k", "operator": "Exists", "effect": "NoSchedule", "value": ""}
    assert template["spec"]["tolerations"] == [{"key": "first", "operator": "Exists"}, added]
    worker = spec["workerGroupSpecs"][0]["template"]
    assert worker["spec"]["containers"][0]["resources"] == {"limits": devices, "requests": devices}
    assert worker["spec"]["tolerations"] == [added]
    # Kubernetes drops what the definition does not know.
    assert "computeTemplate" not in spec["headGroupSpec"]


@pytest.mark.accepts("AS-061")
def test_templates_that_cannot_be_applied() -> None:
    stage = Stage()
    stage.has_template()
    missing = stage.ask("POST", CLUSTERS, cluster("missing"))
    assert missing.status == 422
    assert missing.headers["content-type"] == "text/plain; charset=utf-8"
    assert missing.body.decode() == (
        "Cannot get compute template for name 'missing' in namespace 'default', error: NotFoundError: "
        'Compute template missing not found: configmaps "missing" not found\n'
    )
    assert stage.ask("POST", CLUSTERS, cluster("")).body.decode() == (
        "Cannot get compute template for name '' in namespace 'default', error: Get compute template failed: "
        "resource name may not be empty\n"
    )
    for content_type, raw in (
        ("text/plain", b"{}"),
        ("application/merge-patch+json", b"{}"),
        ("application/json", b"{"),
        ("application/json", b'{"spec": NaN}'),
        ("application/json", b"[]"),
    ):
        answer = stage.ask("POST", CLUSTERS, raw=raw, headers={"content-type": content_type})
        assert (answer.status, answer.body) == (400, b"Failed to convert request body to Golang map object\n")
    assert stage.told("GET", CLUSTERS)[1]["items"] == []


@pytest.mark.accepts("AS-061")
def test_a_patch_does_not_act_on_templates() -> None:
    stage = Stage()
    stage.has_template()
    body = cluster()
    del body["spec"]["headGroupSpec"]["computeTemplate"]
    assert stage.ask("POST", CLUSTERS, body).status == 201
    patched = stage.ask("PATCH", f"{CLUSTERS}/v2", {"spec": {"headGroupSpec": {"computeTemplate": "missing"}}}, MERGE)
    assert patched.status == 200
    head = stage.kube("get", RAY_CLUSTER, name="v2")["spec"]["headGroupSpec"]
    assert "resources" not in head["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("resource", "spec", "where"),
    [
        (RAY_JOB, lambda: {"entrypoint": "x", "rayClusterSpec": cluster_spec()}, "rayClusterSpec"),
        (RAY_SERVICE, lambda: {"rayClusterConfig": cluster_spec()}, "rayClusterConfig"),
    ],
)
def test_clusters_inside_have_templates_too_also_when_replaced(resource: Any, spec: Any, where: str) -> None:
    stage = Stage()
    stage.has_template()
    stage.ask(
        "POST",
        "/apis/v1/namespaces/default/compute_templates",
        {"name": "u", "namespace": "default", "cpu": 1, "memory": 1},
    )
    body = {"apiVersion": "ray.io/v1", "kind": resource.kind, "metadata": {"name": "x"}, "spec": spec()}
    made = stage.told("POST", f"{RAY}/{resource.plural}", body)[1]

    def head(obj: JsonObject) -> JsonObject:
        found: JsonObject = obj["spec"][where]["headGroupSpec"]["template"]["spec"]["containers"][0]["resources"]
        return found

    assert head(made) == BOTH
    made["spec"][where]["headGroupSpec"]["computeTemplate"] = "u"
    replaced = stage.told("PUT", f"{RAY}/{resource.plural}/x", made)[1]
    assert head(replaced)["limits"] == {"cpu": "1", "memory": "1Gi"}


def test_without_a_spec_nothing_is_touched() -> None:
    stage, between = staged()
    raw = b"apiVersion: ray.io/v1\nkind: RayCluster\nmetadata: {name: x}\n"
    answer = stage.ask("POST", CLUSTERS, raw=raw, headers={"content-type": "application/yaml"})
    assert between.headers == [{"content-type": "application/yaml"}]
    assert answer.json()["metadata"]["name"] == "x"
    for raw in (b"null", b'{"spec": []}'):
        assert stage.ask("POST", CLUSTERS, raw=raw).json()["kind"] == "Status"


def test_groups_of_any_form_are_handed_on() -> None:
    stage = Stage()
    stage.has_template()
    odd: list[JsonObject] = [
        {"headGroupSpec": {"computeTemplate": 5}},
        {"headGroupSpec": [], "workerGroupSpecs": {}},
        {"headGroupSpec": {"computeTemplate": "t"}, "workerGroupSpecs": ["x"]},
        {"headGroupSpec": {"computeTemplate": "t", "template": {"spec": []}}},
        {"headGroupSpec": {"computeTemplate": "t", "template": {"spec": {"containers": [5]}}}},
        {"headGroupSpec": {"computeTemplate": "t", "template": {"spec": {"containers": {}, "tolerations": 5}}}},
    ]
    for spec in odd:
        status, told = stage.told("POST", CLUSTERS, {"metadata": {"name": "x"}, "spec": spec})
        assert (status, told["kind"]) in ((422, "Status"), (400, "Status"))


# Services


def head_service(labels: JsonObject) -> JsonObject:
    ports = [{"name": "dashboard", "port": 8265}]
    return {"metadata": {"name": "svc", "labels": labels}, "spec": {"ports": ports, "selector": {"a": "b"}}}


def has_endpoint(stage: Stage) -> None:
    pod = stage.kube(
        "create", POD, {"metadata": {"name": "head"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    )
    stage.kube("patch", POD, {"status": {"podIP": "10.0.0.9"}}, "head", patch_type="merge", subresource="status")
    target = {"kind": "Pod", "name": "head", "namespace": "default", "uid": pod["metadata"]["uid"]}
    slice_ = {
        "metadata": {"name": "svc-1", "labels": {"kubernetes.io/service-name": "svc"}},
        "addressType": "IPv4",
        "ports": [{"name": "dashboard", "port": 8265}],
        "endpoints": [{"addresses": ["10.0.0.9"], "targetRef": target}],
    }
    stage.kube("create", ENDPOINT_SLICE, slice_)


@pytest.mark.accepts("AS-062")
def test_a_service_of_kuberay_is_reached() -> None:
    stage = Stage()
    stage.kube("create", SERVICE, head_service({"app.kubernetes.io/name": "kuberay"}))
    has_endpoint(stage)
    stage.elsewhere.answer = lambda method, url, body: HttpResponse.text(201, f"{method} {url} {body.decode()}")
    for service in ("svc:8265", "svc:dashboard", "http:svc:8265"):
        answer = stage.ask("PUT", f"{SERVICES}/{service}/proxy/api/serve/applications/?a=b", {"x": 1})
        assert answer.status == 201
        assert answer.body == b'PUT http://10.0.0.9:8265/api/serve/applications/?a=b {"x": 1}'
    # Kubernetes itself sends those who leave out the slash to the one with it.
    assert stage.ask("GET", f"{SERVICES}/svc:8265/proxy").status == 301


@pytest.mark.accepts("AS-062")
@pytest.mark.parametrize(
    ("service", "status", "text"),
    [
        ("other:8265", 404, "kuberay service not found\n"),
        ("svc:8265", 404, "kuberay service not found\n"),
        ("a:b:c:d", 400, "invalid service format: a:b:c:d\n"),
        ("ftp:svc:1", 400, "invalid service format: ftp:svc:1\n"),
        (":8265", 400, "invalid service format: :8265\n"),
    ],
)
def test_other_services_are_not(service: str, status: int, text: str) -> None:
    stage = Stage()
    stage.kube("create", SERVICE, head_service({"app.kubernetes.io/name": "somebody"}))
    answer = stage.ask("GET", f"{SERVICES}/{service}/proxy/api/serve/applications/")
    assert (answer.status, answer.body.decode()) == (status, text)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert stage.elsewhere.log == []


@pytest.mark.accepts("AS-062")
def test_only_the_head_service_of_a_raycluster_has_the_label(new_site: Any) -> None:
    site = new_site().start()
    site.ok(
        "POST",
        "/apis/v1/namespaces/default/compute_templates",
        {"name": "t", "namespace": "default", "cpu": 1, "memory": 2},
    )
    serving = {**C1, "annotations": {"ray.io/enable-serve-service": "true"}}
    site.ok("POST", "/apis/v1/namespaces/default/clusters", serving)
    service = {**C1, "name": "s1", "serveConfigV2": CONFIG}
    site.ok("POST", "/apis/v1/namespaces/default/services", service)
    clusters = "/apis/v1/namespaces/default/clusters/c1"
    site.until(lambda: site.ok("GET", clusters).get("clusterState") == "ready")
    status, told = site.send("GET", f"{SERVICES}/c1-head-svc:8265/proxy/api/serve/applications/")
    assert (status, told["applications"]) == (200, {})
    site.until(lambda: "s1-head-svc" in site.names(SERVICE))
    for name in ("c1-serve-svc:8000", "s1-head-svc:8265"):
        assert name.partition(":")[0] in site.names(SERVICE)
        request = site.request("GET", f"{SERVICES}/{name}/proxy/")
        answer = site.run(site.server.handle(request))
        assert (answer.status, answer.body) == (404, b"kuberay service not found\n")


def test_services_that_cannot_be_listed() -> None:
    class Broken:
        async def list(self, *_: Any, **__: Any) -> Any:
            raise HttpFailure(Failure.REFUSED)

    with pytest.raises(StopIteration) as end:
        refusal(cast(KubernetesClient, Broken()), "default", "svc").send(None)
    answer = end.value.value
    assert (answer.status, answer.body) == (500, b"failed to list kuberay services\n")


# Again


@pytest.mark.accepts("AS-063")
def test_what_comes_at_a_bad_moment_is_sent_again() -> None:
    stage, between = staged()
    between.strike = lambda number: HttpResponse.text(503, "later") if number < 2 else None
    assert stage.ask("GET", CLUSTERS).status == 200
    assert between.log == [(0.0, "GET", CLUSTERS), (0.5, "GET", CLUSTERS), (1.5, "GET", CLUSTERS)]


@pytest.mark.accepts("AS-063")
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_the_last_refusal_is_passed_on(status: int) -> None:
    stage, between = staged()
    between.strike = lambda number: HttpResponse.text(status, f"no {number}")
    answer = stage.ask("GET", CLUSTERS)
    assert (answer.status, answer.body) == (status, b"no 3")
    assert [at_s for at_s, _, _ in between.log] == [0.0, 0.5, 1.5, 3.5]


@pytest.mark.accepts("AS-063")
def test_other_answers_and_none_are_not_asked_for_again() -> None:
    stage, between = staged()
    assert stage.ask("GET", f"{CLUSTERS}/none").status == 404
    assert len(between.log) == 1
    between.strike = lambda number: HttpFailure(Failure.REFUSED)
    answer = stage.ask("GET", CLUSTERS)
    assert (answer.status, answer.body) == (502, b"")
    assert len(between.log) == 2


def test_thirty_seconds_are_for_all_attempts_together() -> None:
    stage, between = staged()
    between.takes_s = 14.5
    between.strike = lambda number: HttpResponse(503)
    # After the second attempt it is 29.5 s: too late to wait another second.
    assert stage.ask("GET", CLUSTERS).status == 502
    assert len(between.log) == 2
    stage, between = staged()
    between.takes_s = 31.0
    assert stage.ask("GET", CLUSTERS).status == 502
    assert stage.kernel.monotonic_ns() == 30_000_000_000


@pytest.mark.accepts("AS-064")
def test_a_post_that_took_effect_is_sent_again() -> None:
    stage, between = staged()
    between.replace = lambda number, answer: HttpResponse(500) if number == 0 else answer
    body = cluster()
    for group in (body["spec"]["headGroupSpec"], body["spec"]["workerGroupSpecs"][0]):
        del group["computeTemplate"]
    answer = stage.ask("POST", CLUSTERS, body)
    assert (answer.status, answer.json()["reason"]) == (409, "AlreadyExists")
    assert [method for _, method, _ in between.log] == ["POST", "POST"]


# Events


@pytest.mark.accepts("AS-065")
def test_only_events_about_ray_are_shown() -> None:
    stage, between = staged()
    for name, version in (("of-ray", "ray.io/v1"), ("of-a-pod", "v1")):
        event = {
            "metadata": {"name": name},
            "eventTime": "2026-01-01T00:00:00.000000Z",
            "regarding": {"apiVersion": version, "kind": "RayCluster", "name": "x", "namespace": "default"},
            "reason": "R",
            "action": "A",
            "type": "Normal",
            "reportingController": "c",
            "reportingInstance": "i",
        }
        stage.kube("create", EVENT, event)
    found = stage.told("GET", f"{EVENTS}?fieldSelector=regarding.name%3Dx&limit=9")[1]
    assert [item["metadata"]["name"] for item in found["items"]] == ["of-ray"]
    stage.told("GET", EVENTS)
    assert [target for _, _, target in between.log] == [
        f"{EVENTS}?fieldSelector=regarding.name%3Dx%2Cregarding.apiVersion%3Dray.io%2Fv1&limit=9",
        f"{EVENTS}?fieldSelector=regarding.apiVersion%3Dray.io%2Fv1",
    ]


@pytest.mark.accepts("AS-065")
def test_events_are_only_read() -> None:
    stage, between = staged()
    for method in ("POST", "DELETE", "PATCH"):
        answer = stage.ask(method, EVENTS, {})
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert stage.told("GET", "/apis/events.k8s.io/v1/events")[0] == 404
    assert between.log == []

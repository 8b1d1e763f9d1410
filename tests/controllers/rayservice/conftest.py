"""A stage for the RayService controller: kernel, fake API server, and a script in the place of RayCluster controller, pods and Ray.

No latencies: what follows from one another happens at one instant, and every story has exact times.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from rayrig_controllers.manager import Manager
from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.rayservice.controller import controller
from rayrig_core.faultpoints import ErrorBefore, Reaction
from rayrig_core.http import Failure, HttpFailure, HttpResponse
from rayrig_core.objects import JsonObject, condition_of, labels_of, name_of
from rayrig_core.ports import WatchType
from rayrig_core.resource_types import (
    ENDPOINT_SLICE,
    ENDPOINTS,
    EVENT,
    GATEWAY,
    HTTP_ROUTE,
    POD,
    RAY_CLUSTER,
    RAY_SERVICE,
    SERVICE,
    ResourceType,
)
from rayrig_core.resources.crds import custom_resource_definitions
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.kernel import Kernel

SERVE_CONFIG = (
    "applications:\n"
    "- name: fruit_app\n  import_path: fruit:app\n  route_prefix: /fruit\n  deployments: [{name: MangoStand}]\n"
    "- name: math_app\n  import_path: math:app\n  route_prefix: /calc\n  deployments: [{name: Adder}]\n"
)
PORTS = (("gcs-server", 6379), ("dashboard", 8265), ("client", 10001), ("serve", 8000))


@dataclass
class Request:
    """What reached a dashboard or proxy."""

    at_s: float
    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 0.0


@dataclass
class Dashboard:
    """The Ray side of one cluster. After a PUT, `deploying_gets` GETs say DEPLOYING, later ones `app_status`."""

    deploying_gets: int = 1
    app_status: str = "RUNNING"
    deployment_status: str = "HEALTHY"
    statuses: dict[str, str] = field(default_factory=dict)
    code: int = 200
    put_code: int = 200
    failure: Failure | None = None
    raw: bytes | None = None
    proxy_status: int | None = None
    config: Any = None
    gets: int = 0
    requests: list[Request] = field(default_factory=list)

    def calls(self, role: str = "/api/") -> list[tuple[float, str]]:
        return [(r.at_s, r.method) for r in self.requests if r.path.startswith(role)]

    def puts(self) -> list[Any]:
        return [request.body for request in self.requests if request.method == "PUT"]

    def answer(self, method: str, path: str, body: bytes) -> HttpResponse:
        if path == "/-/healthz":
            if self.proxy_status is None and self.config is None:
                raise HttpFailure(Failure.REFUSED)
            return HttpResponse.text(self.proxy_status or 200, "success")
        if self.failure is not None:
            raise HttpFailure(self.failure)
        if method == "PUT":
            if self.put_code == 200:
                self.config, self.gets = json.loads(body), 0
            return HttpResponse.text(self.put_code, "" if self.put_code == 200 else "no luck")
        if self.raw is not None:
            return HttpResponse(200, self.raw)
        self.gets += 1
        return HttpResponse.of_json(self.code, {"applications": self._applications()})

    def _applications(self) -> JsonObject:
        ready = self.gets > self.deploying_gets
        return {
            app.get("name", "default"): {
                "name": app.get("name", "default"),
                "status": self.statuses.get(app.get("name"), self.app_status if ready else "DEPLOYING"),
                "message": "",
                "deployments": {
                    d["name"]: {
                        "name": d["name"],
                        "status": self.deployment_status if ready else "UPDATING",
                        "message": "",
                    }
                    for d in app.get("deployments") or ()
                },
            }
            for app in (self.config or {}).get("applications") or ()
        }


class Ray:
    """Port `HttpClient`: head Services lead to the dashboard, head pod addresses to the proxy."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.dashboards: dict[str, Dashboard] = {}
        self.defaults: dict[str, Any] = {}

    def __getitem__(self, cluster: str) -> Dashboard:
        return self.dashboards.setdefault(cluster, Dashboard(**self.defaults))

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpResponse:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "kubernetes":
            segments = parts.path.split("/")
            host = segments[6].partition(":")[0]
        cluster = self.stage.cluster_at(host)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        dashboard = self[cluster]
        seen = Request(self.stage.now_s, method, path, json.loads(body) if body else None, headers or {}, timeout_s)
        dashboard.requests.append(seen)
        if dashboard.failure is Failure.TIMEOUT and parts.path != "/-/healthz":
            await self.stage.kernel.sleep(timeout_s)
        return dashboard.answer(method, parts.path if "/-/healthz" not in parts.path else "/-/healthz", body)


class Refusals:
    """Port `Faults` of the operator's client: calls of a verb on a resource that are refused, and how often still."""

    def __init__(self) -> None:
        self.left: dict[tuple[str, str], int] = {}
        self.reaction: Reaction = ErrorBefore(500, "InternalError", "no luck")
        #: All calls, also those that change nothing.
        self.asked: list[str] = []

    def pass_through(self, actor: str, verb: str, target: str) -> Reaction | None:
        self.asked.append(f"{verb} {target}")
        for (refused, prefix), left in self.left.items():
            if verb == refused and target.startswith(prefix) and left > 0:
                self.left[refused, prefix] = left - 1
                return self.reaction
        return None


class Noting(InProcessClient):
    """The operator's client; notes how it deletes."""

    deletions: list[tuple[str, str | None]]

    async def delete(self, resource: ResourceType, name: str, namespace: str = "", **options: Any) -> JsonObject:
        self.deletions.append((f"{resource.plural}/{name}", options.get("propagation_policy")))
        return await super().delete(resource, name, namespace, **options)


class Stage:
    """Everything a story needs. Times are seconds since the beginning."""

    def __init__(self, options: OperatorOptions | None = None) -> None:
        self.kernel = Kernel(seed=1)
        self.server = ApiServer(self.kernel.unix_ns, self.kernel.streams.stream("server"), trace=self.kernel.trace)
        self.options = options or OperatorOptions()
        self.server.add_definitions(custom_resource_definitions(self.options.release.version))
        self.ray = Ray(self)
        self.refusals = Refusals()
        #: What the operator asked to delete, and how its children are to go.
        self.deletions: list[tuple[str, str | None]] = []
        #: Seconds from a cluster's creation until its head pod exists and until it is ready; None: never.
        self.head_after_s: float | None = 0.0
        self.ready_after_s: float | None = 0.0
        self.workers_ready = True
        self.secret: str | None = None
        self.operator: Manager | None = None
        self._ips: dict[str, str] = {}
        self.client = InProcessClient(self.server, self.kernel, actor="script")
        self.kernel.spawn("script", self._play_clusters())
        self.kernel.spawn("script/endpoints", self._play_endpoints())
        self.start_operator()

    # Time

    @property
    def now_s(self) -> float:
        return self.kernel.monotonic_ns() / NS

    def run(self, until_s: float) -> None:
        self.kernel.run(until_s=until_s)

    def run_for(self, duration_s: float) -> None:
        self.kernel.run(until_s=self.now_s + duration_s)

    def run_until_ready(self, name: str = "rs", limit_s: float = 60) -> float:
        """Run by quarter seconds until the service is Ready; the time reached."""
        while self.ready(name) != "True":
            assert self.now_s < limit_s, self.status(name)
            self.run_for(0.25)
        return self.now_s

    # The operator

    def start_operator(self) -> None:
        client = Noting(self.server, self.kernel, actor="operator", faults=self.refusals)
        client.deletions = self.deletions
        manager = Manager(
            self.kernel, client, http=self.ray, rng=self.kernel.streams.stream("operator"), options=self.options
        )
        manager.add(controller(manager.context("rayservice-controller")))
        manager.start()
        self.operator = manager

    def restart_operator(self) -> None:
        assert self.operator is not None
        self.operator.crash()
        self.start_operator()

    # Objects

    def create(self, obj: JsonObject) -> JsonObject:
        kinds = {r.kind: r for r in (RAY_SERVICE, RAY_CLUSTER, POD, SERVICE, GATEWAY, HTTP_ROUTE, ENDPOINT_SLICE)}
        return self.server.call(ApiCall("create", kinds[obj["kind"]], "default", body=obj)).own()

    def patch(
        self, patch: Any, name: str = "rs", resource: ResourceType = RAY_SERVICE, subresource: str = ""
    ) -> JsonObject:
        call = ApiCall("patch", resource, "default", name, subresource, body=patch, patch_type="merge")
        return self.server.call(call).own()

    def edit(self, name: str = "rs", **cluster_config: Any) -> None:
        """Change fields of `rayClusterConfig`."""
        self.patch({"spec": {"rayClusterConfig": cluster_config}}, name)

    def delete(self, resource: ResourceType, name: str) -> None:
        self.server.call(ApiCall("delete", resource, "default", name, propagation_policy="Background"))

    def get(self, resource: ResourceType, name: str) -> JsonObject | None:
        return self.server.object(resource, name, "default")

    def all(self, resource: ResourceType) -> list[JsonObject]:
        return self.server.objects(resource, "default")

    def names(self, resource: ResourceType) -> list[str]:
        return [name_of(obj) for obj in self.all(resource)]

    def service(self, name: str = "rs") -> JsonObject:
        found = self.get(RAY_SERVICE, name)
        assert found is not None
        return found

    def status(self, name: str = "rs") -> JsonObject:
        status: JsonObject = self.service(name).get("status") or {}
        return status

    def active(self, name: str = "rs") -> str:
        return str((self.status(name).get("activeServiceStatus") or {}).get("rayClusterName", ""))

    def pending(self, name: str = "rs") -> str:
        return str((self.status(name).get("pendingServiceStatus") or {}).get("rayClusterName", ""))

    def condition(self, kind: str, name: str = "rs") -> tuple[str, str, str] | None:
        """(status, reason, message)."""
        found = condition_of(self.service(name), kind)
        return (found["status"], found["reason"], found["message"]) if found else None

    def ready(self, name: str = "rs") -> str:
        found = self.condition("Ready", name)
        return found[0] if found else ""

    def reason(self, kind: str, name: str = "rs") -> str:
        found = self.condition(kind, name)
        return found[1] if found else ""

    def selected(self, service: str) -> str:
        """The cluster a Service selects."""
        found = self.get(SERVICE, service)
        assert found is not None
        return str(found["spec"]["selector"]["ray.io/cluster"])

    def events(self, *reasons: str) -> list[tuple[str, str]]:
        """(reason, note) of the RayService's events, in order; of these reasons only, when given."""
        found = [e for e in self.all(EVENT) if e["regarding"]["kind"] == "RayService"]
        found.sort(key=lambda e: (e["eventTime"], e["metadata"]["name"]))
        return [(e["reason"], e["note"]) for e in found if not reasons or e["reason"] in reasons]

    def events_in_full(self, *reasons: str) -> list[tuple[str, str, str, str]]:
        """(type, reason, action, note) of the RayService's events, in order."""
        found = [e for e in self.all(EVENT) if e["regarding"]["kind"] == "RayService"]
        found.sort(key=lambda e: (e["eventTime"], e["metadata"]["name"]))
        return [
            (e["type"], e["reason"], e["action"], e["note"]) for e in found if not reasons or e["reason"] in reasons
        ]

    def told(self, *reasons: str) -> list[tuple[float, str]]:
        """(second, reason) of everything the operator told of the RayService, also what was counted only."""
        return [
            (event.t_s, event["reason"])
            for event in self.kernel.trace.select(Kind.EVENT)
            if event.subject.startswith("rayservices/") and (not reasons or event["reason"] in reasons)
        ]

    def writes(self, since_s: float = 0.0) -> list[tuple[float, str]]:
        """The operator's writes other than events: (second, `verb object`)."""
        return [
            (event.t_s, f"{event['verb']} {event.subject}")
            for event in self.kernel.trace
            if event.kind is Kind.API_WRITE
            and event.actor.startswith("operator")
            and event.t_s >= since_s
            and not event.subject.startswith("events")
        ]

    def head(self, cluster: str) -> JsonObject:
        found = self.get(POD, f"{cluster}-head")
        assert found is not None
        return found

    def serve_label(self, cluster: str) -> str:
        return labels_of(self.head(cluster))["ray.io/serve"]

    # The script

    def cluster_at(self, host: str) -> str:
        if host.endswith((".svc.cluster.local", "-head-svc")):
            service = self.get(SERVICE, host.partition(".")[0])
            if service is None:
                raise HttpFailure(Failure.UNRESOLVED, host)
            return str(service["spec"]["selector"]["ray.io/cluster"])
        for pod in self.all(POD):
            if (pod.get("status") or {}).get("podIP") == host or name_of(pod) == host:
                return str(labels_of(pod)["ray.io/cluster"])
        raise HttpFailure(Failure.UNREACHABLE, host)

    async def _play_clusters(self) -> None:
        stream = await self.client.watch(RAY_CLUSTER)
        while True:
            event = await stream.next()
            if event.type is WatchType.ADDED:
                self.kernel.spawn("script/cluster", self._play_cluster(name_of(event.object), event.object))
            elif event.type is WatchType.DELETED:
                await self._remove_children(name_of(event.object))

    async def _play_cluster(self, cluster: str, obj: JsonObject) -> None:
        owner = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "name": cluster, "uid": obj["metadata"]["uid"]}
        container = obj["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
        ports = [(p["name"], p["containerPort"]) for p in container.get("ports") or ()] or list(PORTS)
        await self.client.create(
            SERVICE,
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": f"{cluster}-head-svc", "namespace": "default", "ownerReferences": [owner]},
                "spec": {
                    "clusterIP": "None",
                    "selector": {"ray.io/cluster": cluster, "ray.io/node-type": "head"},
                    "ports": [{"name": name, "port": port} for name, port in ports],
                },
            },
        )
        if self.head_after_s is None:
            return
        if self.head_after_s:
            await self.kernel.sleep(self.head_after_s)
        await self._make_pod(cluster, "head", container, owner, "false")
        await self._make_pod(cluster, "worker", container, owner, "true")
        if self.ready_after_s is None:
            return
        if self.ready_after_s:
            await self.kernel.sleep(self.ready_after_s)
        if self.get(RAY_CLUSTER, cluster) is None:
            return
        await self.set_pod(f"{cluster}-head", ready=True)
        if self.workers_ready:
            await self.set_pod(f"{cluster}-worker", ready=True)
        await self.set_head_ready(cluster, "True")

    async def _make_pod(self, cluster: str, kind: str, container: JsonObject, owner: JsonObject, serve: str) -> None:
        await self.client.create(
            POD,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": f"{cluster}-{kind}",
                    "namespace": "default",
                    "labels": {"ray.io/cluster": cluster, "ray.io/node-type": kind, "ray.io/serve": serve},
                    "ownerReferences": [owner],
                },
                "spec": {"containers": [container], "nodeName": "node-1"},
            },
        )

    async def set_pod(self, name: str, *, ready: bool) -> None:
        ip = self._ips.setdefault(name, f"10.0.0.{len(self._ips) + 1}")
        state = {"type": "Ready", "status": "True" if ready else "False"}
        status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [state]}
        await self.client.patch(POD, name, {"status": status}, "default", subresource="status")

    async def set_head_ready(self, cluster: str, status: str) -> None:
        stamp = "2026-01-01T00:00:00Z"
        reason = "HeadPodRunningAndReady" if status == "True" else "ContainersNotReady"
        condition = {
            "type": "HeadPodReady",
            "status": status,
            "reason": reason,
            "message": "",
            "lastTransitionTime": stamp,
        }
        await self.client.patch(
            RAY_CLUSTER, cluster, {"status": {"conditions": [condition]}}, "default", subresource="status"
        )

    def do(self, coroutine: Any) -> None:
        """Let the script do something now."""
        self.kernel.spawn("script/step", coroutine)
        self.run_for(0.0001)

    async def _remove_children(self, cluster: str) -> None:
        for resource in (POD, SERVICE):
            for obj in self.all(resource):
                owners = obj["metadata"].get("ownerReferences") or ()
                if any(owner["name"] == cluster for owner in owners):
                    await self.client.delete(resource, name_of(obj), "default", grace_period_seconds=0)

    async def _play_endpoints(self) -> None:
        """One EndpointSlice for each serve Service, in step with pods and selectors."""
        for resource in (POD, SERVICE):
            self.kernel.spawn("script/endpoints", self._follow(resource))

    async def _follow(self, resource: ResourceType) -> None:
        stream = await self.client.watch(resource)
        while True:
            await stream.next()
            for endpoint_slice in self.all(ENDPOINT_SLICE):
                owner = labels_of(endpoint_slice)["kubernetes.io/service-name"]
                if self.get(SERVICE, owner) is None:
                    await self.client.delete(ENDPOINT_SLICE, name_of(endpoint_slice), "default")
            for service in self.all(SERVICE):
                if "ray.io/serve" in (service["spec"].get("selector") or {}):
                    await self._write_slice(service)
                    if self.options.profile == "1.1":
                        await self._write_endpoints(service)

    async def _write_endpoints(self, service: JsonObject) -> None:
        """The Endpoints object of a Service, for operators that read those."""
        selector = service["spec"]["selector"]
        addresses = [
            {"ip": pod["status"]["podIP"], "targetRef": {"kind": "Pod", "name": name_of(pod)}}
            for pod in self.all(POD)
            if (pod.get("status") or {}).get("podIP")
            and pod["status"]["conditions"][0]["status"] == "True"
            and all(labels_of(pod).get(key) == value for key, value in selector.items())
        ]
        subsets = [{"addresses": addresses, "ports": [{"port": 8000}]}] if addresses else []
        metadata = {"name": name_of(service), "namespace": "default"}
        body = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}
        found = self.get(ENDPOINTS, name_of(service))
        if found is None:
            await self.client.create(ENDPOINTS, body, "default")
        elif (found.get("subsets") or []) != subsets:
            await self.client.update(ENDPOINTS, {**found, "subsets": subsets})

    async def _write_slice(self, service: JsonObject) -> None:
        selector = service["spec"]["selector"]
        endpoints = [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": pod["status"]["conditions"][0]["status"] == "True"},
                "targetRef": {"kind": "Pod", "name": name_of(pod), "uid": pod["metadata"]["uid"]},
            }
            for pod in self.all(POD)
            if (pod.get("status") or {}).get("podIP") and all(labels_of(pod).get(k) == v for k, v in selector.items())
        ]
        name = f"{name_of(service)}-1"
        found = self.get(ENDPOINT_SLICE, name)
        if found is None:
            await self.client.create(
                ENDPOINT_SLICE,
                {
                    "apiVersion": "discovery.k8s.io/v1",
                    "kind": "EndpointSlice",
                    "metadata": {
                        "name": name,
                        "namespace": "default",
                        "labels": {"kubernetes.io/service-name": name_of(service)},
                    },
                    "addressType": "IPv4",
                    "endpoints": endpoints,
                    "ports": [],
                },
            )
        elif found.get("endpoints") != endpoints:
            await self.client.patch(ENDPOINT_SLICE, name, {"endpoints": endpoints}, "default")

    # Manifests

    def manifest(self, name: str = "rs", *, metadata: JsonObject | None = None, **spec: Any) -> JsonObject:
        """A RayService with one worker group; fields of its spec by name."""
        ports = [{"name": port, "containerPort": number} for port, number in PORTS]
        return {
            "apiVersion": "ray.io/v1",
            "kind": "RayService",
            "metadata": {"name": name, **(metadata or {})},
            "spec": {"serveConfigV2": SERVE_CONFIG, "rayClusterConfig": self.cluster_config(ports=ports), **spec},
        }

    def cluster_config(self, *, ports: list[JsonObject] | None = None, **fields: Any) -> JsonObject:
        head: JsonObject = {"name": "ray-head", "image": "rayproject/ray:2.52.0", "resources": {}}
        if ports:
            head["ports"] = ports
        return {
            "rayVersion": "2.52.0",
            "headGroupSpec": {"rayStartParams": {}, "template": {"spec": {"containers": [head]}}},
            "workerGroupSpecs": [self.group("small")],
            **fields,
        }

    def group(self, name: str, **fields: Any) -> JsonObject:
        container = {"name": "ray-worker", "image": "rayproject/ray:2.52.0"}
        return {
            "groupName": name,
            "replicas": 1,
            "minReplicas": 1,
            "maxReplicas": 5,
            "rayStartParams": {},
            "template": {"spec": {"containers": [container]}},
            **fields,
        }


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    if made.now_s == 0:
        # Let the actors begin, so that none is left over that never ran.
        made.run(0.001)


@pytest.fixture
def stage_with() -> Any:
    """A stage whose operator has other options."""
    return Stage

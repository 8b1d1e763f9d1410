"""A world of a few lines, for tests of what is above worlds: a real fake API server, and a script in place of operator and Serve.

A RayService gets a cluster of a head and a worker two seconds after it is created; a new `rayVersion` gets a second one, which
takes over two seconds later and is alone five seconds after that. A worker beyond the first never becomes ready. Every request is
answered with `{"price": 6}` after 10 ms, or by the application's handler, whose answer is noted in the trace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine, Mapping
from typing import Any

from rayrig_backends.record import Record, changes_of
from rayrig_backends.world import NodeSpec, ObjectTable, TrafficSpec, Usage, UsagePoint, WorldSpec
from rayrig_core.errors import InputError
from rayrig_core.http import Failure, HttpFailure, HttpResponse
from rayrig_core.objects import JsonObject, has_condition, name_of
from rayrig_core.ports import Task
from rayrig_core.resource_types import POD, RAY_CLUSTER, RAY_SERVICE, ResourceType
from rayrig_core.resources.crds import custom_resource_definitions
from rayrig_core.resources.labels import CLUSTER, GROUP, NODE_TYPE, ORIGINATED_FROM_CR_NAME
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind, Trace
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.kernel import Kernel
from rayrig_sim.traffic.accounting import Accounting

UNREADY = "Readiness probe failed: no proxy"


class ScriptedTraffic:
    """Even spacing; each request takes 10 ms, every `fail_every`-th is reset."""

    fail_every = 0

    def __init__(self, world: ScriptedWorld, spec: TrafficSpec) -> None:
        self.spec = spec
        self._world = world
        self._running = False
        self._sent = 0
        self._reset = 0

    def start(self) -> None:
        self._running = True
        self._world.kernel.trace.emit(Kind.TRAFFIC, f"traffic/{self.spec.name}", "started", "")
        self._world.spawn(f"traffic/{self.spec.name}", self._send())

    def stop(self) -> None:
        self._running = False

    async def _send(self) -> None:
        while self._running:
            self._sent += 1
            if self.fail_every and self._sent % self.fail_every == 0:
                self._reset += 1
            await self._world.kernel.sleep(1 / (self.spec.rate_per_s or 1.0))

    async def settled(self) -> None:
        await self._world.kernel.sleep(0.01)

    def accounting(self) -> Accounting:
        ok = self._sent - self._reset
        fates = Counter({"ok": ok, "connection-reset": self._reset} if self._reset else {"ok": ok})
        causes = Counter({("connection-reset", "the pod was deleted"): self._reset} if self._reset else {})
        return Accounting(self._sent, 0, fates, causes, latencies_ns=[10_000_000] * ok)


class ScriptedHttp:
    def __init__(self, world: ScriptedWorld) -> None:
        self._world = world

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpResponse:
        await self._world.kernel.sleep(0.01)
        if "nobody" in url:
            raise HttpFailure(Failure.REFUSED, "nobody listens")
        for application in self._world.spec.applications:
            if application.handler is not None:
                answer = application.handler()
                self._world.trace.emit(Kind.NOTE, "answers", str(answer))
                return HttpResponse.of_json(200, answer)
        return HttpResponse.of_json(200, {"price": 6})


class ScriptedWorld:
    """Implements `rayrig_backends.world.World`."""

    def __init__(self, spec: WorldSpec) -> None:
        self.spec = spec
        self.kernel = Kernel(spec.seed)
        self.server = ApiServer(self.kernel.unix_ns, self.kernel.streams.stream("api"), trace=self.kernel.trace)
        self.server.add_definitions(custom_resource_definitions())
        self.faults: list[tuple[str, dict[str, Any]]] = []
        self._delay = self.kernel.streams.stream("delay")
        self._nodes = [name for nodes in spec.nodes for name in nodes.names()]

    @property
    def runtime(self) -> Kernel:
        return self.kernel

    @property
    def trace(self) -> Trace:
        return self.kernel.trace

    def client(self, actor: str) -> InProcessClient:
        return InProcessClient(self.server, self.kernel, actor=actor, latency=lambda verb: 0.002)

    def http(self, source: str) -> ScriptedHttp:
        return ScriptedHttp(self)

    def add_nodes(self, nodes: NodeSpec) -> tuple[str, ...]:
        self._nodes += nodes.names()
        return nodes.names()

    def start(self) -> None:
        self.spawn("operator", self._operate())

    def traffic(self, spec: TrafficSpec) -> ScriptedTraffic:
        return ScriptedTraffic(self, spec)

    async def fault(self, kind: str, **params: Any) -> str:
        if params.get("node") == "nowhere":
            raise InputError("no node is called nowhere", remedy="there is node")
        self.faults.append((kind, params))
        self.trace.emit(Kind.FAULT, "world", kind, "")
        return f"{kind} struck"

    def objects(self, resource: ResourceType, namespace: str = "") -> list[JsonObject]:
        found = [entry.obj for entry in self.server.state.store.collection(resource.group_resource).scan()]
        found = [obj for obj in found if not namespace or obj["metadata"].get("namespace") == namespace]
        return sorted(found, key=lambda obj: (obj["metadata"].get("namespace", ""), name_of(obj)))

    def object_table(self, resource: ResourceType, namespace: str = "") -> ObjectTable:
        return ObjectTable(("NAME",), tuple((name_of(obj),) for obj in self.objects(resource, namespace)))

    def usage(self) -> Usage:
        pods = len(self.objects(POD))
        return Usage((UsagePoint(0, len(self._nodes), 3000, 0, 2, pods),), len(self._nodes), 16000, 0, 2)

    def why_unready(self, pod: JsonObject) -> str:
        return "" if has_condition(pod, "Ready") else UNREADY

    def logs(self, pod: str, namespace: str, container: str = "", *, previous: bool = False) -> str:
        return ""

    def record(self) -> Record:
        origin_ns = self.kernel.start_unix_ns
        return Record(origin_ns, self.kernel.monotonic_ns(), changes_of(self.server.state.store, origin_ns), {})

    def run_until(self, task: Task[Any]) -> None:
        self.kernel.run(task)  # type: ignore[arg-type]

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> Task[Any]:
        return self.kernel.spawn(name, coroutine)

    # The script

    async def _operate(self) -> None:
        client = self.client("operator")
        stream = await client.watch(RAY_SERVICE)
        versions: dict[str, str] = {}
        while True:
            event = await stream.next()
            self.kernel.cause = event.cause
            name = name_of(event.object)
            version = event.object["spec"]["rayClusterConfig"].get("rayVersion", "")
            if event.type == "DELETED" or versions.get(name) == version:
                continue
            upgrades = name in versions
            versions[name] = version
            self.spawn(f"operator/{name}", self._bring_up(client, event.object, upgrades=upgrades))

    async def _bring_up(self, client: InProcessClient, service: JsonObject, *, upgrades: bool) -> None:
        name = name_of(service)
        cluster = f"{name}-{self._delay.randrange(10**6)}"
        await client.create(
            RAY_CLUSTER,
            {
                "apiVersion": "ray.io/v1",
                "kind": "RayCluster",
                "metadata": {"name": cluster, "labels": {ORIGINATED_FROM_CR_NAME: name}},
                "spec": service["spec"]["rayClusterConfig"],
            },
            "default",
        )
        live = await client.get(RAY_SERVICE, name, "default")
        old = ((live.get("status") or {}).get("activeServiceStatus") or {}).get("rayClusterName", "")
        if upgrades:
            await self._write_status(client, name, active=old, pending=cluster)
        await self.kernel.sleep(2 + self._delay.random())
        await self._pod(client, cluster, "head", "headgroup", 0)
        for group in service["spec"]["rayClusterConfig"].get("workerGroupSpecs", ()):
            for index in range(group["replicas"]):
                await self._pod(client, cluster, "worker", group["groupName"], index)
        await self._write_status(client, name, active=cluster, pending="")
        self.trace.emit(Kind.EVENT, f"rayservices/default/{name}", "Normal", "Promoted", f"{cluster} is active", 1)
        if old:
            await self.kernel.sleep(5)
            for pod in self.objects(POD, "default"):
                if pod["metadata"]["labels"][CLUSTER] == old:
                    await client.delete(POD, name_of(pod), "default", grace_period_seconds=0)
            await client.delete(RAY_CLUSTER, old, "default")

    async def _write_status(self, client: InProcessClient, name: str, *, active: str, pending: str) -> None:
        condition = {"status": "True", "reason": "NonZeroServeEndpoints", "message": ""}
        at = "2026-01-01T00:00:00Z"
        application = {"status": "RUNNING", "serveDeploymentStatuses": {"Picker": {"status": "HEALTHY"}}}
        status = {
            "conditions": [{"type": "Ready", "lastTransitionTime": at, **condition}],
            "activeServiceStatus": {"rayClusterName": active, "applicationStatuses": {"orchard": application}},
            "pendingServiceStatus": {"rayClusterName": pending},
        }
        await client.patch(RAY_SERVICE, name, {"status": status}, "default", patch_type="merge", subresource="status")

    async def _pod(self, client: InProcessClient, cluster: str, role: str, group: str, index: int) -> None:
        name = f"{cluster}-{group}-{index}"
        labels = {CLUSTER: cluster, NODE_TYPE: role, GROUP: group}
        container = {"name": f"ray-{role}", "image": "rayproject/ray:2.52.0"}
        spec = {"containers": [container], "nodeName": self._nodes[0]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}
        await client.create(POD, pod, "default")
        ready = "True" if index == 0 else "False"
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}
        await client.patch(POD, name, {"status": status}, "default", patch_type="merge", subresource="status")


def seconds(ns: int) -> float:
    return ns / NS

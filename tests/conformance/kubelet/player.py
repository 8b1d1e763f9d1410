"""Plays a recorded case in a simulated world: nodes with their kubelets, scheduler, controllers, and scripted containers.

The world is the recordings': kubelets n1, n2 and n3 with the settings the README of the recordings names, or hollow nodes without a
kubelet; two CPUs and 23 GiB each. Services are made before, pods at t = 0, in order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rayrig_core.errors import ApiError
from rayrig_core.http import Failure, HttpFailure, HttpResponse
from rayrig_core.objects import JsonObject, name_of
from rayrig_core.ports import KubernetesClient
from rayrig_core.resource_types import (
    NAMESPACE,
    NODE,
    POD,
    PRIORITY_CLASS,
    SECRET,
    SERVICE,
    ResourceType,
)
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.calibration import Constant
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.endpoint_slices import EndpointSliceController
from rayrig_sim.kubernetes.event_recorder import CoreEventRecorder
from rayrig_sim.kubernetes.heartbeats import VirtualHeartbeats
from rayrig_sim.kubernetes.kubelet import Kubelet
from rayrig_sim.kubernetes.kubelet_options import KubeletOptions
from rayrig_sim.kubernetes.node_lifecycle import NodeLifecycleController
from rayrig_sim.kubernetes.nodes import NodePresence, NodeSpec
from rayrig_sim.kubernetes.object_cache import ObjectCaches
from rayrig_sim.kubernetes.pod_gc import PodGarbageCollector
from rayrig_sim.kubernetes.scheduler import Scheduler
from rayrig_sim.kubernetes.scripted_containers import Script, ScriptedContainerRuntime
from rayrig_sim.kubernetes.taint_eviction import TaintEvictionController
from tests.conformance.kubelet.timeline import RecordedContainer, RecordedRuntime, TimelineRecorder

_KINDS: dict[str, ResourceType] = {r.kind: r for r in (POD, NODE, SERVICE, SECRET, PRIORITY_CLASS)}
_SETTLE_S = 20.0
_SERVICES_BEFORE_S = 0.4
_PATCH_TYPES = {
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/json-patch+json": "json",
}
_NODE_CAPACITY = {"cpu": "2", "memory": "23Gi"}
_HOST_IP = "10.89.0.1"
_GRACE = re.compile(r"grace (\d+) s")
_OPTIONS = {
    "n1": KubeletOptions(host_ip=_HOST_IP, serialize_image_pulls=False),
    "n2": KubeletOptions(host_ip=_HOST_IP),
    "n3": KubeletOptions(host_ip=_HOST_IP, serialize_image_pulls=False, max_container_restart_period_s=8.0),
}


class _Runtime(ScriptedContainerRuntime):
    """Scripted containers that note what reaches them."""

    def make_container(self, name: str, script: Script, attempt: int, pod_ip: str) -> RecordedContainer:
        return RecordedContainer(self._runtime, name, script, attempt, pod_ip)


class _HostNetwork:
    """The addresses that are no pod's: containers that listen on their node's address."""

    def __init__(self) -> None:
        self.containers: list[RecordedContainer] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpResponse:
        raise HttpFailure(Failure.UNREACHABLE, url)


class CasePlayer:
    """One case in one world."""

    def __init__(self, case: JsonObject, *, seed: int = 0) -> None:
        self._case = case
        self._kernel = kernel = Kernel(seed)
        self._server = ApiServer(kernel.unix_ns, kernel.streams.stream("api"), trace=kernel.trace)
        self._namespace = f"kr-{case['name']}"
        zero_ns = round(_SETTLE_S * NS) + kernel.streams.stream("case").randrange(NS)
        self._zero_s = zero_ns / NS
        self._recorder = TimelineRecorder(kernel, zero_ns, self._namespace)
        self._client = self._connect("user")
        self._heartbeats = VirtualHeartbeats(kernel)
        self._presences: dict[str, NodePresence] = {}
        self._kubelets: dict[str, Kubelet] = {}
        self._pod_count = 0

    def _connect(self, actor: str) -> KubernetesClient:
        return InProcessClient(self._server, self._kernel, actor=actor)

    def play(self) -> JsonObject:
        """The produced case: `namespace` and `timeline`."""
        kernel = self._kernel
        kernel.spawn("player", self._run())
        kernel.run(until_s=self._zero_s + float(self._case["duration"]))
        self._add_stops()
        return {
            "name": self._case["name"],
            "namespace": self._namespace,
            "duration": self._case["duration"],
            "timeline": self._recorder.timeline(),
        }

    def _add_stops(self) -> None:
        """The runtime's StopContainer calls, from the trace: a container is only told SIGTERM and SIGKILL."""
        attempts: dict[tuple[str, str], int] = {}
        calls = []
        for event in self._kernel.trace.select(Kind.CONTAINER):
            pod = event.subject.rpartition("/")[2]
            key = (pod, str(event["container"]))
            if event["state"] in ("running", "failed"):
                attempts[key] = attempts.get(key, -1) + 1
            found = _GRACE.search(str(event["reason"] or "")) if event["state"] == "stopping" else None
            if found:
                t = round(event.t_s - self._zero_s, 3)
                calls.append(
                    {
                        "t": t,
                        "call": "StopContainer",
                        "pod": pod,
                        "container": key[1],
                        "attempt": attempts.get(key, 0),
                        "timeout": int(found.group(1)),
                    }
                )
        self._recorder.runtime_calls = sorted(
            [*self._recorder.runtime_calls, *calls], key=lambda call: (call["t"], call["call"] != "StopContainer")
        )

    # The world

    async def _run(self) -> None:
        kernel, case = self._kernel, self._case
        await self._client.create(
            NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._namespace}}
        )
        self._start_controllers()
        if case["config"].get("nodes") != "hollow":
            for name, options in _OPTIONS.items():
                labels = {"kubernetes.io/hostname": name}
                spec = NodeSpec(name, labels=labels, capacity=_NODE_CAPACITY, address=_HOST_IP)
                await self._add_node(spec)
                self._add_kubelet(name, options)
        for obj in case["setup"]:
            await self._create(obj)
        self._recorder.start(self._connect("recorder"))
        await kernel.sleep(self._zero_s - _SERVICES_BEFORE_S - kernel.monotonic_ns() / NS)
        pods = [obj for obj in case["objects"] if obj["kind"] == "Pod"]
        for obj in case["objects"]:
            if obj["kind"] != "Pod":
                await self._create(obj)
        await kernel.sleep(self._zero_s - kernel.monotonic_ns() / NS)
        for obj in pods:
            await self._create(obj)
        for stimulus in case["stimuli"]:
            await kernel.sleep(max(0.0, self._zero_s + stimulus["t"] - kernel.monotonic_ns() / NS))
            await self._stimulate(stimulus["op"], stimulus["args"])

    async def _add_node(self, spec: NodeSpec) -> None:
        recorder = CoreEventRecorder(self._kernel, self._client, component="kubelet", host=spec.name)
        presence = NodePresence(
            self._kernel, self._connect(f"node/{spec.name}"), spec, self._heartbeats, recorder, writes_lease=False
        )
        self._presences[spec.name] = presence
        await presence.register()

    def _add_kubelet(self, name: str, options: KubeletOptions) -> None:
        kernel = self._kernel

        def allocate_ip(pod: JsonObject) -> str:
            self._pod_count += 1
            return f"10.89.{1 + self._pod_count // 250}.{self._pod_count % 250 + 2}"

        inner = _Runtime(kernel, allocate_ip=allocate_ip)
        containers = RecordedRuntime(kernel, inner, self._recorder)
        client = self._connect(f"kubelet/{name}")
        rng = kernel.streams.stream(f"kubelet/{name}")
        kubelet = Kubelet(kernel, client, name, containers, rng, options, network=_HostNetwork())
        self._kubelets[name] = kubelet
        kernel.spawn(f"kubelet/{name}", kubelet.run())

    def _start_controllers(self) -> None:
        kernel, streams = self._kernel, self._kernel.streams

        def recorder(component: str) -> CoreEventRecorder:
            return CoreEventRecorder(kernel, self._connect(component), component=component)

        def caches(actor: str) -> ObjectCaches:
            return ObjectCaches(kernel, self._connect(actor), component=actor)

        of_scheduler = caches("scheduler")
        scheduler = Scheduler(
            kernel,
            self._connect("scheduler"),
            of_scheduler,
            recorder("default-scheduler"),
            latency=Constant(0.01),
            rng=streams.stream("scheduler"),
        )
        manager = caches("controller-manager")
        client = self._connect("controller-manager")
        EndpointSliceController(kernel, client, manager, delay=Constant(0.02), rng=streams.stream("endpoints"))
        lifecycle = NodeLifecycleController(
            kernel, client, manager, self._heartbeats, recorder("node-controller"), rng=streams.stream("nodes")
        )
        TaintEvictionController(kernel, client, manager, recorder("taint-eviction-controller"))
        collector = PodGarbageCollector(kernel, client, manager, rng=streams.stream("pod-gc"))
        kernel.spawn("scheduler", scheduler.run())
        kernel.spawn("node-lifecycle/taints", lifecycle.run_taints())
        kernel.spawn("node-lifecycle/monitor", lifecycle.run_monitor())
        kernel.spawn("pod-gc", collector.run())

    # What the case does

    async def _create(self, obj: JsonObject) -> None:
        resource = _KINDS[obj["kind"]]
        if obj["kind"] == "Node":
            await self._create_hollow(obj)
            return
        namespace = self._namespace if resource.namespaced else ""
        await self._client.create(resource, {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}, namespace)

    async def _create_hollow(self, obj: JsonObject) -> None:
        """A Node object with a heartbeat and nobody behind it."""
        node = await self._client.create(NODE, obj)
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "kubelet is posting ready status",
        }
        status = {**(obj.get("status") or {}), "conditions": [ready]}
        await self._client.patch(NODE, name_of(node), {"status": status}, patch_type="strategic", subresource="status")
        self._heartbeats.start(name_of(node))

    async def _stimulate(self, op: str, args: JsonObject) -> None:
        try:
            await getattr(self, f"_do_{op}")(args)
        except ApiError:
            # Some cases record a refusal; what it refused is seen in the timeline.
            return

    async def _do_create(self, args: JsonObject) -> None:
        await self._create(args)

    async def _do_delete(self, args: JsonObject) -> None:
        resource = _KINDS[args.get("kind", "Pod")]
        namespace = self._namespace if resource.namespaced else ""
        await self._client.delete(resource, args["name"], namespace, grace_period_seconds=args.get("grace"))

    async def _do_patch(self, args: JsonObject) -> None:
        resource = _KINDS[args.get("kind", "Pod")]
        patch_type: Any = _PATCH_TYPES[args.get("type", "application/strategic-merge-patch+json")]
        await self._client.patch(
            resource,
            args["name"],
            args["body"],
            self._namespace if resource.namespaced else "",
            patch_type=patch_type,
            subresource=args.get("sub", ""),
        )

    async def _do_evict(self, args: JsonObject) -> None:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": args["name"]}}
        await self._client.create_subresource(POD, args["name"], "eviction", body, self._namespace)

    async def _do_taint(self, args: JsonObject) -> None:
        node = await self._client.get(NODE, args["node"])
        taints = [t for t in node["spec"].get("taints") or () if t["key"] != args["key"]]
        if args.get("effect"):
            taints.append({k: args[k] for k in ("key", "value", "effect") if args.get(k)})
        await self._client.patch(NODE, args["node"], {"spec": {"taints": taints}}, patch_type="merge")

    async def _do_kubelet(self, args: JsonObject) -> None:
        node, what = args["node"], args["do"]
        if what in ("kill", "stop"):
            self._kubelets[node].stop()
            self._presences[node].silence()
        else:
            self._kubelets[node].start()
            self._presences[node].resume()

    async def _do_silence(self, args: JsonObject) -> None:
        self._heartbeats.stop(args["node"])

    async def _do_revive(self, args: JsonObject) -> None:
        self._heartbeats.start(args["node"])


def play(case: JsonObject, *, seed: int = 0) -> JsonObject:
    """Play one case; deterministic in (case, seed)."""
    return CasePlayer(case, seed=seed).play()

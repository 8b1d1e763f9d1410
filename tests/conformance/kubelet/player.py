"""Plays a recorded case in a simulated world: nodes with their kubelets, scheduler, controllers, and scripted containers.

The world is the recordings': kubelets n1, n2 and n3 with the settings the README of the recordings names, or hollow nodes without a
kubelet; two CPUs and 23 GiB each. Services are made before, pods at t = 0, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any
from urllib.parse import urlsplit

from rayrig_core.core_event_recorder import CoreEventRecorder
from rayrig_core.errors import ApiError
from rayrig_core.http import Failure, HttpFailure, HttpResponse
from rayrig_core.objects import JsonObject, name_of
from rayrig_core.ports import KubernetesClient, Runtime
from rayrig_core.resource_types import (
    CONFIG_MAP,
    NAMESPACE,
    NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    PRIORITY_CLASS,
    SECRET,
    SERVICE,
    STORAGE_CLASS,
    ResourceType,
)
from rayrig_core.timestamps import NS
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.calibration import Constant
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.controlled_objects import ControlledObjects
from rayrig_sim.kubernetes.endpoints.endpoint_slices import EndpointSliceController
from rayrig_sim.kubernetes.kubelet.kubelet import Kubelet
from rayrig_sim.kubernetes.kubelet.options import KubeletOptions
from rayrig_sim.kubernetes.kubelet.scripted_containers import Script, ScriptedContainerRuntime
from rayrig_sim.kubernetes.nodes.heartbeats import VirtualHeartbeats
from rayrig_sim.kubernetes.nodes.node_lifecycle import NodeLifecycleController
from rayrig_sim.kubernetes.nodes.nodes import (
    PRESSURE_EVENTS,
    NodePresence,
    NodeSpec,
    follow_cordons,
    node_reference,
)
from rayrig_sim.kubernetes.nodes.pod_gc import PodGarbageCollector
from rayrig_sim.kubernetes.nodes.taint_eviction import TaintEvictionController
from rayrig_sim.kubernetes.object_cache import ObjectCaches
from rayrig_sim.kubernetes.scheduling.scheduler import Scheduler
from rayrig_sim.kubernetes.series_recorder import SeriesEventRecorder
from rayrig_sim.kubernetes.taints import NO_SCHEDULE, NOT_READY
from rayrig_sim.kubernetes.volumes.binder import VolumeBinder
from rayrig_sim.kubernetes.volumes.controller import VolumeController
from rayrig_sim.kubernetes.workloads.disruption_budgets import DisruptionController
from tests.conformance.kubelet.timeline import RecordedContainer, RecordedRuntime, TimelineRecorder

_KINDS: dict[str, ResourceType] = {
    resource.kind: resource
    for resource in (
        POD,
        NODE,
        SERVICE,
        SECRET,
        CONFIG_MAP,
        PRIORITY_CLASS,
        POD_DISRUPTION_BUDGET,
        PERSISTENT_VOLUME_CLAIM,
        PERSISTENT_VOLUME,
        STORAGE_CLASS,
    )
}
_SETTLE_S = 20.0
_SERVICES_BEFORE_S = 0.4
_LATEST_NODE_S = 6.0
_PATCH_TYPES = {
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/json-patch+json": "json",
}
#: What one status write takes; several pods' writes queue up behind one another, as those of a kubelet do.
_STATUS_WRITE_S = 0.03
#: What a write of the controllers takes: the scheduler tries a pod before a taint that is about to go has gone.
_CONTROLLER_WRITE_S = 0.005
_NODE_CAPACITY = {"cpu": "2", "memory": "24631216Ki"}
_READY = {
    "type": "Ready",
    "status": "True",
    "reason": "KubeletReady",
    "message": "kubelet is posting ready status",
}
#: How often each kubelet had put its Node together before the recordings began: the counts of its events go on from there.
_REPORTS_BEFORE = {"n1": 1, "n2": 1, "n3": 3}
_HOST_IP = "10.89.0.1"
_OPTIONS = {
    "n1": KubeletOptions(host_ip=_HOST_IP, version=".", serialize_image_pulls=False),
    "n2": KubeletOptions(host_ip=_HOST_IP, version="."),
    "n3": KubeletOptions(
        host_ip=_HOST_IP, version=".", serialize_image_pulls=False, max_container_restart_period_s=8.0
    ),
}


class _Middle(Random):
    """Every free draw in the middle of its interval, where it is never far from what was recorded."""

    def random(self) -> float:
        return 0.5

    def getrandbits(self, k: int, /) -> int:
        return 1 << (k - 1) if k else 0

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        low, high = (0, start) if stop is None else (start, stop)
        return low + (high - low) // 2


def _middle(name: str) -> Random:
    return _Middle()


class _Runtime(ScriptedContainerRuntime):
    """Scripted containers that note what reaches them."""

    def __init__(self, runtime: Runtime, allocate_ip: Callable[[JsonObject], str], network: _HostNetwork) -> None:
        super().__init__(runtime, allocate_ip=allocate_ip)
        self._network = network

    def make_container(self, name: str, script: Script, attempt: int, pod_ip: str) -> RecordedContainer:
        container = RecordedContainer(self._runtime, name, script, attempt, pod_ip)
        for port, spec in (script.get("http") or {}).items():
            if spec.get("host"):
                there = RecordedContainer(self._runtime, name, script, attempt, spec["host"])
                self._network.listeners[f"{spec['host']}:{port}"] = (container, there)
        return container


class _HostNetwork:
    """The addresses that are no pod's: containers that listen on their node's address."""

    def __init__(self) -> None:
        self.listeners: dict[str, tuple[RecordedContainer, RecordedContainer]] = {}

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
        found = self.listeners.get(f"{parts.hostname}:{parts.port}")
        if found is None:
            raise HttpFailure(Failure.REFUSED, url)
        container, there = found
        there.share_notes(container)
        return await there.http_get(parts.port or 80, parts.path, headers or {}, timeout_s)


class CasePlayer:
    """One case in one world."""

    def __init__(self, case: JsonObject, *, seed: int | None = None) -> None:
        self._case = case
        self._kernel = kernel = Kernel(seed or 0)
        self._draws: Callable[[str], Random] = kernel.streams.stream if seed is not None else _middle
        self._server = ApiServer(kernel.unix_ns, kernel.streams.stream("api"), trace=kernel.trace)
        self._namespace = f"kr-{case['name']}"
        zero_ns = round(_SETTLE_S * NS) + self._draws("case").randrange(NS)
        self._zero_s = zero_ns / NS
        self._recorder = TimelineRecorder(kernel, zero_ns, self._namespace)
        self._client = self._connect("user")
        self._heartbeats = VirtualHeartbeats(kernel)
        self._presences: dict[str, NodePresence] = {}
        self._kubelets: dict[str, Kubelet] = {}
        self._pod_count = 0

    def _connect(self, actor: str, latency_s: float = 0.0) -> KubernetesClient:
        latency = (lambda verb: latency_s if verb == "patch" else 0.0) if latency_s else None
        return InProcessClient(self._server, self._kernel, actor=actor, latency=latency)

    def play(self) -> JsonObject:
        """The produced case: `namespace` and `timeline`."""
        kernel = self._kernel
        kernel.spawn("player", self._run())
        kernel.run(until_s=self._zero_s + float(self._case["duration"]))
        return {
            "name": self._case["name"],
            "namespace": self._namespace,
            "duration": self._case["duration"],
            "timeline": self._recorder.timeline(),
        }

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
                recorder = CoreEventRecorder(kernel, self._client, component="kubelet", host=name)
                for _ in range(_REPORTS_BEFORE[name]):
                    for reason in PRESSURE_EVENTS.values():
                        recorder.event(node_reference(name), "Normal", reason, f"Node {name} status is now: {reason}")
                # When the reports of its status come is nobody's choice.
                await kernel.sleep(int(self._draws(f"node/{name}").random() * _LATEST_NODE_S))
                await self._add_node(spec, recorder)
                self._add_kubelet(name, options, recorder)
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

    async def _add_node(self, spec: NodeSpec, recorder: CoreEventRecorder) -> None:
        presence = NodePresence(
            self._kernel, self._connect(f"node/{spec.name}"), spec, self._heartbeats, recorder, writes_lease=False
        )
        self._presences[spec.name] = presence
        # Its kubelets were started long before the case began.
        await presence.register(tells=False)

    def _add_kubelet(self, name: str, options: KubeletOptions, recorder: CoreEventRecorder) -> None:
        kernel = self._kernel

        def allocate_ip(pod: JsonObject) -> str:
            self._pod_count += 1
            return f"10.89.{1 + self._pod_count // 250}.{self._pod_count % 250 + 2}"

        network = _HostNetwork()
        inner = _Runtime(kernel, allocate_ip, network)
        containers = RecordedRuntime(kernel, inner, self._recorder)
        client = self._connect(f"kubelet/{name}", _STATUS_WRITE_S)
        rng = self._draws(f"kubelet/{name}")
        nodes = self._nodes

        def has_node() -> bool:
            return nodes.get(name) is not None

        kubelet = Kubelet(kernel, client, name, containers, rng, options, recorder, network=network, has_node=has_node)
        self._kubelets[name] = kubelet
        kernel.spawn(f"kubelet/{name}", kubelet.run())

    def _start_controllers(self) -> None:
        kernel, draws = self._kernel, self._draws

        def recorder(component: str) -> CoreEventRecorder:
            return CoreEventRecorder(kernel, self._connect(component), component=component)

        def caches(actor: str) -> ObjectCaches:
            return ObjectCaches(kernel, self._connect(actor), component=actor)

        of_scheduler = caches("scheduler")
        scheduler = Scheduler(
            kernel,
            self._connect("scheduler"),
            of_scheduler,
            SeriesEventRecorder(kernel, self._connect("scheduler"), controller="default-scheduler"),
            latency=Constant(0.01),
            rng=draws("scheduler"),
            volumes=VolumeBinder(kernel, self._connect("scheduler"), of_scheduler),
        )
        manager = caches("controller-manager")
        self._nodes = manager.of(NODE)
        follow_cordons(self._nodes, self._presences)
        client = self._connect("controller-manager", _CONTROLLER_WRITE_S)
        tells = recorder("endpoint-slice-controller")
        EndpointSliceController(kernel, client, manager, tells, delay=Constant(0.02), rng=draws("endpoints"))
        lifecycle = NodeLifecycleController(
            kernel, client, manager, self._heartbeats, recorder("node-controller"), rng=draws("nodes")
        )
        TaintEvictionController(kernel, client, manager, recorder("taint-eviction-controller"))
        collector = PodGarbageCollector(kernel, client, manager, rng=draws("pod-gc"))
        DisruptionController(kernel, client, manager, ControlledObjects(manager, POD), recorder("controllermanager"))
        VolumeController(
            kernel,
            client,
            manager,
            recorder("persistentvolume-controller"),
            delay=Constant(1),
            rng=draws("volumes"),
        )
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
        """A Node object with a heartbeat and nobody behind it, born with the not-ready taint as every Node is; or a dead one."""
        spec = dict(obj.get("spec") or {})
        spec["taints"] = [*(spec.get("taints") or ()), {"key": NOT_READY, "effect": NO_SCHEDULE}]
        node = await self._client.create(NODE, {**obj, "spec": spec})
        if "dead" in (obj["metadata"].get("annotations") or {}):
            return
        status = {"conditions": [_READY], **(obj.get("status") or {})}
        await self._client.patch(NODE, name_of(node), {"status": status}, patch_type="strategic", subresource="status")
        self._heartbeats.start(name_of(node))

    async def _stimulate(self, op: str, args: JsonObject) -> None:
        try:
            await getattr(self, f"_do_{op}")(args)
        except ApiError:
            # Some cases record a refusal; what it refused is seen in the timeline.
            return

    async def _do_create(self, args: JsonObject) -> None:
        if args["kind"] == "Node":
            # The recordings have events of nodes that were there at the beginning.
            self._recorder.pass_over.add(f"Node/{name_of(args)}")
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
        kubelet, presence = self._kubelets[args["node"]], self._presences[args["node"]]
        match args["do"]:
            case "kill":
                kubelet.stop()
                presence.silence()
            case "stop":
                kubelet.freeze()
                presence.silence()
            case "start":
                kubelet.start()
                presence.resume()
            case "cont":
                kubelet.thaw()
                presence.resume()

    async def _do_silence(self, args: JsonObject) -> None:
        self._heartbeats.stop(args["node"])

    async def _do_revive(self, args: JsonObject) -> None:
        self._heartbeats.start(args["node"])
        patch = {"status": {"conditions": [_READY]}}
        await self._client.patch(NODE, args["node"], patch, patch_type="strategic", subresource="status")


def play(case: JsonObject, *, seed: int | None = None) -> JsonObject:
    """Play one case; deterministic in (case, seed). Without a seed every draw is the middle of its interval."""
    return CasePlayer(case, seed=seed).play()

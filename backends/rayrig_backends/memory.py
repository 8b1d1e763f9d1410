"""The world in memory: fake Kubernetes, operator, nodes, Ray, Serve and traffic in one process, on one virtual clock."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from rayrig_backends.api_rules import ApiRules
from rayrig_backends.collector import seldom_collecting
from rayrig_backends.dashboards import Dashboards
from rayrig_backends.foreseen_reads import ForeseenClient
from rayrig_backends.machines import BrokenImages, Machine, TrackedRuntime
from rayrig_backends.memory_faults import MemoryFaults
from rayrig_backends.memory_traffic import MemoryTraffic
from rayrig_backends.readiness import why_unready
from rayrig_backends.record import Record, changes_of
from rayrig_backends.storage_class import STANDARD_CLASS
from rayrig_backends.usage import UsageMeter
from rayrig_backends.world import NodeSpec, ObjectTable, Traffic, TrafficSpec, Usage, WorldSpec
from rayrig_controllers.manager import Manager
from rayrig_controllers.operator import operator
from rayrig_controllers.options import OperatorOptions
from rayrig_controllers.releases import profile_of
from rayrig_core.core_event_recorder import CoreEventRecorder
from rayrig_core.errors import InputError
from rayrig_core.faultpoints import FaultCounter
from rayrig_core.objects import JsonObject, copy_json, key_of, uid_of
from rayrig_core.ports import HttpClient, KubernetesClient, Task
from rayrig_core.resource_types import (
    CUSTOM_RESOURCE_DEFINITION,
    DAEMON_SET,
    DEPLOYMENT,
    GATEWAY,
    HTTP_ROUTE,
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    STATEFUL_SET,
    STORAGE_CLASS,
    ResourceType,
)
from rayrig_core.resources.crds import custom_resource_definitions
from rayrig_core.resources.quantities import parse_quantity
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind, Trace
from rayrig_fakes.kubernetes.calls import ApiCall
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.container_logs import LogOptions
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_fakes.kubernetes.storage.revisions import Change
from rayrig_fakes.kubernetes.tables.printing import table
from rayrig_sim.applications.registry import default_registry
from rayrig_sim.calibration import drawing
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.control_plane import ControlPlane
from rayrig_sim.kubernetes.controller_names import ControllerName
from rayrig_sim.kubernetes.endpoints.service_proxy import ServiceTable
from rayrig_sim.kubernetes.gateway.controller import COMPONENT, GatewayController
from rayrig_sim.kubernetes.kubelet.kubelet import Kubelet
from rayrig_sim.kubernetes.kubelet.options import KubeletOptions
from rayrig_sim.kubernetes.kubelet.script_rules import ScriptRule, ScriptRules
from rayrig_sim.kubernetes.nodes import nodes as sim_nodes
from rayrig_sim.kubernetes.nodes.heartbeats import VirtualHeartbeats
from rayrig_sim.kubernetes.taints import Taint
from rayrig_sim.kubernetes.volumes.claims import default_class
from rayrig_sim.network.client import NetworkClient
from rayrig_sim.network.fabric import Network
from rayrig_sim.ray_pods.platform import RayPlatform
from rayrig_sim.ray_pods.runtime import RayContainerRuntime
from rayrig_sim.serve.application_code import Override, Registry

T = TypeVar("T")

OPERATOR = "operator"
_WORKLOADS = (DEPLOYMENT, REPLICA_SET, STATEFUL_SET, DAEMON_SET, POD_DISRUPTION_BUDGET)


class MemoryWorld:
    """Implements `rayrig_backends.world.World`."""

    def __init__(self, spec: WorldSpec) -> None:
        self.spec = spec
        self.kernel = kernel = Kernel(spec.seed, start_unix_ns=spec.start_unix_ns, elide_idle=spec.elide_idle)
        self.calibration = calibration = spec.calibration
        streams = kernel.streams
        self.api = ApiServer(kernel.unix_ns, streams.stream("api-server"), trace=kernel.trace)
        for definition in custom_resource_definitions(spec.profile):
            self.api.call(ApiCall("create", CUSTOM_RESOURCE_DEFINITION, body=definition, trusted=True))
        self.rules = ApiRules()
        self._faults = FaultCounter(self.rules)
        self._clients: dict[str, KubernetesClient] = {}
        self.broken_images = BrokenImages()
        self.table = ServiceTable()
        self.network = Network(kernel, self.table, streams, calibration)
        self.heartbeats = VirtualHeartbeats(kernel)
        self.control_plane = ControlPlane(
            kernel,
            streams,
            self.client,
            calibration,
            liveness=self.heartbeats,
            table=self.table,
            volumes=True,
        )
        self.gateway_controller = GatewayController(
            kernel,
            self.client(COMPONENT),
            self.network.gateways,
            delay=calibration.gateway_latency,
            rng=streams.stream(COMPONENT),
            on_first=lambda: self.control_plane.follow_also((GATEWAY, HTTP_ROUTE)),
        )
        self.dashboards = Dashboards(kernel)
        self.ray = RayPlatform(
            kernel,
            self.network,
            calibration,
            registry=_registry(spec),
            dashboard_factory=self.dashboards.make,
            connect=self._resting_client,
        )
        self.scripts = ScriptRules(spec.scripts)
        self.machines: dict[str, Machine] = {}
        self.presences: dict[str, sim_nodes.NodePresence] = {}
        sim_nodes.follow_cordons(self.control_plane.nodes, self.presences)
        self.node_control = sim_nodes.NodeControl(kernel, self.client("node-control"), self.presences, self.machines)
        self.traffics: dict[str, MemoryTraffic] = {}
        self.faults = MemoryFaults(self)
        self.operator: Manager | None = None
        self._is_started = False
        self._has_workloads = self._has_claims = False
        store = self.api.state.store
        for resource in _WORKLOADS:
            store.collection(resource.group_resource).listen(self._workload_written)
        store.collection(PERSISTENT_VOLUME_CLAIM.group_resource).listen(self._claim_written)
        self._usage = UsageMeter(kernel.monotonic_ns, store.collection(POD.plural), store.collection(NODE.plural))
        for nodes in spec.nodes:
            self.add_nodes(nodes)

    # Ports

    @property
    def runtime(self) -> Kernel:
        return self.kernel

    @property
    def trace(self) -> Trace:
        return self.kernel.trace

    def client(self, actor: str) -> KubernetesClient:
        found = self._clients.get(actor)
        if found is None:
            found = self._clients[actor] = InProcessClient(
                self.api, self.kernel, actor=actor, latency=self._latency(actor), faults=self._faults
            )
        return found

    def _resting_client(self, actor: str) -> KubernetesClient:
        """For an actor whose looks at the API may be passed over."""
        latency = drawing(self.calibration.api_latency, self.kernel.streams.stream(f"api-latency/{actor}"))
        if latency is not None and actor not in self._clients:
            self._clients[actor] = ForeseenClient(
                self.api,
                self.kernel,
                actor=actor,
                draw_ns=latency[0],
                most_ns=latency[1],
                faults=self._faults,
                rules=self.rules,
            )
        return self.client(actor)

    def _latency(self, actor: str) -> Callable[[str], float]:
        draw_ns = self.calibration.api_latency.draw_ns
        rng = self.kernel.streams.stream(f"api-latency/{actor}")
        return lambda verb: draw_ns(rng) / NS

    def http(self, source: str) -> HttpClient:
        return NetworkClient(self.network, source)

    def http_and_kubernetes(self, actor: str) -> HttpClient:
        """That takes URLs of the scheme `kubernetes` to the API server, too, as an actor's calls."""
        # Heavy, and rarely asked for.
        from rayrig_backends.kubernetes_requests import KubernetesRequests

        http, from_server = self.http(actor), self.http("kube-apiserver")
        return KubernetesRequests(
            self.api, self.kernel, http, from_server, actor=actor, latency=self._latency(actor), faults=self._faults
        )

    # Nodes

    def add_nodes(self, nodes: NodeSpec) -> tuple[str, ...]:
        names = nodes.names()
        for name in names:
            if name in self.machines:
                raise InputError(f'there is a node "{name}" already', remedy="give the nodes another name")
            self._add_node(name, nodes)
        return names

    def _add_node(self, name: str, nodes: NodeSpec) -> None:
        kernel = self.kernel
        actor = f"kubelet/{name}"
        client = self.client(actor)
        recorder = CoreEventRecorder(kernel, client, component="kubelet", host=name)
        capacity = {"cpu": nodes.cpu, "memory": nodes.memory, "pods": str(nodes.pods), **nodes.extended}
        number = len(self.machines)
        # The range that container networks of kind clusters use; .1 is the gateway.
        address = f"172.18.{number // 250}.{number % 250 + 2}"
        node_spec = sim_nodes.NodeSpec(
            name,
            address=address,
            labels=dict(nodes.labels),
            taints=tuple(Taint(t["key"], t.get("value", ""), t["effect"]) for t in nodes.taints),
            capacity=capacity,
        )
        runtime = TrackedRuntime(
            RayContainerRuntime(
                self.ray,
                name,
                host_cpus=float(parse_quantity(nodes.cpu)),
                image_fault=self.broken_images.failure,
                scripts=self.scripts,
                write_log=self._write_log,
            )
        )
        kubelet = Kubelet(
            kernel,
            client,
            name,
            runtime,
            kernel.streams.stream(actor),
            KubeletOptions(host_ip=address),
            recorder,
            network=self.http(actor),
            has_node=lambda: self.control_plane.has_node(name),
        )
        self.machines[name] = Machine(name, kubelet, runtime, self.network)
        self.presences[name] = sim_nodes.NodePresence(kernel, client, node_spec, self.heartbeats, recorder)
        if self._is_started:
            self._start_node(name)

    def _write_log(self, pod: JsonObject, container: str, text: str, begins: bool) -> None:
        logs, uid = self.api.state.pod_logs, uid_of(pod)
        if begins:
            logs.restart(uid, container)
        logs.write(uid, container, text.splitlines(), self.kernel.unix_ns())

    def script(self, rule: ScriptRule) -> None:
        self.scripts.add(rule)

    def _start_node(self, name: str) -> None:
        kernel = self.kernel
        kernel.spawn(f"kubelet/{name}/registration", self.presences[name].register())
        kernel.spawn(f"kubelet/{name}", self.machines[name].kubelet.run())

    # Running

    def start(self) -> None:
        self._is_started = True
        self.control_plane.start()
        for name in self.machines:
            self._start_node(name)
        if self.spec.profile == "v1.1.0":
            self.kernel.spawn("kube-controller-manager/endpoints", self._start_endpoints())
        self.start_operator()

    def _workload_written(self, change: Change | None) -> None:
        """The first Deployment, budget or the like: only now is there something to do for their controllers."""
        if not self._has_workloads:
            self._has_workloads = True
            cause = change.cause if change is not None else None
            self.kernel.spawn("kube-controller-manager/workloads", self._start_workloads(cause))

    async def _start_endpoints(self) -> None:
        """Endpoints objects are read by old operators only."""
        self.control_plane.start_workloads([name for name in ControllerName if name is not ControllerName.ENDPOINTS])

    async def _start_workloads(self, cause: int | None) -> None:
        self.kernel.cause = cause
        # Who reads Endpoints objects has them already.
        self.control_plane.start_workloads((ControllerName.ENDPOINTS, ControllerName.ENDPOINT_SLICE_MIRRORING))

    def _claim_written(self, change: Change | None) -> None:
        """The first claim: now there is something to bind."""
        if not self._has_claims:
            self._has_claims = True
            # Among them the one that keeps bound volumes from being removed.
            self._workload_written(change)
            self.kernel.spawn("kube-controller-manager/volumes", self._start_volumes())

    async def _start_volumes(self) -> None:
        if default_class(self.api.objects(STORAGE_CLASS)) is None:
            self.api.call(ApiCall("create", STORAGE_CLASS, body=copy_json(STANDARD_CLASS), trusted=True))
        self.control_plane.start_volumes()

    def start_operator(self) -> None:
        """A fresh operator process, with empty memory."""
        kernel = self.kernel
        self.operator = operator(
            kernel,
            self.client(OPERATOR),
            http=self.http(OPERATOR),
            rng=kernel.streams.stream(OPERATOR),
            options=OperatorOptions(
                profile=profile_of(self.spec.profile),
                gates=self.spec.gates,
                reconcile_concurrency=self.spec.reconcile_concurrency,
            ),
        )
        self.operator.start()

    def run_until(self, task: Task[Any]) -> None:
        with seldom_collecting():
            self.kernel.run(cast(Any, task))

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, T]) -> Task[T]:
        return cast("Task[T]", self.kernel.spawn(name, coroutine))

    # What scenarios ask for

    def traffic(self, spec: TrafficSpec) -> Traffic:
        if spec.name in self.traffics:
            raise InputError(f'there is traffic "{spec.name}" already', remedy="give each source a name of its own")
        made = self.traffics[spec.name] = MemoryTraffic(self.kernel, self.network, spec, self.calibration)
        return made

    async def fault(self, kind: str, **params: Any) -> str:
        return await self.faults.strike(kind, params)

    # What reports ask for

    def objects(self, resource: ResourceType, namespace: str = "") -> list[JsonObject]:
        return self.api.objects(resource, namespace)

    def object_table(self, resource: ResourceType, namespace: str = "") -> ObjectTable:
        served = self.api.served(resource)
        columns, rows = table(served, self.objects(resource, namespace), self.kernel.unix_ns())
        shown = [index for index, column in enumerate(columns) if not column.priority]
        return ObjectTable(
            tuple(columns[index].name for index in shown),
            tuple(tuple("" if row[i] is None else str(row[i]) for i in shown) for row in rows),
        )

    def usage(self) -> Usage:
        return self._usage.usage()

    def why_unready(self, pod: JsonObject) -> str:
        machine = self.machines.get(pod["spec"].get("nodeName", ""))
        history = machine.kubelet.probe_history(*key_of(pod)) if machine is not None else []
        return why_unready(pod, history, self.kernel.start_unix_ns, lambda: self._last_warning(pod))

    def logs(self, pod: str, namespace: str, container: str = "", *, previous: bool = False) -> str:
        options = LogOptions(container, previous=previous)
        return self.api.call(ApiCall("get", POD, namespace, pod, "log", log=options)).text or ""

    def _last_warning(self, pod: JsonObject) -> str:
        found = ""
        for event in self.trace.select(Kind.EVENT, subject=f"pods/{'/'.join(key_of(pod))}"):
            if event["type"] == "Warning":
                found = f"{event['reason']}: {event['message']}"
        return found

    def record(self) -> Record:
        kernel = self.kernel
        changes = changes_of(self.api.state.store, kernel.start_unix_ns)
        probes = {uid: runs for machine in self.machines.values() for uid, runs in machine.kubelet.all_probes().items()}
        return Record(kernel.start_unix_ns, kernel.monotonic_ns(), changes, probes, self.scripts)


def _registry(spec: WorldSpec) -> Registry:
    registry = default_registry().with_fallback()
    for application in spec.applications:
        registry.override(
            application.import_path,
            Override(
                latency=application.latency,
                result=application.result,
                has_result=application.has_result,
                handler=application.handler,
                startup=application.startup,
                constructor_error=application.fails_with,
            ),
        )
    return registry

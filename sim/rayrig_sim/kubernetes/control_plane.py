"""The control plane of a simulated cluster: scheduler, controller manager and service proxy, wired and started together."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from rayrig_core import resource_types as types
from rayrig_core.core_event_recorder import CoreEventRecorder
from rayrig_core.ports import KubernetesClient, Runtime
from rayrig_core.resource_types import NODE, ResourceType
from rayrig_sim.calibration import Calibration
from rayrig_sim.kubernetes.controller_names import ControllerName
from rayrig_sim.kubernetes.endpoints.endpoint_slices import EndpointSliceController
from rayrig_sim.kubernetes.endpoints.service_proxy import ServiceProxy, ServiceTable
from rayrig_sim.kubernetes.garbage_collector import GarbageCollector
from rayrig_sim.kubernetes.namespaces import NamespaceController
from rayrig_sim.kubernetes.nodes.heartbeats import NodeLiveness
from rayrig_sim.kubernetes.nodes.node_lifecycle import NodeLifecycleController
from rayrig_sim.kubernetes.nodes.pod_gc import PodGarbageCollector
from rayrig_sim.kubernetes.nodes.taint_eviction import TaintEvictionController
from rayrig_sim.kubernetes.object_cache import ObjectCache, ObjectCaches
from rayrig_sim.kubernetes.scheduling.scheduler import DEFAULT_SCHEDULER, Scheduler
from rayrig_sim.kubernetes.series_recorder import SeriesEventRecorder
from rayrig_sim.kubernetes.storage_protection import ClaimProtection
from rayrig_sim.kubernetes.volumes.binder import VolumeBinder
from rayrig_sim.kubernetes.workloads.jobs import JobController
from rayrig_sim.randomness import Streams

#: Built-in types whose objects own others, are owned, or end with their namespace.
BUILT_IN_OWNABLE: tuple[ResourceType, ...] = (
    types.POD,
    types.SERVICE,
    types.SECRET,
    types.CONFIG_MAP,
    types.SERVICE_ACCOUNT,
    types.PERSISTENT_VOLUME_CLAIM,
    types.ENDPOINT_SLICE,
    types.LEASE,
    types.JOB,
    types.INGRESS,
    types.NETWORK_POLICY,
    types.ROLE,
    types.ROLE_BINDING,
    types.POD_DISRUPTION_BUDGET,
    types.NODE,
)
RAY_OWNABLE: tuple[ResourceType, ...] = (types.RAY_SERVICE, types.RAY_CLUSTER)
WORKLOAD_OWNABLE: tuple[ResourceType, ...] = (
    types.DEPLOYMENT,
    types.REPLICA_SET,
    types.STATEFUL_SET,
    types.DAEMON_SET,
    types.CONTROLLER_REVISION,
)


class ControlPlane:
    """All controllers of the cluster's own. Built at once, started by `start`.

    `connect` gives the client of a component by its name (`kube-scheduler`, `kube-controller-manager`, `kube-proxy`), so that each
    is a separate actor for latencies and faults. `ownable` must be served by the API server.
    """

    def __init__(
        self,
        runtime: Runtime,
        streams: Streams,
        connect: Callable[[str], KubernetesClient],
        calibration: Calibration,
        *,
        liveness: NodeLiveness,
        table: ServiceTable | None = None,
        ownable: Sequence[ResourceType] = (*BUILT_IN_OWNABLE, *RAY_OWNABLE),
        workloads: bool = False,
        service_accounts: bool = False,
        volumes: bool = False,
        leave_out: Container[ControllerName] = (),
    ) -> None:
        """`workloads`: with the controllers of Deployments and their like, of budgets and of Endpoints objects.

        `service_accounts`: each namespace gets its account `default`. `volumes`: pods wait for their claims, which
        `start_volumes` lets be bound. `leave_out`: controllers that somebody else runs.
        """
        self._runtime = runtime
        self._streams = streams
        self._calibration = calibration
        self._ownable = dict.fromkeys(ownable)
        self.table = table or ServiceTable()

        client = connect("kube-scheduler")
        self._scheduler_caches = ObjectCaches(runtime, client, component="kube-scheduler")
        self.scheduler = Scheduler(
            runtime,
            client,
            self._scheduler_caches,
            SeriesEventRecorder(runtime, client, controller=DEFAULT_SCHEDULER),
            latency=calibration.scheduling_latency,
            rng=streams.stream("kube-scheduler"),
            volumes=VolumeBinder(runtime, client, self._scheduler_caches) if volumes else None,
        )

        client = connect("kube-controller-manager")
        self._manager_caches = caches = ObjectCaches(runtime, client, component="kube-controller-manager")

        def recorder(component: str) -> CoreEventRecorder:
            return CoreEventRecorder(runtime, client, component=component)

        def runs(name: ControllerName) -> bool:
            return name not in leave_out

        if runs(ControllerName.ENDPOINT_SLICES):
            EndpointSliceController(
                runtime,
                client,
                caches,
                recorder("endpoint-slice-controller"),
                delay=calibration.endpoints_latency,
                rng=streams.stream("endpoint-slices"),
            )
        self._node_lifecycle: NodeLifecycleController | None = None
        if runs(ControllerName.NODE_LIFECYCLE):
            self._node_lifecycle = NodeLifecycleController(
                runtime, client, caches, liveness, recorder("node-controller"), rng=streams.stream("node-lifecycle")
            )
        if runs(ControllerName.TAINT_EVICTION):
            TaintEvictionController(runtime, client, caches, recorder("taint-eviction-controller"))
        if runs(ControllerName.JOBS):
            JobController(runtime, client, caches, recorder("job-controller"))
        self._pod_gc: PodGarbageCollector | None = None
        if runs(ControllerName.POD_GARBAGE_COLLECTOR):
            self._pod_gc = PodGarbageCollector(runtime, client, caches, rng=streams.stream("pod-gc"))
        #: Those that follow whatever is served.
        self._followers: list[GarbageCollector | NamespaceController] = []
        delay = calibration.garbage_collection_latency
        if runs(ControllerName.GARBAGE_COLLECTOR):
            rng = streams.stream("garbage-collector")
            self._followers.append(GarbageCollector(runtime, client, caches, ownable, delay=delay, rng=rng))
        if runs(ControllerName.NAMESPACES):
            rng = streams.stream("namespaces")
            self._followers.append(NamespaceController(runtime, client, caches, ownable, delay=delay, rng=rng))
        if runs(ControllerName.CLAIM_PROTECTION):
            ClaimProtection(runtime, client, caches)
        self._manager_client = client
        #: The Nodes as the controllers' cache shows them.
        self.nodes: ObjectCache = caches.of(NODE)
        if workloads:
            self._start_workloads(runs)

        if service_accounts and runs(ControllerName.SERVICE_ACCOUNTS):
            from rayrig_sim.kubernetes.service_accounts import ServiceAccountController

            ServiceAccountController(runtime, client, caches)

        client = connect("kube-proxy")
        self._proxy_caches = ObjectCaches(runtime, client, component="kube-proxy")
        self.service_proxy = ServiceProxy(
            runtime,
            self._proxy_caches,
            self.table,
            delay=calibration.service_proxy_latency,
            rng=streams.stream("service-proxy"),
        )

    def start_workloads(self, leave_out: Container[ControllerName] = ()) -> None:
        """For a world that was made without `workloads`: their controllers begin now, with what is there already."""
        self._start_workloads(lambda name: name not in leave_out)
        self.follow_also(WORKLOAD_OWNABLE)

    def _start_workloads(self, runs: Callable[[ControllerName], bool]) -> None:
        # Worlds without them are not to wait for their import.
        from rayrig_sim.kubernetes.workload_controllers import start_workload_controllers

        start_workload_controllers(self._runtime, self._manager_client, self._manager_caches, runs)

    def start_volumes(self) -> None:
        """Claims are bound from now on, those that are there already as well."""
        from rayrig_sim.kubernetes.volumes.controller import VolumeController

        VolumeController(
            self._runtime,
            self._manager_client,
            self._manager_caches,
            CoreEventRecorder(self._runtime, self._manager_client, component="persistentvolume-controller"),
            delay=self._calibration.volume_provisioning,
            rng=self._streams.stream("volume-provisioner"),
        )

    def follow_also(self, ownable: Sequence[ResourceType]) -> None:
        """Objects of these types own others, too, or are owned."""
        self.follow((*self._ownable, *ownable))

    def follow(self, ownable: Sequence[ResourceType]) -> None:
        """What is served has changed: `ownable` is all of it, as in the constructor."""
        before = self._ownable
        self._ownable = dict.fromkeys(ownable)
        for resource in before:
            if resource not in self._ownable:
                for follower in self._followers:
                    follower.forget(resource)
                self._manager_caches.drop(resource)
        for resource in self._ownable:
            if resource not in before:
                for follower in self._followers:
                    follower.follow(resource)

    def has_node(self, name: str) -> bool:
        """Whether there is such a Node."""
        return self.nodes.get(name) is not None

    def start(self, *, scheduler: bool = True) -> None:
        """Start what runs as actors; the other controllers work in the handlers of their caches.

        Without the scheduler pods wait for whoever else binds them.
        """
        spawn = self._runtime.spawn
        if scheduler:
            spawn("kube-scheduler", self.scheduler.run())
        if self._node_lifecycle is not None:
            spawn("kube-controller-manager/node-taints", self._node_lifecycle.run_taints())
            spawn("kube-controller-manager/node-monitor", self._node_lifecycle.run_monitor())
        if self._pod_gc is not None:
            spawn("kube-controller-manager/pod-gc", self._pod_gc.run())

"""The world of the recordings in virtual time: our API server, the controllers around it, the operator, no kubelet and no Ray."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rayrig_controllers.manager import Manager
from rayrig_controllers.operator import operator
from rayrig_controllers.options import OperatorOptions
from rayrig_core import resource_types as types
from rayrig_core.core_event_recorder import CoreEventRecorder
from rayrig_core.ports import KubernetesClient
from rayrig_core.resource_types import ResourceType
from rayrig_core.resources.crds import custom_resource_definitions
from rayrig_core.resources.feature_gates import FeatureGates
from rayrig_core.timestamps import NS
from rayrig_fakes.kubernetes.client import InProcessClient
from rayrig_fakes.kubernetes.server import ApiServer
from rayrig_sim.calibration import Constant
from rayrig_sim.kernel import Kernel
from rayrig_sim.kubernetes.control_plane import BUILT_IN_OWNABLE, RAY_OWNABLE
from rayrig_sim.kubernetes.endpoints.endpoint_slices import EndpointSliceController
from rayrig_sim.kubernetes.garbage_collector import GarbageCollector
from rayrig_sim.kubernetes.object_cache import ObjectCaches
from rayrig_sim.kubernetes.workloads.jobs import JobController
from tests.conformance.operator.api import Api
from tests.conformance.operator.dashboards import Dashboards
from tests.conformance.operator.observer import Observer
from tests.conformance.operator.placeholders import Placeholders
from tests.conformance.operator.pod_states import NODE, PodStates

NAMESPACE = "nbcdfghjkl"
#: Kinds that make up a snapshot, in its order.
SNAPSHOT_TYPES: tuple[ResourceType, ...] = (
    types.RAY_SERVICE,
    types.RAY_CLUSTER,
    types.SERVICE,
    types.POD,
    types.SECRET,
    types.SERVICE_ACCOUNT,
    types.ROLE,
    types.ROLE_BINDING,
    types.INGRESS,
    types.NETWORK_POLICY,
    types.JOB,
    types.PERSISTENT_VOLUME_CLAIM,
    types.ENDPOINT_SLICE,
    types.GATEWAY,
    types.HTTP_ROUTE,
)
TYPES: Mapping[str, ResourceType] = {
    each.kind: each for each in (*SNAPSHOT_TYPES, types.EVENT, types.CONFIG_MAP, types.NODE, types.NAMESPACE)
}
_GATES = {
    "RayClusterStatusConditions": "ray_cluster_status_conditions",
    "RayServiceIncrementalUpgrade": "ray_service_incremental_upgrade",
    "RayMultiHostIndexing": "ray_multi_host_indexing",
    "RayJobDeletionPolicy": "ray_job_deletion_policy",
    "RayClusterNetworkPolicy": "ray_cluster_network_policy",
    "GCSFaultToleranceEmbeddedStorage": "gcs_fault_tolerance_embedded_storage",
    "RayClusterMTLS": "ray_cluster_mtls",
    "RayClusterHistoryServer": "ray_cluster_history_server",
}
_CALL_S = 0.003
#: What a pass creates shows in the operator's cache a little after the answer; what it updates, at the end, before the next pass.
_WATCH_LAG_S = 0.002
_UPDATE_S = 0.005
_ENDPOINTS_S = 0.002
_COLLECTION_S = 0.02


class World:
    """One namespace on one API server. `run` lets virtual time pass."""

    def __init__(self, requires: Iterable[str] = (), *, seed: int = 1) -> None:
        self.kernel = kernel = Kernel(seed=seed)
        streams = kernel.streams
        self.server = server = ApiServer(kernel.unix_ns, streams.stream("api-server"), trace=kernel.trace)
        server.add_definitions(custom_resource_definitions())
        self.api = Api(server)
        self._options = OperatorOptions(gates=FeatureGates(**{_GATES[gate]: True for gate in requires}))
        self._operators = 0
        self._operator: Manager | None = None

        client = self.connect("kube-controller-manager")
        caches = ObjectCaches(kernel, client, component="kube-controller-manager")
        tells = CoreEventRecorder(kernel, client, component="endpoint-slice-controller")
        rng = streams.stream("endpoint-slices")
        EndpointSliceController(kernel, client, caches, tells, delay=Constant(_ENDPOINTS_S), rng=rng)
        JobController(kernel, client, caches, CoreEventRecorder(kernel, client, component="job-controller"))
        ownable = (*BUILT_IN_OWNABLE, *RAY_OWNABLE, types.GATEWAY, types.HTTP_ROUTE)
        collector = streams.stream("garbage-collector")
        GarbageCollector(kernel, client, caches, ownable, delay=Constant(_COLLECTION_S), rng=collector)

        self.observer = Observer(kernel, NAMESPACE)
        self.placeholders = Placeholders(NAMESPACE, self.observer)
        self.dashboards = Dashboards(kernel, self._selector)
        self.pods = PodStates(kernel, self.api, self.observer, self.dashboards)
        self.observer.start(InProcessClient(server, kernel, actor="observer"), (*SNAPSHOT_TYPES, types.EVENT))
        for resource, name in ((types.NODE, NODE), (types.NAMESPACE, NAMESPACE)):
            self.api.create(resource, {"apiVersion": "v1", "kind": resource.kind, "metadata": {"name": name}})
        self.operator("start")
        self.run(1.0)

    def connect(self, actor: str) -> KubernetesClient:
        return InProcessClient(
            self.server,
            self.kernel,
            actor=actor,
            latency=lambda verb: _UPDATE_S if verb == "update" else _CALL_S,
            watch_lag_s=_WATCH_LAG_S,
        )

    def _selector(self, name: str, namespace: str) -> Mapping[str, str] | None:
        service = self.server.object(types.SERVICE, name, namespace)
        selector: Mapping[str, str] | None = service["spec"].get("selector") or {} if service is not None else None
        return selector

    def operator(self, action: str) -> None:
        """`kill`, `start` or `restart` the operator's process; a new one remembers nothing."""
        if action in ("kill", "restart", "stop") and self._operator is not None:
            self._operator.crash()
            self._operator = None
        if action in ("start", "restart") and self._operator is None:
            self._operators += 1
            rng = self.kernel.streams.stream(f"operator/{self._operators}")
            self._operator = operator(
                self.kernel, self.connect("operator"), http=self.dashboards, rng=rng, options=self._options
            )
            self._operator.start()

    def run(self, duration_s: float) -> None:
        self.kernel.run(until_s=self.kernel.monotonic_ns() / NS + duration_s)

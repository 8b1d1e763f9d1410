"""Everything of Ray in one world: clusters by name, external storage, containers by address, and what stands in front of a Serve
instance. Each node's `RayContainerRuntime` shares it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rayrig_core.ports import KubernetesClient
from rayrig_sim.calibration import Calibration
from rayrig_sim.kernel import Kernel
from rayrig_sim.network.fabric import Network
from rayrig_sim.network.listeners import Listener
from rayrig_sim.ray.cluster import RayCluster
from rayrig_sim.ray.external_storage import ExternalStorage, StorageKey
from rayrig_sim.serve.application_code import Registry
from rayrig_sim.serve.instance import SimulatedServe

#: Makes what listens on a head's dashboard port (8265): `rayrig_fakes.dashboard.DashboardAgent`, in a world that has it.
DashboardFactory = Callable[[SimulatedServe], Listener]


class RayProcesses(Protocol):
    """A running Ray container, as the others of its cluster know it."""

    @property
    def cluster(self) -> RayCluster | None: ...

    def gcs_is_lost(self, cause: int | None) -> None: ...

    def gcs_is_back(self) -> None: ...


class RayPlatform:
    """One for each world."""

    def __init__(
        self,
        kernel: Kernel,
        network: Network,
        calibration: Calibration,
        *,
        registry: Registry,
        dashboard_factory: DashboardFactory | None = None,
        connect: Callable[[str], KubernetesClient] | None = None,
    ) -> None:
        """`connect` gives the client of an actor by its name; without it no Ray cluster is scaled."""
        self.kernel = kernel
        self.network = network
        self.calibration = calibration
        self.registry = registry
        self.dashboard_factory = dashboard_factory
        self.connect = connect
        self.storage = ExternalStorage()
        #: The latest Ray cluster of each (namespace, RayCluster name).
        self.clusters: dict[tuple[str, str], RayCluster] = {}
        self.serves: dict[tuple[str, str], SimulatedServe] = {}
        #: Running Ray containers by pod address.
        self.containers: dict[str, RayProcesses] = {}
        self._by_session: dict[str, RayCluster] = {}
        self._stored: dict[StorageKey, RayCluster] = {}

    def cluster(self, namespace: str, name: str) -> RayCluster | None:
        """The Ray cluster of a RayCluster, once its head has run."""
        return self.clusters.get((namespace, name))

    def serve(self, namespace: str, name: str) -> SimulatedServe | None:
        """The Serve instance of a RayCluster (for faults, tests, reports)."""
        return self.serves.get((namespace, name))

    def by_session(self, session_name: str) -> RayCluster | None:
        """The cluster that a GCS said it belongs to."""
        return self._by_session.get(session_name)

    def begin_cluster(self, namespace: str, name: str, key: StorageKey | None) -> tuple[RayCluster, bool]:
        """The cluster that a starting GCS serves: what its storage remembers, else a new one. True when remembered."""
        if key is not None and key in self._stored:
            return self._stored[key], True
        cluster = RayCluster(
            self.kernel, name, namespace, calibration=self.calibration, is_fault_tolerant=key is not None
        )
        if key is not None:
            cluster.kv = self.storage.open(key)
            self._stored[key] = cluster
        self._by_session[cluster.session_name] = cluster
        self.clusters[(namespace, name)] = cluster
        self.serves[(namespace, name)] = SimulatedServe(cluster, registry=self.registry, network=self.network)
        return cluster, False

    def forget_storage(self, key: StorageKey) -> None:
        """The external data of a deleted RayCluster is erased."""
        self.storage.erase(key)
        self._stored.pop(key, None)

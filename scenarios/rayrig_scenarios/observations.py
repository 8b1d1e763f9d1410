"""What the scenario sees of the cluster while it runs: the objects, and what only somebody who watched all along can tell.

One watch per kind in question. Its events wake whoever waits for a condition and keep the history of Ray clusters: which ever
were, how many at once, and when the active one changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rayrig_backends.world import Traffic, World
from rayrig_core.errors import ApiError, Gone, InputError
from rayrig_core.objects import JsonObject, key_of, labels_of, name_of
from rayrig_core.ports import Signal, WatchType
from rayrig_core.resource_types import ENDPOINT_SLICE, POD, RAY_CLUSTER, RAY_SERVICE, ResourceType
from rayrig_core.resources.labels import CLUSTER, GROUP, NODE_TYPE, ORIGINATED_FROM_CR_NAME
from rayrig_core.trace import Trace
from rayrig_scenarios.accounting import total
from rayrig_sim.traffic.accounting import Accounting

ALWAYS_WATCHED = (RAY_SERVICE, RAY_CLUSTER, POD)
_RETRY_S = 1.0
#: Label of an EndpointSlice: the Service it is of.
_SERVICE_NAME = "kubernetes.io/service-name"


@dataclass(slots=True)
class ClusterHistory:
    """Ray clusters of one RayService, by name in order of creation."""

    created: list[str] = field(default_factory=list)
    live: list[str] = field(default_factory=list)
    peak: int = 0
    #: Active clusters in order; each but the first is a switch.
    active: list[str] = field(default_factory=list)

    @property
    def switches(self) -> int:
        return max(len(self.active) - 1, 0)


class Observations:
    """Reads of the world for conditions and expectations. Reading changes nothing."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.traffic: dict[str, Traffic] = {}
        #: Active cluster of a service (namespace, name) when it was last changed by a step.
        self.active_before: dict[tuple[str, str], str] = {}
        #: Place in the trace of the last change a step made.
        self.changed_seq = 0
        self._histories: dict[tuple[str, str], ClusterHistory] = {}
        self._waiting: list[Signal[int | None]] = []
        self._watched: list[ResourceType] = []

    # Watching

    def watch(self, resources: Iterable[ResourceType]) -> None:
        """Start to watch those that are not watched yet."""
        for resource in resources:
            if resource not in self._watched:
                self._watched.append(resource)
                self.world.spawn(f"scenario/watch-{resource.plural}", self._follow(resource))

    def next_change(self) -> Signal[int | None]:
        """Happens at the next event of any watch; its value is the trace event that caused it."""
        signal: Signal[int | None] = self.world.runtime.signal()
        self._waiting.append(signal)
        return signal

    async def _follow(self, resource: ResourceType) -> None:
        client = self.world.client("scenario")
        while True:
            try:
                listing = await client.list(resource)
                for obj in listing.items:
                    self._take(resource, WatchType.ADDED, obj)
                self._wake(None)
                stream = await client.watch(resource, resource_version=listing.resource_version)
                while True:
                    event = await stream.next()
                    if event.type is not WatchType.BOOKMARK:
                        self._take(resource, event.type, event.object)
                        self._wake(event.cause)
            except (StopAsyncIteration, Gone):
                continue
            except ApiError:
                await self.world.runtime.sleep(_RETRY_S)

    def _wake(self, cause: int | None) -> None:
        waiting, self._waiting = self._waiting, []
        for signal in waiting:
            signal.set(cause)

    def _take(self, resource: ResourceType, change: WatchType, obj: JsonObject) -> None:
        if resource is RAY_CLUSTER:
            service = labels_of(obj).get(ORIGINATED_FROM_CR_NAME)
            if service:
                self._take_cluster((key_of(obj)[0], service), name_of(obj), gone=change is WatchType.DELETED)
        elif resource is RAY_SERVICE:
            active = active_cluster(obj)
            history = self.history(key_of(obj))
            if active and (not history.active or history.active[-1] != active):
                history.active.append(active)

    def _take_cluster(self, service: tuple[str, str], name: str, *, gone: bool) -> None:
        history = self.history(service)
        if gone:
            if name in history.live:
                history.live.remove(name)
            return
        if name not in history.created:
            history.created.append(name)
        if name not in history.live:
            history.live.append(name)
            history.peak = max(history.peak, len(history.live))

    # Reading

    def history(self, service: tuple[str, str]) -> ClusterHistory:
        """By (namespace, name) of the RayService."""
        return self._histories.setdefault(service, ClusterHistory())

    def object(self, resource: ResourceType, name: str, namespace: str) -> JsonObject | None:
        for obj in self.world.objects(resource, namespace if resource.namespaced else ""):
            if name_of(obj) == name:
                return obj
        return None

    def service(self, name: str, namespace: str) -> JsonObject | None:
        """The RayService of that name; without a name the only one. Raises `InputError` when there are several."""
        if name:
            return self.object(RAY_SERVICE, name, namespace)
        services = self.world.objects(RAY_SERVICE)
        if len(services) > 1:
            names = ", ".join(name_of(obj) for obj in services)
            raise InputError(f"several RayServices: {names}", remedy="name the one that is meant")
        return services[0] if services else None

    def cluster(self, name: str, namespace: str) -> JsonObject | None:
        """The RayCluster of that name; without a name the only one. Raises `InputError` when there are several."""
        if name:
            return self.object(RAY_CLUSTER, name, namespace)
        clusters = self.world.objects(RAY_CLUSTER)
        if len(clusters) > 1:
            names = ", ".join(name_of(obj) for obj in clusters)
            raise InputError(f"several RayClusters: {names}", remedy="name the one that is meant")
        return clusters[0] if clusters else None

    def clusters_of(self, service: JsonObject) -> list[JsonObject]:
        namespace, name = key_of(service)
        return [
            cluster
            for cluster in self.world.objects(RAY_CLUSTER, namespace)
            if labels_of(cluster).get(ORIGINATED_FROM_CR_NAME) == name
        ]

    def pods(
        self,
        namespace: str,
        *,
        clusters: Iterable[str] | None = None,
        role: str = "",
        group: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> list[JsonObject]:
        """Pods with these labels; `clusters` are names of Ray clusters, any pod's when None."""
        wanted = dict(labels or {})
        if role:
            wanted[NODE_TYPE] = role
        if group:
            wanted[GROUP] = group
        of_clusters = None if clusters is None else list(clusters)
        found = []
        for pod in self.world.objects(POD, namespace):
            has = labels_of(pod)
            if of_clusters is not None and has.get(CLUSTER) not in of_clusters:
                continue
            if all(has.get(name) == value for name, value in wanted.items()):
                found.append(pod)
        return found

    def endpoints(self, service: str, namespace: str) -> dict[str, bool]:
        """Pods behind a Kubernetes Service and whether they take requests, from its EndpointSlices."""
        found: dict[str, bool] = {}
        for slice_ in self.world.objects(ENDPOINT_SLICE, namespace):
            if labels_of(slice_).get(_SERVICE_NAME) == service:
                for endpoint in slice_.get("endpoints") or ():
                    conditions = endpoint.get("conditions") or {}
                    found[(endpoint.get("targetRef") or {}).get("name", "")] = conditions.get("ready") is not False
        return found

    def accounting(self, name: str = "") -> Accounting:
        """Of one traffic, or of all."""
        if name:
            return self.traffic[name].accounting()
        if len(self.traffic) == 1:
            return next(iter(self.traffic.values())).accounting()
        return total(source.accounting() for source in self.traffic.values())

    @property
    def trace(self) -> Trace:
        return self.world.trace


def active_cluster(service: JsonObject) -> str:
    """Name of the active Ray cluster, empty when there is none."""
    return _cluster_in(service, "activeServiceStatus")


def pending_cluster(service: JsonObject) -> str:
    return _cluster_in(service, "pendingServiceStatus")


def _cluster_in(service: JsonObject, slot: str) -> str:
    status = service.get("status") or {}
    return str((status.get(slot) or {}).get("rayClusterName") or "")

"""The service proxy and cluster DNS: which pods a name, a cluster IP and a port lead to, as the packet rules of the nodes know it.

`ServiceTable` is what clients look at; `ServiceProxy` is the actor that follows Services and EndpointSlices and brings each change
into the table after a propagation delay. A real cluster has one proxy per node, each a little late in its own way; here one delay
per change stands for all of them. Source: kubernetes-api.md 11 and K8-078.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from rayrig_core.objects import JsonObject, labels_of
from rayrig_core.ports import Runtime, WatchType
from rayrig_core.resource_types import ENDPOINT_SLICE, SERVICE
from rayrig_core.timestamps import NS
from rayrig_core.trace import Kind
from rayrig_sim.calibration import Distribution
from rayrig_sim.kubernetes.endpoints.endpoints import SERVICE_NAME_LABEL
from rayrig_sim.kubernetes.object_cache import ObjectCaches


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a connection may go. `port` is the pod's port."""

    pod_ip: str
    pod_name: str
    port: int
    namespace: str = ""
    node_name: str = ""


@dataclass(frozen=True, slots=True)
class ServiceName:
    """What a host name or cluster IP stands for."""

    namespace: str
    name: str


class _Entry:
    """One service: its own object, its slices by name, and the tuples derived from them on demand."""

    __slots__ = ("backends", "cause", "service", "slices")

    def __init__(self) -> None:
        self.service: JsonObject | None = None
        self.slices: dict[str, JsonObject] = {}
        self.backends: dict[int | str, tuple[Backend, ...] | None] = {}
        self.cause: int | None = None


class ServiceTable:
    """Names, cluster IPs and backends. Reading is cheap: tuples are built when first asked for, kept until their service changes.

    `version` grows with each change of anything; a hot path may keep what it read for as long as `version` stays the same.
    """

    __slots__ = ("_cluster_ips", "_domain", "_entries", "version")

    def __init__(self, *, cluster_domain: str = "cluster.local") -> None:
        self.version = 0
        self._domain = cluster_domain
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._cluster_ips: dict[str, ServiceName] = {}

    # Reading

    def backends(self, namespace: str, service: str, port: int | str) -> tuple[Backend, ...]:
        """Where new connections to that port go: the ready endpoints; when none is ready, those that still serve while terminating.

        `port` is the Service's port number or port name. For a headless Service a number is the pod's own port, taken as it is.
        Empty when there is no such service or port, or nothing to send to.
        """
        return self._backends(namespace, service, port) or ()

    def has_port(self, namespace: str, service: str, port: int | str) -> bool:
        """Whether the service exists and has that port (a headless one has all)."""
        return self._backends(namespace, service, port) is not None

    def has_service(self, namespace: str, service: str) -> bool:
        entry = self._entries.get((namespace, service))
        return entry is not None and entry.service is not None

    def is_headless(self, namespace: str, service: str) -> bool:
        entry = self._entries.get((namespace, service))
        return entry is not None and entry.service is not None and entry.service["spec"].get("clusterIP") == "None"

    def pick(self, rng: Random, namespace: str, service: str, port: int | str) -> Backend | None:
        """One backend for one new connection, each with equal chance; None when there is none."""
        found = self._backends(namespace, service, port)
        if not found:
            return None
        return found[0] if len(found) == 1 else found[int(rng.random() * len(found))]

    def only_backend(self, namespace: str, service: str, port: int | str) -> Backend | None:
        """The backend that every new connection gets, where there is one alone."""
        found = self._backends(namespace, service, port)
        return found[0] if found is not None and len(found) == 1 else None

    def resolve(self, host: str, namespace: str = "default") -> ServiceName | None:
        """The service behind a host seen from `namespace`: a cluster IP, `svc`, `svc.ns`, `svc.ns.svc` or `svc.ns.svc.DOMAIN`."""
        by_ip = self._cluster_ips.get(host)
        if by_ip is not None:
            return by_ip
        labels = host.rstrip(".").removesuffix("." + self._domain).split(".")
        if len(labels) == 3 and labels[2] == "svc":
            labels.pop()
        if len(labels) == 1:
            labels.append(namespace)
        if len(labels) != 2:
            return None
        name = ServiceName(labels[1], labels[0])
        return name if self.has_service(name.namespace, name.name) else None

    def slices(self, namespace: str, service: str) -> dict[str, JsonObject]:
        """The slices of a service by name, in a dictionary of the caller's own."""
        entry = self._entries.get((namespace, service))
        return dict(entry.slices) if entry is not None else {}

    def cause_of(self, namespace: str, service: str) -> int | None:
        """Trace event of the last change of that service's rules."""
        entry = self._entries.get((namespace, service))
        return entry.cause if entry is not None else None

    # Writing: the service proxy

    def put_service(self, service: JsonObject, *, cause: int | None = None) -> None:
        meta = service["metadata"]
        entry = self._changed(meta.get("namespace", ""), meta["name"], cause)
        self._forget_cluster_ips(entry)
        entry.service = service
        for ip in _cluster_ips(service):
            self._cluster_ips[ip] = ServiceName(meta.get("namespace", ""), meta["name"])

    def remove_service(self, namespace: str, name: str, *, cause: int | None = None) -> None:
        entry = self._changed(namespace, name, cause)
        self._forget_cluster_ips(entry)
        entry.service = None
        self._drop_if_empty(namespace, name, entry)

    def put_slice(self, namespace: str, service: str, slice_: JsonObject, *, cause: int | None = None) -> None:
        self._changed(namespace, service, cause).slices[slice_["metadata"]["name"]] = slice_

    def remove_slice(self, namespace: str, service: str, slice_name: str, *, cause: int | None = None) -> None:
        entry = self._changed(namespace, service, cause)
        entry.slices.pop(slice_name, None)
        self._drop_if_empty(namespace, service, entry)

    def _changed(self, namespace: str, name: str, cause: int | None) -> _Entry:
        self.version += 1
        entry = self._entries.get((namespace, name))
        if entry is None:
            entry = self._entries[(namespace, name)] = _Entry()
        entry.backends.clear()
        entry.cause = cause
        return entry

    def _forget_cluster_ips(self, entry: _Entry) -> None:
        if entry.service is not None:
            for ip in _cluster_ips(entry.service):
                self._cluster_ips.pop(ip, None)

    def _drop_if_empty(self, namespace: str, name: str, entry: _Entry) -> None:
        if entry.service is None and not entry.slices:
            del self._entries[(namespace, name)]

    # Deriving

    def _backends(self, namespace: str, service: str, port: int | str) -> tuple[Backend, ...] | None:
        entry = self._entries.get((namespace, service))
        if entry is None or entry.service is None:
            return None
        try:
            return entry.backends[port]
        except KeyError:
            found = entry.backends[port] = _derive_backends(entry.service, entry.slices, port)
            return found


def _cluster_ips(service: JsonObject) -> list[str]:
    spec = service.get("spec") or {}
    ips = spec.get("clusterIPs") or [spec.get("clusterIP")]
    return [ip for ip in ips if ip and ip != "None"]


def _derive_backends(service: JsonObject, slices: dict[str, JsonObject], port: int | str) -> tuple[Backend, ...] | None:
    spec = service.get("spec") or {}
    is_headless = spec.get("clusterIP") == "None"
    port_name: str | None = None
    for entry in spec.get("ports") or ():
        if port in (entry["port"], entry.get("name")):
            port_name = entry.get("name", "")
            break
    if port_name is None and not (is_headless and isinstance(port, int)):
        return None
    ready: list[Backend] = []
    draining: list[Backend] = []
    for slice_name in sorted(slices):
        slice_ = slices[slice_name]
        target = port if is_headless and isinstance(port, int) else _slice_port(slice_, port_name or "")
        if not isinstance(target, int):
            continue
        for endpoint in slice_.get("endpoints") or ():
            conditions = endpoint.get("conditions") or {}
            if conditions.get("ready", True):
                group = ready
            elif conditions.get("serving") and conditions.get("terminating") and not is_headless:
                group = draining
            else:
                continue
            reference = endpoint.get("targetRef") or {}
            group.append(
                Backend(
                    endpoint["addresses"][0],
                    reference.get("name", ""),
                    target,
                    reference.get("namespace", service["metadata"].get("namespace", "")),
                    endpoint.get("nodeName", ""),
                )
            )
    return tuple(ready or draining)


def _slice_port(slice_: JsonObject, name: str) -> int | None:
    for entry in slice_.get("ports") or ():
        if (entry.get("name") or "") == name:
            number = entry.get("port")
            return int(number) if number is not None else None
    return None


class ServiceProxy:
    """Brings Services and EndpointSlices into a `ServiceTable`, each change after its own delay, those of one service in order."""

    def __init__(
        self, runtime: Runtime, caches: ObjectCaches, table: ServiceTable, *, delay: Distribution, rng: Random
    ) -> None:
        self._runtime = runtime
        self._table = table
        self._delay = delay
        self._rng = rng
        self._due_ns: dict[tuple[str, str], int] = {}
        #: Ready endpoints of the slices in effect, by service and slice.
        self._ready: dict[tuple[str, str], dict[str, int]] = {}
        caches.of(SERVICE).on_change(self._on_service)
        caches.of(ENDPOINT_SLICE).on_change(self._on_slice)

    def _on_service(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if old is not None and type_ is WatchType.MODIFIED and old.get("spec") == new.get("spec"):
            return
        meta = new["metadata"]
        self._later(meta.get("namespace", ""), meta["name"], new, type_, cause, is_slice=False)

    def _on_slice(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        service = labels_of(new).get(SERVICE_NAME_LABEL)
        if service:
            self._later(new["metadata"].get("namespace", ""), service, new, type_, cause, is_slice=True)

    def _later(
        self, namespace: str, service: str, obj: JsonObject, type_: WatchType, cause: int | None, *, is_slice: bool
    ) -> None:
        now = self._runtime.monotonic_ns()
        due = max(now + self._delay.draw_ns(self._rng), self._due_ns.get((namespace, service), 0))
        self._due_ns[(namespace, service)] = due
        change = self._apply(due - now, namespace, service, obj, type_, cause, is_slice)
        self._runtime.spawn("service-proxy", change)

    async def _apply(
        self,
        wait_ns: int,
        namespace: str,
        service: str,
        obj: JsonObject,
        type_: WatchType,
        cause: int | None,
        is_slice: bool,
    ) -> None:
        await self._runtime.sleep(wait_ns / NS)
        if self._due_ns.get((namespace, service)) == self._runtime.monotonic_ns():
            del self._due_ns[(namespace, service)]
        table = self._table
        if not is_slice:
            if type_ is WatchType.DELETED:
                table.remove_service(namespace, service, cause=cause)
            else:
                table.put_service(obj, cause=cause)
            return
        slice_name = obj["metadata"]["name"]
        ready = self._ready.setdefault((namespace, service), {})
        if type_ is WatchType.DELETED:
            ready.pop(slice_name, None)
        else:
            ready[slice_name] = _ready_endpoints(obj)
        total = sum(ready.values())
        if not ready:
            del self._ready[namespace, service]
        applied = self._runtime.trace.emit(
            Kind.ENDPOINTS, f"services/{namespace}/{service}", total, "in effect", cause=cause
        )
        if type_ is WatchType.DELETED:
            table.remove_slice(namespace, service, slice_name, cause=applied)
        else:
            table.put_slice(namespace, service, obj, cause=applied)


def _ready_endpoints(slice_: JsonObject) -> int:
    return sum(bool((one.get("conditions") or {}).get("ready", True)) for one in slice_.get("endpoints") or ())

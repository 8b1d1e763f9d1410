"""The endpoints controller: for each Service with a selector an Endpoints object of its name, for clients that still read those.

Pods on their way out are left out at once, other than in slices. Source: kubernetes-api.md 11; Kubernetes, "Services" (Endpoints).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from rayrig_core.errors import NotFound
from rayrig_core.objects import (
    JsonObject,
    Vouched,
    annotations_of,
    condition_of,
    has_condition,
    is_being_deleted,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from rayrig_core.ports import KubernetesClient, Runtime, WatchType
from rayrig_core.resource_types import ENDPOINTS, POD, SERVICE
from rayrig_core.timestamps import parse_rfc3339, rfc3339
from rayrig_sim.kubernetes.controlled_objects import ControlledObjects
from rayrig_sim.kubernetes.endpoints.endpoint_slices import HEADLESS_LABEL
from rayrig_sim.kubernetes.endpoints.endpoints import PortResolver, is_terminal, pod_ip, resolve_ports
from rayrig_sim.kubernetes.endpoints.services_by_label import ServicesByLabel
from rayrig_sim.kubernetes.keyed_work import KeyedWork
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches, Part
from rayrig_sim.kubernetes.pod_states import PodStates
from rayrig_sim.kubernetes.selectors import equality_selector

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
_MANAGER = "endpoint-controller"
_CHANGED = "endpoints.kubernetes.io/last-change-trigger-time"
#: (name, protocol, number, application protocol), as in `Ports`.
_Port = tuple[str, str, int, str]
#: (address, uid).
_Place = tuple[str, str]


class _Addresses:
    """Addresses in the order of their places."""

    __slots__ = ("places", "shown")

    def __init__(self) -> None:
        self.places: list[_Place] = []
        self.shown: list[JsonObject] = []

    def put(self, place: _Place, address: JsonObject) -> None:
        index = bisect_left(self.places, place)
        self.places.insert(index, place)
        self.shown.insert(index, address)

    def remove(self, place: _Place) -> None:
        index = bisect_left(self.places, place)
        del self.places[index], self.shown[index]

    def clear(self) -> None:
        self.places.clear()
        self.shown.clear()


class _Followed:
    """A Service with a selector: its pods, and when it and they last changed, in nanoseconds, by uid."""

    __slots__ = (
        "addresses",
        "changed",
        "is_whole",
        "members",
        "ports",
        "ready",
        "resolver",
        "seen",
        "service",
        "unready",
    )

    def __init__(self, service: JsonObject) -> None:
        self.service = service
        self.members: dict[Key, None] = {}
        self.seen: dict[str, int] = {}
        #: Members that changed since the last look; all of them are looked at when it is whole.
        self.changed: dict[Key, None] = {}
        self.is_whole = True
        #: Addresses of members when all of them have the same ports, in order, and what is shown of each member.
        self.ports: tuple[_Port, ...] = ()
        self.ready = _Addresses()
        self.unready = _Addresses()
        self.addresses: dict[Key, tuple[bool, _Place, JsonObject]] = {}
        self.resolver = PortResolver()

    def take(self, key: Key, pod: JsonObject | None) -> bool:
        """Look at a member, or at one that went. False when its ports are not those of the others."""
        had = self.addresses.pop(key, None)
        if had is not None:
            (self.ready if had[0] else self.unready).remove(had[1])
        if pod is None:
            return True
        service = self.service
        always = bool(service["spec"].get("publishNotReadyAddresses"))
        if not _is_listed(pod, always):
            return True
        ports = self.resolver.ports(service, pod)
        if not self.addresses:
            self.ports = ports
        elif ports != self.ports:
            return False
        is_ready, place = always or has_condition(pod, "Ready"), (pod_ip(pod), uid_of(pod))
        # What is shown of an address stays as it is.
        address = had[2] if had is not None and had[1] == place else _address(service, pod)
        (self.ready if is_ready else self.unready).put(place, address)
        self.addresses[key] = (is_ready, place, address)
        return True

    def subsets(self) -> list[JsonObject]:
        """As `subsets_of`, of what was taken."""
        subset: JsonObject = {}
        if self.ready.shown:
            subset["addresses"] = self.ready.shown.copy()
        if self.unready.shown:
            subset["notReadyAddresses"] = self.unready.shown.copy()
        if subset:
            subset["ports"] = [_port_json(port) for port in self.ports]
        return [subset] if subset else []


def _is_listed(pod: JsonObject, always: bool) -> bool:
    return bool(pod_ip(pod)) and not is_terminal(pod) and (always or not is_being_deleted(pod))


class EndpointsController:
    """Works in the handlers of its caches; there is an actor for a Service while there is something to do for it."""

    def __init__(
        self, runtime: Runtime, client: KubernetesClient, caches: ObjectCaches, pods: ControlledObjects
    ) -> None:
        self._client = client
        self._pods = pods
        self._services = caches.of(SERVICE)
        self._endpoints = ControlledObjects(caches, ENDPOINTS)
        self._selected = ServicesByLabel()
        self._followed: dict[Key, _Followed] = {}
        self._work = KeyedWork(runtime, caches, "endpoints-controller", self._sync)
        self._services.on_change(self._on_service)
        self._states = caches.shared(PodStates)
        caches.of(POD).on_change(self._on_pod, Part.LABELS | Part.SPEC | Part.STATUS | Part.DELETION)
        caches.of(ENDPOINTS).on_change(self._on_endpoints)

    def _on_service(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        key = key_of(new)
        selector = (new.get("spec") or {}).get("selector")
        if type_ is WatchType.DELETED or not selector:
            self._selected.drop(*key)
            self._followed.pop(key, None)
        else:
            followed = self._followed.get(key)
            if followed is None or uid_of(followed.service) != uid_of(new):
                followed = self._followed[key] = _Followed(new)
            if old is None or old.get("spec") != new.get("spec") or not followed.members:
                self._selected.put(*key, selector)
                wanted = equality_selector(selector)
                within = self._pods.within(key[0])
                followed.members = {key_of(pod): None for pod in within if wanted.matches(labels_of(pod))}
            followed.service, followed.is_whole = new, True
        self._work.touch(key, cause)

    def _on_pod(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if not self._followed:
            return
        had, has = self._states.before_and_after(old, new)
        if type_ is WatchType.MODIFIED and had == has:
            return
        pod = has.key
        names = self._selected.of(pod[0], has.labels)
        before = names
        if had is not None and had.labels is not has.labels:
            before = self._selected.of(pod[0], had.labels)
        for name in sorted({*names, *before}) if before != names else names:
            key = (pod[0], name)
            followed = self._followed[key]
            if type_ is WatchType.DELETED or name not in names:
                followed.members.pop(pod, None)
                followed.seen.pop(uid_of(new), None)
            else:
                followed.members[pod] = None
            followed.changed[pod] = None
            self._work.touch(key, cause)

    def _on_endpoints(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if type_ is WatchType.DELETED and key_of(new) in self._followed:
            self._work.touch(key_of(new), cause)

    async def _sync(self, key: Key) -> None:
        namespace, name = key
        service, current = self._services.get(name, namespace), self._endpoints.get(key)
        if service is None:
            if current is not None:
                try:
                    await self._client.delete(ENDPOINTS, name, namespace)
                except NotFound:
                    return
                self._endpoints.removed(current)
            return
        spec = service.get("spec") or {}
        if spec.get("type") == "ExternalName" or not spec.get("selector"):
            return
        followed = self._followed.get(key)
        if followed is None:
            return
        changed_ns = self._first_change(followed)
        subsets = self._subsets(followed)
        labels = {**labels_of(service), MANAGED_BY: _MANAGER}
        if spec.get("clusterIP") == "None":
            labels[HEADLESS_LABEL] = ""
        if current is not None and (current.get("subsets") or []) == subsets and labels_of(current) == labels:
            return
        annotations = {name: value for name, value in annotations_of(current or service).items() if name != _CHANGED}
        if current is None:
            annotations = {}
        if changed_ns is not None:
            annotations[_CHANGED] = rfc3339(changed_ns)
        metadata = dict(current["metadata"]) if current is not None else {"name": name, "namespace": namespace}
        metadata["labels"] = labels
        metadata.pop("annotations", None)
        if annotations:
            metadata["annotations"] = annotations
        body = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}
        if subsets:
            body["subsets"] = subsets
        if current is None:
            written = await self._client.create(ENDPOINTS, body, namespace)
        else:
            written = await self._client.update(ENDPOINTS, Vouched(body))
        self._endpoints.wrote(written)

    def _members(self, followed: _Followed) -> list[JsonObject]:
        return [pod for pod in map(self._pods.get, followed.members) if pod is not None]

    def _subsets(self, followed: _Followed) -> list[JsonObject]:
        """What is to be written, from the members that changed if that is enough."""
        if followed.is_whole:
            followed.ready.clear()
            followed.unready.clear()
            followed.addresses.clear()
        looked_at = dict(followed.members if followed.is_whole else followed.changed)
        followed.changed.clear()
        followed.is_whole = True
        if not followed.service["spec"].get("ports"):
            return subsets_of(followed.service, self._members(followed))
        for key in looked_at:
            pod = self._pods.get(key) if key in followed.members else None
            if not followed.take(key, pod):
                return subsets_of(followed.service, self._members(followed))
        if followed.addresses and not followed.ports:
            return subsets_of(followed.service, self._members(followed))
        followed.is_whole = False
        return followed.subsets()

    def _first_change(self, followed: _Followed) -> int | None:
        """The earliest of the changes since the last look that led to this one."""
        service, seen = followed.service, followed.seen
        now = {uid_of(service): parse_rfc3339(service["metadata"]["creationTimestamp"])}
        if followed.is_whole:
            followed.seen = now
            pods = self._members(followed)
        else:
            pods = [pod for key in followed.changed if key in followed.members and (pod := self._pods.get(key))]
        for pod in pods:
            since = (condition_of(pod, "Ready") or {}).get("lastTransitionTime")
            if since:
                now[uid_of(pod)] = parse_rfc3339(since)
        first = min((at for uid, at in now.items() if seen.get(uid, -1) < at), default=None)
        followed.seen.update(now)
        return first


def subsets_of(service: JsonObject, pods: Sequence[JsonObject]) -> list[JsonObject]:
    """Addresses by the ports they have, each ready or not; ports with the same addresses are in one subset. Pure."""
    spec = service.get("spec") or {}
    always = bool(spec.get("publishNotReadyAddresses"))
    by_port: dict[_Port | None, dict[tuple[str, str], tuple[JsonObject, bool]]] = {}
    for pod in pods:
        if not _is_listed(pod, always):
            continue
        entry = _address(service, pod), always or has_condition(pod, "Ready")
        if not spec.get("ports"):
            by_port.setdefault(None, {})[pod_ip(pod), uid_of(pod)] = entry
        for port in resolve_ports(service, pod):
            by_port.setdefault(port, {})[pod_ip(pod), uid_of(pod)] = entry
    groups: dict[tuple[tuple[tuple[str, str], bool], ...], list[_Port | None]] = {}
    for shown_port, addresses in by_port.items():
        members = tuple((key, addresses[key][1]) for key in sorted(addresses))
        groups.setdefault(members, []).append(shown_port)
    subsets = []
    for members, ports in groups.items():
        entries = by_port[ports[0]]
        subset: JsonObject = {}
        for field, wanted in (("addresses", True), ("notReadyAddresses", False)):
            found = [entries[key][0] for key, is_ready in members if is_ready is wanted]
            if found:
                subset[field] = found
        named = [_port_json(port) for port in ports if port is not None]
        if named:
            subset["ports"] = named
        subsets.append(subset)
    return subsets


def _address(service: JsonObject, pod: JsonObject) -> JsonObject:
    spec = pod.get("spec") or {}
    address: JsonObject = {"ip": pod_ip(pod)}
    if spec.get("hostname") and spec.get("subdomain") == name_of(service):
        address["hostname"] = spec["hostname"]
    if spec.get("nodeName"):
        address["nodeName"] = spec["nodeName"]
    address["targetRef"] = {
        "kind": "Pod",
        "namespace": namespace_of(pod),
        "name": name_of(pod),
        "uid": uid_of(pod),
    }
    return address


def _port_json(port: _Port) -> JsonObject:
    name, protocol, number, application = port
    shown: JsonObject = {"name": name} if name else {}
    shown |= {"port": number, "protocol": protocol}
    if application:
        shown["appProtocol"] = application
    return shown

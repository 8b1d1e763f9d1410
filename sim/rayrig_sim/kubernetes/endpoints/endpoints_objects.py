"""The endpoints controller: for each Service with a selector an Endpoints object of its name, for clients that still read those.

Pods on their way out are left out at once, other than in slices. Source: kubernetes-api.md 11; Kubernetes, "Services" (Endpoints).
"""

from __future__ import annotations

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
from rayrig_sim.kubernetes.endpoints.endpoints import is_terminal, pod_ip, target_port
from rayrig_sim.kubernetes.keyed_work import KeyedWork
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches
from rayrig_sim.kubernetes.selectors import LabelSelector, equality_selector

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
_MANAGER = "endpoint-controller"
_CHANGED = "endpoints.kubernetes.io/last-change-trigger-time"
#: (name, number, protocol, application protocol).
_Port = tuple[str, int, str, str]


class EndpointsController:
    """Works in the handlers of its caches; there is an actor for a Service while there is something to do for it."""

    def __init__(
        self, runtime: Runtime, client: KubernetesClient, caches: ObjectCaches, pods: ControlledObjects
    ) -> None:
        self._client = client
        self._pods = pods
        self._services = caches.of(SERVICE)
        self._endpoints = ControlledObjects(caches, ENDPOINTS)
        self._selectors: dict[str, dict[Key, LabelSelector]] = {}
        #: When the Service and its pods last changed, in nanoseconds, by uid.
        self._seen: dict[Key, dict[str, int]] = {}
        self._work = KeyedWork(runtime, caches, "endpoints-controller", self._sync)
        self._services.on_change(self._on_service)
        caches.of(POD).on_change(self._on_pod)
        caches.of(ENDPOINTS).on_change(self._on_endpoints)

    def _on_service(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        key = key_of(new)
        selectors = self._selectors.setdefault(key[0], {})
        if type_ is WatchType.DELETED:
            selectors.pop(key, None)
        else:
            selectors[key] = equality_selector((new.get("spec") or {}).get("selector"))
        self._work.touch(key, cause)

    def _on_pod(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        selectors = self._selectors.get(namespace_of(new))
        if not selectors or (old is not None and type_ is WatchType.MODIFIED and _shown(old) == _shown(new)):
            return
        labels = labels_of(new)
        for key, selector in selectors.items():
            if selector.matches(labels) or (old is not None and selector.matches(labels_of(old))):
                self._work.touch(key, cause)

    def _on_endpoints(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if type_ is WatchType.DELETED and key_of(new) in self._selectors.get(namespace_of(new), {}):
            self._work.touch(key_of(new), cause)

    async def _sync(self, key: Key) -> None:
        namespace, name = key
        service, current = self._services.get(name, namespace), self._endpoints.get(key)
        if service is None:
            self._seen.pop(key, None)
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
        selector = equality_selector(spec["selector"])
        pods = [pod for pod in self._pods.within(namespace) if selector.matches(labels_of(pod))]
        subsets = subsets_of(service, pods)
        labels = {**labels_of(service), MANAGED_BY: _MANAGER}
        if spec.get("clusterIP") == "None":
            labels[HEADLESS_LABEL] = ""
        changed_ns = self._first_change(key, service, pods)
        if current is not None and (current.get("subsets") or []) == subsets and labels_of(current) == labels:
            return
        annotations = {name: value for name, value in annotations_of(current or service).items() if name != _CHANGED}
        if current is None:
            annotations = {}
        if changed_ns is not None:
            annotations[_CHANGED] = rfc3339(changed_ns)
        metadata = dict(current["metadata"]) if current is not None else {"name": name, "namespace": namespace}
        metadata |= {"labels": labels, "annotations": annotations}
        body = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}
        if subsets:
            body["subsets"] = subsets
        if current is None:
            written = await self._client.create(ENDPOINTS, body, namespace)
        else:
            written = await self._client.update(ENDPOINTS, Vouched(body))
        self._endpoints.wrote(written)

    def _first_change(self, key: Key, service: JsonObject, pods: Sequence[JsonObject]) -> int | None:
        """The earliest of the changes since the last look that led to this one."""
        before, now = (
            self._seen.get(key, {}),
            {uid_of(service): parse_rfc3339(service["metadata"]["creationTimestamp"])},
        )
        for pod in pods:
            since = (condition_of(pod, "Ready") or {}).get("lastTransitionTime")
            if since:
                now[uid_of(pod)] = parse_rfc3339(since)
        self._seen[key] = now
        return min((at for uid, at in now.items() if before.get(uid, -1) < at), default=None)


def subsets_of(service: JsonObject, pods: Sequence[JsonObject]) -> list[JsonObject]:
    """Addresses by the ports they have, each ready or not; ports with the same addresses are in one subset. Pure."""
    spec = service.get("spec") or {}
    always = bool(spec.get("publishNotReadyAddresses"))
    by_port: dict[_Port | None, dict[tuple[str, str], tuple[JsonObject, bool]]] = {}
    for pod in pods:
        if not pod_ip(pod) or is_terminal(pod) or (is_being_deleted(pod) and not always):
            continue
        entry = _address(service, pod), always or has_condition(pod, "Ready")
        if not spec.get("ports"):
            by_port.setdefault(None, {})[pod_ip(pod), uid_of(pod)] = entry
        for port in spec.get("ports") or ():
            number = target_port(port, pod)
            if number is not None:
                shown = port.get("name") or "", number, port.get("protocol") or "TCP", port.get("appProtocol") or ""
                by_port.setdefault(shown, {})[pod_ip(pod), uid_of(pod)] = entry
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
    name, number, protocol, application = port
    shown: JsonObject = {"name": name} if name else {}
    shown |= {"port": number, "protocol": protocol}
    if application:
        shown["appProtocol"] = application
    return shown


def _shown(pod: JsonObject) -> tuple[object, ...]:
    """What an address shows of a pod, and what decides whether it is listed."""
    return (
        pod_ip(pod),
        has_condition(pod, "Ready"),
        is_being_deleted(pod),
        is_terminal(pod),
        (pod.get("spec") or {}).get("nodeName"),
        labels_of(pod),
    )

"""The mirroring controller: slices for Endpoints objects that somebody wrote for a Service without a selector.

Source: Kubernetes, "EndpointSlices" (mirroring).
"""

from __future__ import annotations

from collections.abc import Sequence

from rayrig_core.errors import NotFound
from rayrig_core.objects import JsonObject, annotations_of, key_of, labels_of, name_of, namespace_of
from rayrig_core.ports import KubernetesClient, Runtime, WatchType
from rayrig_core.resource_types import ENDPOINT_SLICE, ENDPOINTS, SERVICE
from rayrig_sim.kubernetes.controlled_objects import ControlledObjects, controller_reference
from rayrig_sim.kubernetes.endpoints.endpoint_slices import MANAGED_BY_LABEL
from rayrig_sim.kubernetes.endpoints.endpoints import SERVICE_NAME_LABEL
from rayrig_sim.kubernetes.keyed_work import KeyedWork
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches

MANAGER = "endpointslicemirroring-controller.k8s.io"
_SKIPPED = "endpointslice.kubernetes.io/skip-mirror"
_NOT_COPIED = (
    "endpoints.kubernetes.io/last-change-trigger-time",
    "kubectl.kubernetes.io/last-applied-configuration",
)
_LEADER = "control-plane.alpha.kubernetes.io/leader"


class MirroringController:
    """Works in the handlers of its caches; there is an actor for an Endpoints object while there is something to do for it."""

    def __init__(self, runtime: Runtime, client: KubernetesClient, caches: ObjectCaches) -> None:
        self._client = client
        self._services = caches.of(SERVICE)
        self._endpoints = caches.of(ENDPOINTS)
        self._slices = ControlledObjects(caches, ENDPOINT_SLICE)
        self._work = KeyedWork(runtime, caches, "endpointslicemirroring-controller", self._sync)
        self._endpoints.on_change(self._on_endpoints)
        self._services.on_change(self._on_service)

    def _on_endpoints(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        if self._is_mirrored(new) or (old is not None and self._is_mirrored(old)):
            self._work.touch(key_of(new), cause)

    def _on_service(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        key = key_of(new)
        if self._endpoints.get(key[1], key[0]) is None:
            return
        had = bool((old or {}).get("spec", {}).get("selector"))
        if old is None or type_ is WatchType.DELETED or had != bool(new["spec"].get("selector")):
            self._work.touch(key, cause)

    def _is_mirrored(self, endpoints: JsonObject) -> bool:
        if labels_of(endpoints).get(_SKIPPED) == "true" or _LEADER in annotations_of(endpoints):
            return False
        service = self._services.get(name_of(endpoints), namespace_of(endpoints))
        return service is None or not service["spec"].get("selector")

    async def _sync(self, key: Key) -> None:
        namespace, name = key
        service = self._services.get(name, namespace)
        endpoints = self._endpoints.get(name, namespace)
        wanted: list[JsonObject] = []
        if endpoints is not None and service is not None and self._is_mirrored(endpoints):
            wanted = mirrored(endpoints)
        existing = [
            each
            for each in self._slices.within(namespace)
            if labels_of(each).get(MANAGED_BY_LABEL) == MANAGER and labels_of(each).get(SERVICE_NAME_LABEL) == name
        ]
        for body in wanted:
            match = next((each for each in existing if _same_ports(each, body)), None)
            if match is None:
                self._slices.wrote(await self._client.create(ENDPOINT_SLICE, body, namespace))
                continue
            existing.remove(match)
            if _content(match) != _content(body):
                kept = {
                    field: match["metadata"][field]
                    for field in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
                }
                body["metadata"] = {**body["metadata"], **kept}
                del body["metadata"]["generateName"]
                self._slices.wrote(await self._client.update(ENDPOINT_SLICE, body))
        for left in existing:
            try:
                await self._client.delete(ENDPOINT_SLICE, name_of(left), namespace)
            except NotFound:
                continue
            self._slices.removed(left)


def mirrored(endpoints: JsonObject) -> list[JsonObject]:
    """A slice for each family of addresses and set of ports. Pure."""
    labels = {name: value for name, value in labels_of(endpoints).items() if name != _SKIPPED}
    labels |= {SERVICE_NAME_LABEL: name_of(endpoints), MANAGED_BY_LABEL: MANAGER}
    annotations = {name: value for name, value in annotations_of(endpoints).items() if name not in _NOT_COPIED}
    slices: list[JsonObject] = []
    for subset in endpoints.get("subsets") or ():
        for family in ("IPv4", "IPv6"):
            found = _endpoints_of(subset, family)
            if not found:
                continue
            ports = [{"name": "", **port} for port in subset.get("ports") or ()]
            body: JsonObject = {
                "apiVersion": ENDPOINT_SLICE.api_version,
                "kind": ENDPOINT_SLICE.kind,
                "metadata": {
                    "generateName": f"{name_of(endpoints)}-",
                    "namespace": namespace_of(endpoints),
                    "labels": labels,
                    "annotations": annotations,
                    "ownerReferences": [controller_reference(endpoints, ENDPOINTS)],
                },
                "addressType": family,
                "endpoints": found,
                "ports": ports or None,
            }
            same = next((each for each in slices if _same_ports(each, body)), None)
            if same is None:
                slices.append(body)
            else:
                same["endpoints"] += found
    return slices


def _endpoints_of(subset: JsonObject, family: str) -> list[JsonObject]:
    found = []
    for field, is_ready in (("addresses", True), ("notReadyAddresses", False)):
        for address in subset.get(field) or ():
            if (":" in address["ip"]) is (family == "IPv6"):
                endpoint: JsonObject = {"addresses": [address["ip"]], "conditions": {"ready": is_ready}}
                for name in ("hostname", "nodeName", "targetRef"):
                    if address.get(name):
                        endpoint[name] = address[name]
                found.append(endpoint)
    return found


def _same_ports(one: JsonObject, other: JsonObject) -> bool:
    return one["addressType"] == other["addressType"] and _ports(one) == _ports(other)


def _ports(slice_: JsonObject) -> Sequence[tuple[object, ...]]:
    return [
        (port.get("name") or "", port.get("port"), port.get("protocol") or "TCP", port.get("appProtocol") or "")
        for port in slice_.get("ports") or ()
    ]


def _content(slice_: JsonObject) -> tuple[object, ...]:
    return slice_.get("endpoints"), labels_of(slice_), annotations_of(slice_)

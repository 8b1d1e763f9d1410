"""What a fault is aimed at: the RayService, its Ray cluster, a pod of it. Names that do not exist are an `InputError`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rayrig_core.errors import InputError
from rayrig_core.objects import JsonObject, labels_of, name_of, namespace_of
from rayrig_core.resource_types import POD, RAY_SERVICE, ResourceType
from rayrig_core.resources import labels

Objects = Callable[[ResourceType, str], list[JsonObject]]
Params = Mapping[str, Any]

_SLOT = {"active": "activeServiceStatus", "pending": "pendingServiceStatus"}


class Targets:
    """Looks targets up among the objects as they are now."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def service(self, params: Params) -> JsonObject:
        namespace, wanted = params["namespace"], params["service"]
        services = self._objects(RAY_SERVICE, namespace)
        if wanted is None and len(services) == 1:
            return services[0]
        names = [name_of(service) for service in services]
        if wanted is None:
            what = (
                f"there are several RayServices in {namespace}"
                if services
                else f"there is no RayService in {namespace}"
            )
            raise InputError(what, remedy=f"say which: service: {' | '.join(names)}" if names else "apply one first")
        for service in services:
            if name_of(service) == wanted:
                return service
        raise InputError(
            f'there is no RayService "{wanted}" in {namespace}', remedy="there is: " + (", ".join(names) or "none")
        )

    def cluster(self, params: Params) -> tuple[str, str]:
        """(namespace, name) of the Ray cluster in the slot that `cluster` names."""
        service = self.service(params)
        slot = (service.get("status") or {}).get(_SLOT[params["cluster"]]) or {}
        name = slot.get("rayClusterName")
        if not name:
            raise InputError(
                f'RayService "{name_of(service)}" has no {params["cluster"]} cluster now',
                remedy="wait for it in a step before",
            )
        return namespace_of(service), name

    def pods(self, params: Params) -> list[JsonObject]:
        """Pods of the cluster with that role and group, in order of creation."""
        namespace, cluster = self.cluster(params)
        role, group = params["role"], params["group"]
        found = [
            pod
            for pod in self._objects(POD, namespace)
            if labels_of(pod).get(labels.CLUSTER) == cluster
            and labels_of(pod).get(labels.NODE_TYPE) == role
            and (group is None or labels_of(pod).get(labels.GROUP) == group)
        ]
        return sorted(found, key=lambda pod: (pod["metadata"]["creationTimestamp"], name_of(pod)))

    def pod(self, params: Params) -> JsonObject:
        if params["pod"] is not None:
            for pod in self._objects(POD, params["namespace"]):
                if name_of(pod) == params["pod"]:
                    return pod
            raise InputError(
                f'there is no pod "{params["pod"]}" in {params["namespace"]}', remedy="choose it by role and index"
            )
        pods = self.pods(params)
        index = params["index"]
        if index >= len(pods):
            raise InputError(
                f"there are {len(pods)} {params['role']} pods to choose from, none has index {index}",
                remedy="indices begin with 0",
            )
        return pods[index]

    def head(self, params: Params) -> JsonObject:
        return self.pod({**params, "pod": None, "role": "head", "group": None, "index": 0})

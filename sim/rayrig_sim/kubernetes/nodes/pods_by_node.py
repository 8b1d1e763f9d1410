"""Pods of each node, kept beside a pod cache for the controllers that ask node by node."""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_core.ports import WatchType
from rayrig_core.resource_types import POD
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches, Part


class PodsByNode:
    """An index over `spec.nodeName`. Objects are shared; pods without a node are not in it."""

    def __init__(self, caches: ObjectCaches) -> None:
        self._pods = caches.of(POD)
        self._by_node: dict[str, dict[Key, None]] = {}
        self._pods.on_change(self._on_pod, Part.SPEC)

    def on(self, node: str) -> list[JsonObject]:
        """The pods of a node, in the order in which they came."""
        found = (self._pods.get(name, namespace) for namespace, name in self._by_node.get(node, ()))
        return [pod for pod in found if pod is not None]

    def nodes(self) -> list[str]:
        """Nodes that have pods."""
        return list(self._by_node)

    def _on_pod(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        meta = new["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        node = (new.get("spec") or {}).get("nodeName")
        if old is None:
            before = None
        else:
            before = (old.get("spec") or {}).get("nodeName")
        if before and (before != node or type_ is WatchType.DELETED):
            self._drop(before, key)
        if node and type_ is not WatchType.DELETED:
            self._by_node.setdefault(node, {})[key] = None

    def _drop(self, node: str, key: Key) -> None:
        pods = self._by_node.get(node)
        if pods is not None:
            pods.pop(key, None)
            if not pods:
                del self._by_node[node]

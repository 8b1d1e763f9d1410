"""Nodes for a scenario that names none: enough for two clusters of each RayService at once, as an upgrade needs, and for the
pods of all other workloads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rayrig_backends.world import NodeSpec
from rayrig_core.objects import JsonObject
from rayrig_core.resources.quantities import milli, whole

_GIB = 1 << 30
#: A node of these is what every pool begins with; larger pods get larger nodes.
_NODE_CPU_MILLIS, _NODE_MEMORY, _NODE_DEVICES = 16_000, 64 * _GIB, 8
#: A host of these has as many as one pod asks for, and is its alone: a TPU slice is made of such hosts.
_WHOLE_HOSTS = ("google.com/tpu",)
_NODE_PODS = 110
#: Kinds with pods, and the field that says how many (of a DaemonSet one goes with each node).
_PODS: Mapping[str, str | None] = {
    "Pod": None,
    "Deployment": "replicas",
    "ReplicaSet": "replicas",
    "StatefulSet": "replicas",
    "DaemonSet": None,
    "Job": "parallelism",
}
_MOST_PODS = 5000
#: An autoscaled group counts with at most this many workers.
_AUTOSCALED_WORKERS = 10


@dataclass(frozen=True, slots=True)
class PodNeed:
    """What one pod asks for: CPU in thousandths, memory in bytes, devices (`nvidia.com/gpu`) and other resources by name; all as
    sorted pairs, and so is its nodeSelector."""

    cpu_millis: int
    memory: int
    devices: tuple[tuple[str, int], ...]
    others: tuple[tuple[str, int], ...]
    selector: tuple[tuple[str, str], ...]


def nodes_for(objects: Iterable[JsonObject]) -> tuple[NodeSpec, ...]:
    """One pool per nodeSelector and kind of device; a single 16-CPU node when that is enough.

    Pods without devices may land on any pool, so nodes with devices or labels have room for all of those besides their own.
    """
    pools: dict[tuple[tuple[tuple[str, str], ...], tuple[str, ...]], list[PodNeed]] = {}
    for obj in objects:
        for need in pod_needs(obj, clusters=2):
            devices = tuple(name for name, _ in need.devices)
            pools.setdefault((need.selector, devices), []).append(need)
    if not pools:
        return (NodeSpec("node"),)
    plain = pools.get(((), ()), [])
    found = []
    for index, ((selector, devices), needs) in enumerate(pools.items()):
        name = f"node-{'-'.join(d.rpartition('/')[2] for d in devices) or 'pool'}-{index}" if index else "node"
        found.append(_pool(name, needs, plain if selector or devices else []))
    return tuple(found)


def _pool(name: str, needs: list[PodNeed], guests: list[PodNeed]) -> NodeSpec:
    """Nodes that hold the needs, packed first-fit, each with room for all guests."""
    cpu = max(_NODE_CPU_MILLIS, *(need.cpu_millis for need in needs))
    memory = max(_NODE_MEMORY, *(need.memory for need in needs))
    devices = {
        device: max(0 if device in _WHOLE_HOSTS else _NODE_DEVICES, *(dict(need.devices)[device] for need in needs))
        for device, _ in needs[0].devices
    }
    free: list[list[int]] = []
    whole_node = [cpu, memory, _NODE_PODS, *devices.values()]
    for need in sorted(needs, key=lambda n: (n.cpu_millis, n.memory), reverse=True):
        asked = [need.cpu_millis, need.memory, 1, *(dict(need.devices)[device] for device in devices)]
        node = next((left for left in free if all(a <= b for a, b in zip(asked, left, strict=True))), None)
        if node is None:
            node = list(whole_node)
            free.append(node)
        node[:] = [b - a for a, b in zip(asked, node, strict=True)]
    cpu += sum(guest.cpu_millis for guest in guests)
    memory += sum(guest.memory for guest in guests)
    others: dict[str, int] = {}
    for need in (*needs, *guests):
        for other, amount in need.others:
            others[other] = others.get(other, 0) + amount
    return NodeSpec(
        prefix=name,
        # The scheduler spreads pods rather than packs them, which takes up to a node more.
        count=len(free) + 1 if len(free) > 1 and not any(device in _WHOLE_HOSTS for device in devices) else len(free),
        cpu=f"{cpu}m" if cpu % 1000 else str(cpu // 1000),
        memory=f"{-(-memory // _GIB)}Gi",
        extended={resource: str(amount) for resource, amount in (*devices.items(), *others.items())},
        labels=dict(needs[0].selector),
    )


def pod_needs(obj: JsonObject, *, clusters: int = 1) -> Iterator[PodNeed]:
    """What the pods of a RayService (so many clusters of it), a RayCluster, a Pod or a workload ask for; nothing for others."""
    spec = obj.get("spec") or {}
    if obj.get("kind") == "RayService":
        spec = spec.get("rayClusterConfig") or {}
    elif obj.get("kind") == "RayCluster":
        clusters = 1
    elif obj.get("kind") in _PODS:
        yield from _workload_needs(str(obj["kind"]), spec)
        return
    else:
        return
    for _ in range(clusters):
        head = (spec.get("headGroupSpec") or {}).get("template") or {}
        yield _pod_need(head.get("spec") or {})
        for group in spec.get("workerGroupSpecs") or ():
            workers = group.get("replicas")
            if workers is None:
                workers = group.get("minReplicas") or 0
            if spec.get("enableInTreeAutoscaling"):
                workers = max(workers, min(group.get("maxReplicas", _AUTOSCALED_WORKERS), _AUTOSCALED_WORKERS))
            need = _pod_need((group.get("template") or {}).get("spec") or {})
            for _ in range(workers * (group.get("numOfHosts") or 1)):
                yield need


def _workload_needs(kind: str, spec: JsonObject) -> Iterator[PodNeed]:
    """Of a Pod and of workloads. Their manifests have met no schema yet: what makes no sense, the API server will say."""
    try:
        field = _PODS[kind]
        written = None if field is None else spec.get(field)
        count = 1 if written is None else int(written)
        if kind == "Deployment":
            # A rolling update brings a quarter more before it takes the old ones away.
            count += -(-count // 4)
        need = _pod_need(spec if kind == "Pod" else spec["template"]["spec"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return
    for _ in range(min(count, _MOST_PODS)):
        yield need


def _pod_need(spec: JsonObject) -> PodNeed:
    cpu = memory = 0
    devices: dict[str, int] = {}
    others: dict[str, int] = {}
    for container in spec.get("containers") or ():
        resources = container.get("resources") or {}
        asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        for name, quantity in asked.items():
            if name == "cpu":
                cpu += milli(quantity)
            elif name == "memory":
                memory += whole(quantity)
            else:
                counted = devices if "/" in name else others
                counted[name] = counted.get(name, 0) + whole(quantity)
    selector = tuple(sorted((spec.get("nodeSelector") or {}).items()))
    return PodNeed(cpu, memory, tuple(sorted(devices.items())), tuple(sorted(others.items())), selector)

"""What a pod asks of a node, in integers: CPU in thousandths, everything else in units (bytes, GPUs)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rayrig_core.objects import JsonObject
from rayrig_core.resources.quantities import milli, whole

#: Assumed in scores, not in the fit, for a container that asks for none (kubelet.md 2).
DEFAULT_CPU_M = 100
DEFAULT_MEMORY = 200 * 1024 * 1024

Amounts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Requests:
    """`amounts` holds what is asked for (no zeros); `scored_cpu_m` and `scored_memory` have the assumed values filled in."""

    amounts: Amounts
    scored_cpu_m: int
    scored_memory: int


def amounts(quantities: Mapping[str, Any] | None) -> Amounts:
    """Integers of a resource map such as `requests`, `capacity` or `allocatable`."""
    return {name: milli(value) if name == "cpu" else whole(value) for name, value in (quantities or {}).items()}


def pod_requests(pod: JsonObject) -> Requests:
    """Containers add up, init containers count by their maximum, sidecars add to what starts after them, overhead comes on top.

    Pod-level `resources` take precedence for what they name. A limit without a request counts as the request.
    """
    spec = pod.get("spec") or {}
    needed = _total(spec, _container_requests)
    pod_level = spec.get("resources")
    if pod_level:
        needed.update(_container_requests(pod_level))
    _add(needed, amounts(spec.get("overhead")))
    scored = _total(spec, _scored_requests)
    if pod_level:
        scored.update(
            (name, amount) for name, amount in _container_requests(pod_level).items() if name in ("cpu", "memory")
        )
    _add(scored, {k: v for k, v in amounts(spec.get("overhead")).items() if k in ("cpu", "memory")})
    return Requests(
        {name: amount for name, amount in needed.items() if amount}, scored.get("cpu", 0), scored.get("memory", 0)
    )


def _container_requests(resources: JsonObject) -> Amounts:
    asked = resources.get("limits") or {}
    requests = resources.get("requests")
    return amounts({**asked, **requests} if requests else asked)


def _scored_requests(resources: JsonObject) -> Amounts:
    found = _container_requests(resources)
    return {"cpu": found.get("cpu", DEFAULT_CPU_M), "memory": found.get("memory", DEFAULT_MEMORY)}


def _total(spec: JsonObject, of: Any) -> Amounts:
    total: Amounts = {}
    for container in spec.get("containers") or ():
        _add(total, of(container.get("resources") or {}))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or ():
        asked = of(container.get("resources") or {})
        if container.get("restartPolicy") == "Always":
            _add(sidecars, asked)
            _raise(peak, sidecars)
        else:
            together = dict(sidecars)
            _add(together, asked)
            _raise(peak, together)
    _add(total, sidecars)
    _raise(total, peak)
    return total


def _add(total: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _raise(total: Amounts, floor: Amounts) -> None:
    for name, amount in floor.items():
        if amount > total.get(name, 0):
            total[name] = amount

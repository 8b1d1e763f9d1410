"""Taints and tolerations (Kubernetes API, "Toleration")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rayrig_core.objects import JsonObject

NO_SCHEDULE = "NoSchedule"
NO_EXECUTE = "NoExecute"
PREFER_NO_SCHEDULE = "PreferNoSchedule"

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"


@dataclass(frozen=True, slots=True)
class Taint:
    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Toleration:
    """`seconds` bounds how long a NoExecute taint is tolerated; None is for ever."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    seconds: int | None = None

    def tolerates(self, taint: Taint) -> bool:
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        if self.operator == "Exists":
            return True
        return bool(self.key) and self.value == taint.value


def taints_of(node: JsonObject) -> tuple[Taint, ...]:
    return tuple(
        Taint(entry["key"], entry.get("value") or "", entry["effect"])
        for entry in (node.get("spec") or {}).get("taints") or ()
    )


def tolerations_of(pod: JsonObject) -> tuple[Toleration, ...]:
    return tuple(_toleration(entry) for entry in (pod.get("spec") or {}).get("tolerations") or ())


def tolerated(taint: Taint, tolerations: Iterable[Toleration]) -> bool:
    return any(toleration.tolerates(taint) for toleration in tolerations)


def tolerated_for_s(taints: Iterable[Taint], tolerations: tuple[Toleration, ...]) -> float | None:
    """Seconds for which a pod may stay under these taints: 0 when one is not tolerated, None without a limit.

    Of the tolerations that match, the shortest counts (kubelet.md 13).
    """
    least: float | None = None
    for taint in taints:
        matching = [toleration for toleration in tolerations if toleration.tolerates(taint)]
        if not matching:
            return 0.0
        for toleration in matching:
            if toleration.seconds is not None:
                bound = float(max(0, toleration.seconds))
                least = bound if least is None else min(least, bound)
    return least


def _toleration(entry: Mapping[str, object]) -> Toleration:
    seconds = entry.get("tolerationSeconds")
    return Toleration(
        str(entry.get("key") or ""),
        str(entry.get("operator") or "Equal"),
        str(entry.get("value") or ""),
        str(entry.get("effect") or ""),
        int(str(seconds)) if seconds is not None else None,
    )

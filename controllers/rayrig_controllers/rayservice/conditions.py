"""Conditions of a RayService: their types, reasons and messages, and how one is set (kuberay-operator 1.4)."""

from __future__ import annotations

from rayrig_core.objects import JsonObject
from rayrig_core.timestamps import rfc3339

READY = "Ready"
UPGRADE_IN_PROGRESS = "UpgradeInProgress"
ROLLBACK_IN_PROGRESS = "RollbackInProgress"
SUSPENDING = "Suspending"
SUSPENDED = "Suspended"

INITIALIZING = "Initializing"
INITIALIZING_TIMEOUT = "InitializingTimeout"
VALIDATION_FAILED = "ValidationFailed"
SUSPEND_REQUESTED = "SuspendRequested"
SUSPEND_IN_PROGRESS = "SuspendInProgress"
SUSPEND_COMPLETE = "SuspendComplete"
RESUMED = "RayServiceResumed"
DESIRED_CLUSTER_SPEC_CHANGED = "DesiredClusterSpecChanged"


class Conditions:
    """The condition list of one status. `observed_generation` and `now_ns` (Unix) are stamped on what is set.

    Setting a type that exists moves `lastTransitionTime` only when the status changes; reason, message and generation are always
    overwritten. New types go to the end. The dictionaries of `items` are never changed in place, so that lists can share them.
    """

    __slots__ = ("items", "now_ns", "observed_generation")

    def __init__(self, items: list[JsonObject], now_ns: int, observed_generation: int) -> None:
        self.items = items
        self.now_ns = now_ns
        self.observed_generation = observed_generation

    def find(self, type_: str) -> JsonObject | None:
        for condition in self.items:
            if condition["type"] == type_:
                return condition
        return None

    def is_true(self, type_: str) -> bool:
        found = self.find(type_)
        return found is not None and found["status"] == "True"

    def is_false_because(self, type_: str, reason: str) -> bool:
        found = self.find(type_)
        return found is not None and found["status"] == "False" and found["reason"] == reason

    def reason(self, type_: str) -> str:
        """Empty when there is no such condition."""
        found = self.find(type_)
        return "" if found is None else str(found["reason"])

    def set(self, type_: str, status: str, reason: str, message: str) -> None:
        before = self.find(type_)
        moved = before is None or before["status"] != status
        condition: JsonObject = {
            "type": type_,
            "status": status,
            "observedGeneration": self.observed_generation,
            "lastTransitionTime": rfc3339(self.now_ns) if moved or before is None else before["lastTransitionTime"],
            "reason": reason,
            "message": message,
        }
        if not self.observed_generation:
            del condition["observedGeneration"]
        if before is None:
            self.items.append(condition)
        elif before != condition:
            self.items[self.items.index(before)] = condition

    def remove(self, type_: str) -> None:
        self.items[:] = [condition for condition in self.items if condition["type"] != type_]

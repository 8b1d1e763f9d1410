"""What controllers ask of a pod with each of its changes, read once for each revision."""

from __future__ import annotations

from typing import NamedTuple

from rayrig_core.objects import JsonObject, key_of
from rayrig_core.ports import WatchType
from rayrig_core.resource_types import POD
from rayrig_sim.kubernetes.object_cache import Key, ObjectCaches, Part


class PodState(NamedTuple):
    """Equal states make no difference to Endpoints, EndpointSlices and the counts of workloads."""

    #: The same tuple in all states of a pod: what is kept by it is found without a look at it.
    key: Key
    labels: dict[str, str]
    #: Empty while there is none; so is `node`.
    ip: str
    node: str
    is_ready: bool
    is_deleting: bool
    #: Succeeded or failed.
    is_over: bool


def state_of(pod: JsonObject, key: Key | None = None) -> PodState:
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    is_ready = False
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Ready":
            is_ready = condition.get("status") == "True"
            break
    return PodState(
        key or (meta.get("namespace", ""), meta["name"]),
        meta.get("labels") or {},
        status.get("podIP") or "",
        spec.get("nodeName") or "",
        is_ready,
        bool(meta.get("deletionTimestamp")),
        status.get("phase") in ("Succeeded", "Failed"),
    )


class PodStates:
    """Beside a cache of pods: handlers registered after it find the states of the change they are told of at hand."""

    def __init__(self, caches: ObjectCaches) -> None:
        self._states: dict[Key, PodState] = {}
        #: The change that is being told.
        self._old: JsonObject | None = None
        self._new: JsonObject | None = None
        self._had: PodState | None = None
        self._has: PodState | None = None
        caches.of(POD).on_change(self._on_change, Part.LABELS | Part.SPEC | Part.STATUS | Part.DELETION)

    def of(self, pod: JsonObject) -> PodState:
        """The state of that revision."""
        if pod is self._new and self._has is not None:
            return self._has
        return state_of(pod)

    def before_and_after(self, old: JsonObject | None, new: JsonObject) -> tuple[PodState | None, PodState]:
        """The states of a pod that changed from the one revision to the other."""
        if new is self._new and old is self._old and self._has is not None:
            return self._had, self._has
        return state_of(old) if old is not None else None, state_of(new)

    def _on_change(self, type_: WatchType, old: JsonObject | None, new: JsonObject, cause: int | None) -> None:
        key = key_of(new)
        self._old, self._new = old, new
        had = self._states.get(key) if old is not None else None
        has = state_of(new, had.key if had is not None else key)
        self._had, self._has = had, has
        if type_ is WatchType.DELETED:
            self._states.pop(key, None)
        else:
            self._states[has.key] = has

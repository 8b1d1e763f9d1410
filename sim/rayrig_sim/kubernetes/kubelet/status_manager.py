"""Pod statuses on their way to the API: kept as computed, written when they differ (`reference/kubelet.md` sections 1 and 3).

A status that equals the one at hand is not written. Writing is a strategic-merge patch of what the API does not show yet of what
the kubelet owns, so that conditions of others stay. A terminal phase is held back while containers may still run. When a pod that
is being deleted has ended, its object is deleted with grace 0. What could not be written is tried again at the next full pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from rayrig_core.errors import ApiError, NotFound
from rayrig_core.objects import JsonObject, Vouched, name_of, namespace_of, uid_of
from rayrig_core.ports import KubernetesClient, Preconditions, Runtime
from rayrig_core.resource_types import POD
from rayrig_core.timestamps import rfc3339
from rayrig_sim.kubernetes.kubelet.pod_status import KUBELET_CONDITIONS, condition, is_terminal, readiness

FULL_PASS_S = 10.0
#: Not told of a pod that has ended before all its containers have.
_HELD_BACK = ("phase", "reason", "message")


@dataclass(slots=True, eq=False)
class _Entry:
    pod: JsonObject
    #: As computed; None before the first computation.
    status: JsonObject | None = None
    #: What led to it.
    cause: int | None = None
    is_dirty: bool = False
    #: On its way to the API: what came of it will be known by the answer.
    is_sent: bool = False
    is_finished: bool = False
    is_deleted: bool = False
    #: As the API last showed it.
    api_status: JsonObject = field(default_factory=dict)


class StatusManager:
    """Statuses of the pods of one kubelet. `could_be_running(uid)` tells whether containers of the pod may still run."""

    def __init__(
        self,
        runtime: Runtime,
        client: KubernetesClient,
        *,
        name: str,
        could_be_running: Callable[[str], bool],
    ) -> None:
        self._runtime = runtime
        self._client = client
        self._name = name
        self._could_be_running = could_be_running
        self._entries: dict[str, _Entry] = {}
        self._dirty: dict[str, None] = {}
        self._is_writing = False
        self._is_passing = False
        self.is_stopped = False

    def status(self, uid: str) -> JsonObject | None:
        """The newest computed status; the API's when none has been computed yet."""
        entry = self._entries.get(uid)
        if entry is None:
            return None
        return entry.status or entry.pod.get("status")

    def computed(self, uid: str) -> JsonObject | None:
        entry = self._entries.get(uid)
        return entry.status if entry else None

    # What comes from the API

    def observe(self, uid: str, pod: JsonObject) -> None:
        """A pod as the API shows it now."""
        entry = self._entries.get(uid)
        if entry is None:
            self._entries[uid] = _Entry(pod, api_status=pod.get("status") or {})
            return
        if pod is entry.pod:
            # What a write of our own was answered.
            return
        if _is_older(pod, entry.pod):
            # The answer to a write of our own was newer than this.
            return
        entry.pod = pod
        before = entry.api_status
        entry.api_status = pod.get("status") or {}
        if entry.is_dirty or entry.status is None:
            return
        if entry.is_finished and pod["metadata"].get("deletionTimestamp") and not entry.is_deleted:
            self._mark(uid, entry, self._runtime.cause)
        elif entry.api_status is not before and not entry.is_sent and self._was_overwritten(entry):
            self._pass_soon()

    def forget(self, uid: str) -> None:
        self._entries.pop(uid, None)
        self._dirty.pop(uid, None)

    # What is computed

    def set_status(self, uid: str, status: JsonObject, *, finished: bool = False) -> None:
        """Take a computed status.

        `finished`: nothing of the pod is left on the node, so its object may go.
        """
        entry = self._entries.get(uid)
        if entry is None or (status is entry.status and not finished):
            return
        former = entry.status if entry.status is not None else (entry.pod.get("status") or {})
        status["startTime"] = former.get("startTime") or rfc3339(self._runtime.unix_ns())
        newly_finished = finished and not entry.is_finished
        entry.is_finished = entry.is_finished or finished
        if status == entry.status and not newly_finished:
            return
        entry.status = status
        self._mark(uid, entry, self._runtime.cause)

    def set_sandbox_ready(self, uid: str) -> None:
        """The sandbox stands: the condition is told before the containers start."""
        entry = self._entries.get(uid)
        if entry is None or entry.status is None:
            return
        conditions: list[JsonObject] = entry.status.get("conditions") or []
        for n, was in enumerate(conditions):
            if was["type"] == "PodReadyToStartContainers" and was["status"] != "True":
                now = rfc3339(self._runtime.unix_ns())
                told = condition(was["type"], (True, "", ""), was.get("observedGeneration"), was, now)
                entry.status = {**entry.status, "conditions": [*conditions[:n], told, *conditions[n + 1 :]]}
                self._mark(uid, entry, self._runtime.cause)
                return

    def set_readiness(self, uid: str, container_id: str, is_ready: bool, cause: int | None) -> None:
        """A readiness probe changed its mind: the status follows at once, whatever the pod worker is doing."""
        self._set_flag(uid, container_id, "ready", is_ready, cause)

    def set_started(self, uid: str, container_id: str, is_started: bool, cause: int | None) -> None:
        self._set_flag(uid, container_id, "started", is_started, cause)

    def _set_flag(self, uid: str, container_id: str, flag: str, value: bool, cause: int | None) -> None:
        entry = self._entries.get(uid)
        if entry is None or entry.status is None:
            return
        status = dict(entry.status)
        found = False
        for part in ("initContainerStatuses", "containerStatuses"):
            statuses = status.get(part) or []
            for n, container in enumerate(statuses):
                if container.get("containerID") == container_id and container[flag] != value:
                    status[part] = [*statuses[:n], {**container, flag: value}, *statuses[n + 1 :]]
                    found = True
        if not found:
            return
        if flag == "ready":
            findings = readiness(entry.pod, status, entry.api_status.get("conditions") or ())
            generation, now = entry.pod["metadata"].get("generation"), rfc3339(self._runtime.unix_ns())
            status["conditions"] = [
                condition(c["type"], findings[c["type"]], generation, c, now) if c["type"] in findings else c
                for c in status.get("conditions") or ()
            ]
        entry.status = status
        self._mark(uid, entry, cause)

    def _mark(self, uid: str, entry: _Entry, cause: int | None) -> None:
        entry.is_dirty = True
        entry.cause = cause
        self._dirty.pop(uid, None)
        self._dirty[uid] = None
        if not self._is_writing and not self.is_stopped:
            self._is_writing = True
            self._runtime.spawn(f"{self._name}/status", self._write_all())

    # Writing

    async def _write_all(self) -> None:
        try:
            while self._dirty and not self.is_stopped:
                uid = next(iter(self._dirty))
                del self._dirty[uid]
                entry = self._entries.get(uid)
                if entry is not None:
                    self._runtime.cause = entry.cause
                    await self._write(uid, entry)
        finally:
            self._is_writing = False

    async def _write(self, uid: str, entry: _Entry) -> None:
        entry.is_dirty = False
        namespace, name = namespace_of(entry.pod), name_of(entry.pod)
        status = entry.status
        if status is None:
            return
        news = self._news(uid, entry, status)
        try:
            if news:
                patch = Vouched({"metadata": {"uid": uid}, "status": news})
                entry.is_sent = True
                try:
                    answer = await self._client.patch(
                        POD, name, patch, namespace, patch_type="strategic", subresource="status"
                    )
                finally:
                    entry.is_sent = False
                entry.api_status = answer.get("status") or {}
                if self._entries.get(uid) is entry:
                    entry.pod = answer
            if entry.is_finished and entry.pod["metadata"].get("deletionTimestamp") and not entry.is_deleted:
                entry.is_deleted = True
                await self._client.delete(
                    POD, name, namespace, grace_period_seconds=0, preconditions=Preconditions(uid=uid)
                )
        except NotFound:
            # The pod is gone, or its name is another's now: the watch will tell.
            return
        except ApiError:
            entry.is_deleted = False
            entry.is_dirty = True
            self._pass_soon()

    def _news(self, uid: str, entry: _Entry, status: JsonObject) -> JsonObject:
        """What the API does not show of a status, as a patch; empty when it shows all."""
        shown = entry.api_status
        news = {}
        for part, value in status.items():
            there = shown.get(part)
            if there is not value and there != value:
                news[part] = value
        if is_terminal(status) and not is_terminal(shown) and self._could_be_running(uid):
            for part in _HELD_BACK:
                news.pop(part, None)
        if not news:
            return news
        if "conditions" in news:
            del news["conditions"]
            conditions = _conditions_news(shown.get("conditions") or (), status["conditions"], is_alone=not news)
            news.update(conditions)
        for part in ("podIPs", "hostIPs"):
            # Addresses merge: one that is no longer the pod's has to be taken away.
            addresses = news.get(part)
            if addresses:
                gone = [each for each in shown.get(part) or () if each not in addresses]
                if gone:
                    news[part] = [*addresses, *({"$patch": "delete", "ip": each["ip"]} for each in gone)]
        return news

    def _was_overwritten(self, entry: _Entry) -> bool:
        return entry.status is not None and bool(self._news(uid_of(entry.pod), entry, entry.status))

    def _pass_soon(self) -> None:
        if not self._is_passing and not self.is_stopped:
            self._is_passing = True
            self._runtime.spawn(f"{self._name}/status-pass", self._pass_later())

    async def _pass_later(self) -> None:
        """The full pass: write what could not be written, and what others wrote over."""
        await self._runtime.sleep(FULL_PASS_S)
        self._is_passing = False
        if self.is_stopped:
            return
        for uid, entry in list(self._entries.items()):
            if entry.status is not None and uid not in self._dirty and (entry.is_dirty or self._was_overwritten(entry)):
                self._mark(uid, entry, self._runtime.cause)


def _is_older(pod: JsonObject, known: JsonObject) -> bool:
    """Resource versions of one object grow; one that is no number is taken as the newest."""
    now: str = pod["metadata"].get("resourceVersion") or ""
    before: str = known["metadata"].get("resourceVersion") or ""
    return now.isdecimal() and (not before.isdecimal() or int(now) < int(before))


def _conditions_news(shown: Sequence[JsonObject], conditions: Sequence[JsonObject], *, is_alone: bool) -> JsonObject:
    """The kubelet's conditions that differ from those shown, as parts of a patch. A wrong order alone is no reason to write."""
    there = tuple([each["type"] for each in shown])
    own = tuple([each["type"] for each in conditions])
    pairs: list[tuple[JsonObject | None, JsonObject]]
    if there == own == KUBELET_CONDITIONS:
        order = there
        pairs = list(zip(shown, conditions, strict=True))
    else:
        others = [kind for kind in there if kind not in KUBELET_CONDITIONS]
        order = (*others, *[kind for kind in own if kind in KUBELET_CONDITIONS])
        by_type = dict(zip(there, shown, strict=True))
        pairs = [(by_type.get(each["type"]), each) for each in conditions if each["type"] in KUBELET_CONDITIONS]
    told = [_over(was, each) for was, each in pairs if was is not each and (was is None or not _says(was, each))]
    if not told:
        if is_alone or order == there:
            return {}
        told = [_over(was, each) for was, each in pairs]
    return {"conditions": told, "$setElementOrder/conditions": _in_order(order)}


def _says(there: JsonObject, own: JsonObject) -> bool:
    """Whether writing a condition over the one that is there would change nothing."""
    return own.items() <= there.items() and not _has_lost(there, own)


def _has_lost(there: JsonObject, own: JsonObject) -> bool:
    """Whether the condition that is there has a reason, and the kubelet's own no more."""
    return ("reason" in there and "reason" not in own) or ("message" in there and "message" not in own)


def _over(there: JsonObject | None, own: JsonObject) -> JsonObject:
    """A merge keeps what is not mentioned: a reason that is no more is taken away."""
    if there is None or not _has_lost(there, own):
        return own
    return {**{part: None for part in ("reason", "message") if part not in own}, **own}


@lru_cache(maxsize=256)
def _in_order(kinds: tuple[str, ...]) -> list[JsonObject]:
    """Read only."""
    return [{"type": kind} for kind in kinds]
